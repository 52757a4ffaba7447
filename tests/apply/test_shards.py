"""Eight shards of one server on one machine, with one ledger: side by side, disjoint and complete."""

from __future__ import annotations

import threading

import pytest

from mmsync.plan import Selection

SHARDS = 8
MODELS = 240


def shard_of(name):
    """Return which of the shards a model is in, from 0."""
    (found,) = (index for index in range(SHARDS) if name in Selection(shard=(index + 1, SHARDS)))
    return found


class Meeting:
    """Holds each shard's first requests back until all of them have one under way at the same moment."""

    def __init__(self, proxy, kind):
        self.met, self._given_up = threading.Event(), threading.Event()
        self._here = set()
        self._lock = threading.Lock()
        proxy.on(kind, self._hold)

    def _hold(self, exchange):
        with self._lock:
            self._here.add(shard_of(exchange.name))
            if len(self._here) == SHARDS:
                self.met.set()
        if not self._given_up.is_set() and not self.met.wait(60):
            self._given_up.set()
        exchange.answer(exchange.forward())


def held(proxy, kind, concerns=lambda name: True):
    """Hold back requests of a kind for models it concerns: the first event tells of one, the second lets them go on."""
    begun, go_on = threading.Event(), threading.Event()

    def holds(exchange):
        if concerns(exchange.name):
            begun.set()
            go_on.wait(60)
        exchange.answer(exchange.forward())

    proxy.on(kind, holds)
    return begun, go_on


def start_all(site, *words):
    """Start a process for each shard, half of them told as Kubernetes tells them."""
    processes = []
    for index in range(SHARDS):
        env = {"MMSYNC_SHARD_COUNT": str(SHARDS), "JOB_COMPLETION_INDEX": str(index)}
        flags = ("--shard", f"{index + 1}/{SHARDS}")
        processes.append(site.start(*words, env=env) if index % 2 else site.start(*words, *flags))
    return processes


def finish(processes):
    try:
        return [(process.communicate(timeout=110), process.returncode) for process in processes]
    finally:
        for process in processes:
            process.kill()  # none outlives a test that fails


@pytest.mark.timeout(240)
def test_eight_work_at_the_same_moment_on_parts_that_are_disjoint_and_complete(site, proxy, view):
    names = site.models(MODELS)
    meeting = Meeting(proxy, "save")
    finished = finish(start_all(site, "apply"))
    assert meeting.met.is_set(), "all eight had a save under way at once, so none waited for another's end"
    assert [code for _, code in finished] == [0] * SHARDS, finished
    assert all("waiting" not in err and "Warning" not in err for (_, err), _ in finished)
    # Every model is sent by its own shard, once: of the same content there is nothing to send twice.
    assert sorted(each.name for each in proxy.seen("save")) == names
    assert proxy.count("upload") == MODELS
    assert view.digests() == site.digests()
    # The ledger they shared has it all: a whole plan asks for the list and nothing else.
    proxy.clear()
    plan = site.run("plan", "--detailed-exitcode")
    assert plan.returncode == 0, plan.stdout
    assert [each.kind for each in proxy.exchanges] == ["list"]


def test_a_whole_run_waits_for_every_shard_and_a_shard_for_a_whole_run(site, proxy, view):
    site.models(12)
    begun, go_on = held(proxy, "save")
    first = site.start("apply", "--shard", "1/2")
    assert begun.wait(30)
    second = site.start("apply")
    assert "waiting for another mmsync" in second.stderr.readline()
    for refused in (["--shard-index", "0", "--shard-count", "4"], ["--shard", "1/2"], []):
        late = site.run("apply", *refused, "--lock-timeout", "0.1")
        assert late.returncode == 1
        assert "another mmsync has been at work" in late.stderr
    go_on.set()
    assert [code for _, code in finish([first, second])] == [0, 0]
    assert proxy.count("save") == 12
    assert view.digests() == site.digests()


def test_a_shard_killed_outright_keeps_nobody_out(site, proxy, view):
    site.models(12)
    begun, go_on = held(proxy, "upload")
    first = site.start("apply", "--shard", "1/2")
    assert begun.wait(30)
    first.kill()
    first.communicate()
    go_on.set()
    proxy.clear()
    for words in (["--shard", "1/3"], ["--shard", "1/2"], []):
        done = site.run("apply", "--lock-timeout", "0", *words)
        assert done.returncode == 0, done.stderr
    assert view.digests() == site.digests()


def test_watching_shards_work_beside_an_applying_one(site, proxy, view):
    site.models(24)
    begun, go_on = held(proxy, "save", lambda name: shard_of(name) % 2 == 0)
    applying = site.start("apply", "--shard", "1/2")  # the even ones
    assert begun.wait(30)
    watched = site.run("watch", "--once", "--settle", "0.1", env={"MMSYNC_SHARD_INDEX": "1", "MMSYNC_SHARD_COUNT": "2"})
    assert watched.returncode == 0, watched.stderr
    assert view.names() == [name for name in sorted(site.entries) if name in Selection(shard=(2, 2))]
    go_on.set()
    assert [code for _, code in finish([applying])] == [0]
    assert view.digests() == site.digests()
