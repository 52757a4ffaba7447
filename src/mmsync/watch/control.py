"""What wakes the worker: events, signals, time."""

from __future__ import annotations

import contextlib
import queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Bell", "Interrupted", "Orders"]

_NAP = 0.01  # seconds


class Interrupted(Exception):
    """What is being done is given up: a signal asked to stop, and nothing was written yet."""


class Bell:
    """One flag that can be waited for, rung from any thread and from signal handlers.

    ``threading.Event`` would not do: its lock is not reentrant, so a signal handler that sets it while the main
    thread is inside it hangs for ever. ``SimpleQueue.put`` is made to be called there.

    Args:
        nap: Sleeps the given seconds. A ring is answered after a short nap, so that a burst of them is one.
    """

    def __init__(self, nap: Callable[[float], None]) -> None:
        self._nap = nap
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False

    def ring(self) -> None:
        """Wake the one who waits. However often it is rung, it wakes once."""
        if not self._rung:
            self._rung = True
            self._queue.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until the bell rings or the time is over; return whether it rang."""
        try:
            self._queue.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return False
        self._nap(_NAP)
        # Cleared before anything is looked at: what happens from here on rings anew.
        self._rung = False
        return True


class Orders:
    """What the outside asks of the watcher; set by signal handlers, which may do no more than this.

    Attributes:
        signal: The number of the signal that asked for the end, or 0.
        reconcile: Whether a full reconcile is wanted now.
    """

    def __init__(self, bell: Bell) -> None:
        self.signal = 0
        self.reconcile = False
        self._bell = bell
        self._may_interrupt = False

    def stop(self, signal: int) -> None:
        """End; the first signal is the one remembered.

        Raises:
            Interrupted: The main thread is at something that need not be finished.
        """
        self.signal = self.signal or signal
        self._bell.ring()
        if self._may_interrupt:
            self._may_interrupt = False
            raise Interrupted

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal break off the body, even out of a read that waits for a server.

        Raises:
            Interrupted: The end was asked for.
        """
        if self.is_set():
            raise Interrupted
        self._may_interrupt = True
        try:
            yield
        finally:
            self._may_interrupt = False

    def reconcile_now(self) -> None:
        """Look at everything anew, whatever was put off."""
        self.reconcile = True
        self._bell.ring()

    def is_set(self) -> bool:
        """Whether to start nothing new."""
        return self.signal != 0
