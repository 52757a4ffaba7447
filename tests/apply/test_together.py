"""Two applies at once: on one machine they take turns, on two the look before each write keeps them apart."""

from __future__ import annotations

import dataclasses
import threading

from support.applying import json_bytes, sha256


def finish(*processes):
    return [(process.communicate(timeout=60), process.returncode) for process in processes]


def other_machine(site, tmp_path):
    """The same folder, another ledger, another place for locks."""
    ledger = tmp_path / "elsewhere" / "ledger.sqlite"
    return dataclasses.replace(site, ledger=ledger), {"MMSYNC_LOCK_DIR": str(tmp_path / "elsewhere" / "locks")}


def test_two_on_one_machine_upload_nothing_twice(site, proxy, view):
    names = site.models(20)
    begun, go_on = threading.Event(), threading.Event()

    def holds(exchange):
        begun.set()
        go_on.wait(30)
        exchange.answer(exchange.forward())

    proxy.on("save", holds, times=1)
    first = site.start("apply")
    assert begun.wait(30)
    second = site.start("apply")
    assert "waiting for another mmsync" in second.stderr.readline()
    go_on.set()
    finished = finish(first, second)
    assert [code for _, code in finished] == [0, 0], finished
    assert proxy.count("upload") == proxy.count("save") == len(names)
    assert view.digests() == site.digests()


def test_two_on_one_machine_with_two_ledgers_still_take_turns(site, proxy, view, tmp_path):
    names = site.models(12)
    other = dataclasses.replace(site, ledger=tmp_path / "other" / "ledger.sqlite")
    finished = finish(site.start("apply"), other.start("apply"))
    assert [code for _, code in finished] == [0, 0], finished
    assert proxy.count("upload") == len(names)
    assert view.digests() == site.digests()


def held(proxy, kind):
    """Hold requests of a kind back: the first event tells that one came, the second lets them go on."""
    begun, go_on = threading.Event(), threading.Event()

    def holds(exchange):
        begun.set()
        go_on.wait(30)
        exchange.answer(exchange.forward())

    proxy.on(kind, holds)
    return begun, go_on


def test_the_lock_is_waited_for_only_so_long(site, proxy):
    site.models(2)
    begun, go_on = held(proxy, "save")
    first = site.start("apply")
    assert begun.wait(30)
    second = site.run("apply", "--lock-timeout", "0.2")
    assert second.returncode == 1
    assert "--lock-timeout" in second.stderr
    plan = site.run("plan")
    assert plan.returncode == 0, "a plan needs no turn"
    go_on.set()
    assert finish(first)[0][1] == 0


def test_a_killed_apply_leaves_no_lock_behind(site, proxy):
    site.models(2)
    begun, go_on = held(proxy, "upload")
    first = site.start("apply")
    assert begun.wait(30)
    first.kill()
    first.communicate()
    go_on.set()
    proxy.clear()
    done = site.run("apply", "--lock-timeout", "0")
    assert done.returncode == 0, done.stderr


def test_two_machines_adding_the_same_make_no_model_twice(site, proxy, view, tmp_path):
    site.models(20)
    other, env = other_machine(site, tmp_path)
    finished = finish(site.start("apply"), other.start("apply", env=env))
    assert view.names() == sorted(site.entries)
    assert view.digests() == site.digests()
    for (out, err), code in finished:
        assert code in (0, 1), (out, err)
        assert "Traceback" not in err
        if code:
            assert "outside mmsync" in out, out
    assert site.run("apply").returncode == 0
    again = other.run("apply", env=env)
    assert again.returncode == 0, again.stderr
    assert view.digests() == site.digests()


def test_two_machines_that_want_different_content_lose_no_update_unseen(site, proxy, view, tmp_path):
    """Each of them either wrote its content, or says that it did not; what is there is whole, one of the two."""
    names = site.models(12)
    site.apply()
    other, env = other_machine(site, tmp_path)
    other = dataclasses.replace(other, folder=tmp_path / "site2", entries={})
    other.__post_init__()
    for name in names:
        site.model(name, json_bytes(f"ours {name}"), description="ours")
        other.model(name, json_bytes(f"theirs {name}"), description="theirs")
    finish(site.start("apply"), other.start("apply", env=env))
    ours, theirs = site.digests(), other.digests()
    for name in names:
        detail, digest = view.detail(name), view.digest(name)
        assert (digest, detail["description"]) in [(ours[name], "ours"), (theirs[name], "theirs")]
    assert view.names() == names


def test_a_model_being_replaced_elsewhere_is_not_overwritten(site, proxy, view, tmp_path):
    """The other machine saves after our plan and before our save: ours is the one that gives way."""
    site.model("m", json_bytes("old"))
    site.apply()
    other, _ = other_machine(site, tmp_path)
    other = dataclasses.replace(other, folder=tmp_path / "site2", entries={})
    other.__post_init__()
    other.model("m", json_bytes("theirs"))
    site.model("m", json_bytes("ours"))
    (outcome,) = site.apply(between=lambda plan: other.apply())
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert view.digest("m") == sha256(json_bytes("theirs"))
    (outcome,) = site.apply()
    assert outcome.status == "verified"
    assert view.digest("m") == sha256(json_bytes("ours"))
