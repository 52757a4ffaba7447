"""A watcher that runs for months keeps nothing of rounds that are over."""

from __future__ import annotations

import functools
import gc
import os
import signal

import mmsync.client.api
from mmsync.client import RetryPolicy
from mmsync.client.error import ModelManagerError
from support.commands import Shell
from support.wire import Wire, reset

ROUNDS = 25


def test_failed_rounds_are_not_kept_with_all_that_they_read(tmp_path, capsys, monkeypatch):
    impatient = functools.partial(RetryPolicy, attempts=1)
    monkeypatch.setattr(mmsync.client.api, "RetryPolicy", impatient)
    (tmp_path / "models.yaml").write_text("version: 1\nmodels: []\n")
    alive = []

    def errors():
        return sum(isinstance(thing, ModelManagerError) for thing in gc.get_objects())

    def broken(_request):
        alive.append(errors())
        os.kill(os.getpid(), signal.SIGHUP if len(alive) < ROUNDS else signal.SIGTERM)
        return reset

    gc.collect()
    before = errors()  # of tests before this one, which something still holds
    with Wire(broken) as wire:
        words = ["--url", wire.url, "--token", "t", "--settle", "0.01", "--interval", "600"]
        ran = Shell(tmp_path, capsys, monkeypatch)("watch", *words)
    assert ran.code == 128 + signal.SIGTERM
    assert len(alive) == ROUNDS
    assert max(alive) <= before + 2, (before, alive)
