"""Ctrl-C and SIGTERM: what is in flight finishes, nothing new begins, and the report says what was not attempted."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from mmsync.apply.executor import apply_changes
from mmsync.apply.outcome import Finished, Progress, Verified
from mmsync.manifest import read_manifest
from mmsync.reconcile import make_plan
from support.applying import json_bytes, sha256, stopping
from support.fault_proxy import Held


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_what_is_in_flight_finish(site, proxy, view, number, code):
    names = site.models(40)
    held = Held(proxy, "save", after=2)
    process = site.start("apply", "--format", "json", "--jobs", "2")
    assert held.begun.wait(30)
    process.send_signal(number)
    stopping(process)
    held.go_on.set()
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    done = view.digests()
    assert 3 <= len(done) <= 10
    assert done == {name: site.digests()[name] for name in done}
    events = [json.loads(line) for line in out.splitlines()]
    completed = [event for event in events if event["type"] == "apply_complete"]
    assert len(completed) == len(done)
    assert events[-1]["type"] == "change_summary"
    text = json.dumps(events)
    assert all(name in text for name in names), "each model is accounted for"
    proxy.clear()
    again = site.run("apply")
    assert again.returncode == 0, again.stderr
    assert proxy.count("upload") == len(names) - len(done)


def test_the_text_report_names_what_was_not_attempted(site, proxy):
    site.models(12)
    held = Held(proxy, "save")
    process = site.start("apply", "--jobs", "1")
    assert held.begun.wait(30)
    process.send_signal(signal.SIGINT)
    stopping(process)
    held.go_on.set()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "m011" in out.partition("Apply")[2] or "not attempted" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once(site, proxy, view, number, code):
    site.models(10)
    held = Held(proxy, "save")
    process = site.start("apply")
    assert held.begun.wait(30)
    process.send_signal(number)
    stopping(process)
    process.send_signal(number)
    assert process.wait(timeout=5) == code
    process.communicate()
    held.go_on.set()


def test_an_upload_that_outlasts_the_grace_is_broken_off(site, proxy, view, monkeypatch):
    """The worker is kept in its upload; when the grace is over, the bytes left are never sent."""
    site.model("m", json_bytes("big", 4_000_000))
    manifest = read_manifest([str(site.save())])
    stop = threading.Event()
    with site.client() as client, site.open_ledger() as ledger:
        plan = make_plan(manifest, site.connection(client, ledger))
        real = client.upload_image

        def slow(engine, file, *, on_progress, **settings):
            def told(done, total):
                stop.set()
                threading.Event().wait(0.1)
                on_progress(done, total)

            return real(engine, file, on_progress=told, **settings)

        monkeypatch.setattr(client, "upload_image", slow)
        events = list(apply_changes(plan, client, ledger, stop=stop, grace=0.2))
    assert any(isinstance(event, Progress) for event in events)
    assert isinstance(events[-1], Verified)
    (outcome,) = events[-1].outcomes
    assert (outcome.status, outcome.code) == ("failed", "interrupted")
    assert not proxy.seen("upload")
    assert view.names() == []


def test_a_server_that_hangs_is_not_asked_again_once_the_grace_is_over(site, proxy, view):
    site.models(3)
    held = Held(proxy, "save", after=1)
    stop = threading.Event()
    with site.client() as client, site.open_ledger() as ledger:
        plan = make_plan(read_manifest([str(site.save())]), site.connection(client, ledger))
        last = None
        for event in apply_changes(plan, client, ledger, jobs=2, stop=stop, grace=0.1):
            if isinstance(event, Finished):
                stop.set()
            last = event
        lists = proxy.count("list", forwarded=False)
        held.go_on.set()
    assert isinstance(last, Verified)
    assert min(outcome.status for outcome in last.outcomes) == "applied"
    assert {outcome.code for outcome in last.outcomes} == {"", "interrupted"}
    assert "not read back" in last.unverified
    assert lists == 1, "the plan's"


def test_a_signal_while_planning_ends_at_once(site, proxy):
    site.models(3)
    held = Held(proxy, "list")
    process = site.start("apply")
    assert held.begun.wait(30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    held.go_on.set()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not proxy.seen("upload")
    assert sha256(b"") not in out
