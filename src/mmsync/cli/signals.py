"""SIGINT and SIGTERM: the first asks to stop, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["Stopping", "stop_on_signals"]


class Stopping:
    """Whether a stop was asked for, and by which signal."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.signal: int | None = None

    def is_set(self) -> bool:
        """Whether to start nothing new."""
        return self._event.is_set()

    @property
    def exit_code(self) -> int | None:
        """128 + the signal's number, or None where none came."""
        return None if self.signal is None else 128 + self.signal

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; at the second, leave without waiting for anything."""
        del frame
        if self._event.is_set():
            os._exit(128 + number)
        self.signal = number
        self._event.set()
        # A handler may run inside another write to stderr: bytes go out past Python's buffers.
        with contextlib.suppress(OSError):
            os.write(2, b"\nStopping: what is in flight finishes (10 s), nothing new begins. Again to stop at once.\n")


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stopping]:
    """Turn SIGINT and SIGTERM into a ``Stopping`` while the body runs; then put the old handlers back."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {number: signal.signal(number, stopping.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
