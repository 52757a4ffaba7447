"""The server's disk is full, the server dies, comes back, or loses what it held."""

from __future__ import annotations

import itertools
import shutil
import socket
import threading
import time

import pytest

from mmsync.apply.executor import apply_changes
from mmsync.client.retry import RetryPolicy
from mmsync.manifest import read_manifest
from mmsync.reconcile import make_plan
from mmsync.server import running
from support.applying import Site, View, json_bytes, sha256
from support.fault_proxy import status
from support.server_process import TOKEN, start_server


def stop(process):
    process.communicate("")


def test_a_full_disk_fails_what_does_not_fit_and_no_more(tmp_path):
    process, url = start_server(tmp_path / "server", largest_file=2_000_000)
    try:
        site, view = Site(tmp_path / "site", url, TOKEN), View(url, TOKEN)
        site.models(6)
        site.model("big", json_bytes("big", 3_000_000))
        done = site.run("apply")
        assert done.returncode == 1
        assert "big" in done.stdout
        assert view.names() == [f"m{number:03}" for number in range(6)]
        wanted = site.digests()
        assert view.digests() == {name: wanted[name] for name in view.names()}
        site.model("big", json_bytes("small enough"))
        assert site.run("apply").returncode == 0
        assert view.digests() == site.digests()
        view.close()
    finally:
        stop(process)


@pytest.mark.parametrize("code", [500, 507])
def test_a_server_that_says_its_disk_is_full_is_believed(site, proxy, view, code):
    site.models(4)
    proxy.on("upload", status(code, {"code": 0, "msg": "The server's disk is full"}), name="m002.json")
    done = site.run("apply")
    assert done.returncode == 1
    assert "disk is full" in done.stdout
    assert view.names() == ["m000", "m001", "m003"]


def test_a_server_killed_in_the_middle_is_brought_up_to_date_when_it_is_back(tmp_path):
    process, url = start_server(tmp_path / "server")
    site = Site(tmp_path / "site", url, TOKEN)
    site.models(30, 20_000)
    try:
        client = site.start("apply")
        while sum(1 for _ in (tmp_path / "server" / "images").iterdir()) < 5:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        out, err = client.communicate(timeout=60)
        assert client.returncode == 1
        assert "Traceback" not in err
        assert "m029" in out
        process, again = start_server(tmp_path / "server", port=int(url.rpartition(":")[2]))
        assert again == url
        view = View(url, TOKEN)
        held = view.digests()
        assert held == {name: site.digests()[name] for name in held}
        assert len(held) < 30
        assert site.run("apply").returncode == 0
        assert view.digests() == site.digests()
        view.close()
    finally:
        process.kill()
        process.communicate()


def test_a_server_restarted_in_the_middle_is_waited_for(tmp_path):
    """Away for a moment only: the requests that met nobody are sent again, and no save is made twice."""
    process, url = start_server(tmp_path / "server")
    site = Site(tmp_path / "site", url, TOKEN)
    names = site.models(30, 20_000)
    try:
        client = site.start("apply", "--jobs", "2")
        while sum(1 for _ in (tmp_path / "server" / "images").iterdir()) < 3:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        process, _ = start_server(tmp_path / "server", port=int(url.rpartition(":")[2]))
        out, err = client.communicate(timeout=60)
        view = View(url, TOKEN)
        held = view.digests()
        assert held == {name: site.digests()[name] for name in held}
        assert client.returncode == (0 if len(held) == len(names) else 1), (out, err)
        assert site.run("apply").returncode == 0
        assert view.digests() == site.digests()
        view.close()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("step", "tried"), [(2.0, range(8, 21)), (0.01, range(60, 61))])
def test_a_server_that_is_gone_is_not_tried_for_every_model(site, view, step, tried):
    site.models(60)
    ticks = itertools.count()
    with site.client() as client, site.open_ledger() as ledger, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and it does not listen
        plan = make_plan(read_manifest([str(site.save())]), site.connection(client, ledger))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with Site(site.folder, address, TOKEN).client(retry=RetryPolicy(attempts=1)) as gone:
            *_, last = apply_changes(plan, gone, ledger, jobs=1, clock=lambda: next(ticks) * step)
    ends = [(outcome.status, outcome.code) for outcome in last.outcomes]
    assert ends.count(("failed", "network")) in tried
    assert set(ends) <= {("failed", "network"), ("not-attempted", "network")}
    assert view.names() == []


def test_a_server_that_lost_everything_is_not_taken_for_the_one_the_ledger_knows(tmp_path):
    """The same address, the same ids given out anew, other contents."""
    site = Site(tmp_path / "site", "", TOKEN)
    names = site.models(4)
    with running(tmp_path / "one", token=TOKEN) as address:
        site.url = address.url
        site.apply()
    with running(tmp_path / "two", token=TOKEN) as address:
        site.url = address.url
        view = View(address.url, TOKEN)
        for name in names:
            view.put(name, json_bytes(f"{name[-1]}"[::-1]) if name == "m003" else b'{"tag": "?", "fill": ""}')
        assert view.digest("m000") != site.digests()["m000"]
        assert {change.name for change in site.plan().changes} == {"m000", "m001", "m002"}
        site.apply()
        assert view.digests() == site.digests()
        view.close()


def test_a_server_put_back_from_a_copy_is_brought_up_to_date(tmp_path):
    """Ids given out after the copy was made are given out again; the ledger knows them from their first life."""
    site = Site(tmp_path / "site", "", TOKEN)
    site.models(3)
    with running(tmp_path / "one", token=TOKEN) as address:
        site.url = address.url
        site.apply()
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    with running(tmp_path / "one", token=TOKEN) as address:
        site.url = address.url
        site.model("m000", json_bytes("new"))
        site.apply()
    with running(tmp_path / "copy", token=TOKEN) as address:
        site.url = address.url
        view = View(address.url, TOKEN)
        (change,) = site.plan().changes
        assert change.name == "m000"
        site.apply()
        assert view.digest("m000") == sha256(json_bytes("new"))
        view.close()


def test_one_hanging_request_does_not_keep_the_others(site, proxy, view):
    site.models(10)
    go_on = threading.Event()

    def hangs(exchange):
        go_on.wait(30)
        exchange.answer(exchange.forward())

    proxy.on("save", hangs, name="m004")
    finished = []

    def watch(event):
        finished.append(type(event).__name__)
        if finished.count("Finished") == 9:
            go_on.set()

    outcomes = site.apply(on_event=watch)
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert view.digests() == site.digests()
