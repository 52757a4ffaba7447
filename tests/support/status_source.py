"""A source of statuses for a listener, set by a test as the watcher's worker would."""

from __future__ import annotations

import threading
from dataclasses import replace

from mmsync.status import Status

__all__ = ["SettableSource"]


class SettableSource:
    def __init__(self, status=None):
        self.status = status or Status("1.2.3", started_at=1_700_000_000.0, at=1_700_000_000.0, revision=1, health="ok")
        self.alive = True
        self._calls = []
        self._lock = threading.Lock()

    def is_alive(self):
        return self.alive

    def subscribe(self, call):
        with self._lock:
            self._calls.append(call)
        return lambda: self._calls.remove(call)

    def publish(self, status=None, **changed):
        """Replace the status, its revision counted on, and tell who subscribed."""
        self.status = replace(status or self.status, revision=self.status.revision + 1, **changed)
        for call in list(self._calls):
            call(self.status)
