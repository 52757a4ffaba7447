"""Control of the worker: what wakes, stops and interrupts it."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator


class Interrupted(Exception):
    """Work given up: a signal asked to stop, and nothing was written yet."""


class Trigger:
    """An event that can be waited for, set from any thread and from signal handlers.

    ``threading.Event`` would not do: its lock is not reentrant, so a signal handler that sets it while the main
    thread is inside it hangs for ever. ``SimpleQueue.put`` is made to be called there. It is answered after a short
    nap (``nap`` sleeps the given seconds), so that a burst of them is one.
    """

    def __init__(self, nap: Callable[[float], None]) -> None:
        self._nap = nap
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_set = False

    def set(self) -> None:
        """Wake the one who waits. However often it is set, it wakes once."""
        if not self._is_set:
            self._is_set = True
            self._queue.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until it is set or the time is over; return whether it was."""
        try:
            self._queue.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return False
        self._nap(0.01)
        # Cleared before anything is looked at: what happens from here on sets it anew.
        self._is_set = False
        return True


class Control:
    """Orders to the watcher from signal handlers, which may do no more than this."""

    def __init__(self, trigger: Trigger) -> None:
        self.signal = 0  # the number of the signal that asked for the end, or 0
        self._reconcile = False
        self._trigger = trigger
        self._may_interrupt = False

    def stop(self, signal: int) -> None:
        """End (the first signal is remembered); raises `Interrupted` out of what need not be finished."""
        self.signal = self.signal or signal
        self._trigger.set()
        if self._may_interrupt:
            self._may_interrupt = False
            raise Interrupted

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal break off the body by `Interrupted`, even out of a read that waits for a server."""
        if self.is_set():
            raise Interrupted
        self._may_interrupt = True
        try:
            yield
        finally:
            self._may_interrupt = False

    def reconcile_now(self) -> None:
        """Look at everything anew, whatever was put off."""
        self._reconcile = True
        self._trigger.set()

    def take_reconcile(self) -> bool:
        """Return whether a full reconcile was asked for since this was called last."""
        wanted, self._reconcile = self._reconcile, False
        return wanted

    def is_set(self) -> bool:
        """Return whether to start nothing new."""
        return self.signal != 0
