"""SIGINT and SIGTERM: the first asks to stop, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from mmsync.cli.errors import ExitCode
from mmsync.printable import few, harmless

_NOTICE = "Stopping: what is in flight finishes (10 s), nothing new begins. Again to stop at once."


class Stopping:
    """A stop that was asked for, and the signal that did."""

    def __init__(self) -> None:
        self.signal: int | None = None  # the first signal's number
        # Shows a notice among what is drawn on the terminal; returns False where nothing is drawn.
        self.draw: Callable[[str], bool] = lambda _notice: False
        self.in_flight: dict[str, None] = {}  # names of what has begun and not ended, kept by whoever does the work

    def is_set(self) -> bool:
        """Return whether to start nothing new."""
        return self.signal is not None

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """Note the first signal; at the second, leave without waiting for anything."""
        if self.is_set():
            left_open = "Nothing was in flight."
            if names := list(self.in_flight):
                left_open = f"Whether the server has them is not known: {few(names, 5)}. The next plan tells."
            _write(f"Stopped at once. {left_open}")
            os._exit(128 + number)
        self.signal = number
        if not self.draw(_NOTICE):
            _write(_NOTICE)


def _write(line: str) -> None:
    # A handler may run inside another write to stderr: bytes go out past Python's buffers.
    with contextlib.suppress(OSError):
        os.write(2, f"\n{harmless(line)}\n".encode("utf-8", "replace"))


@contextlib.contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Give SIGINT and SIGTERM to ``handler`` while the body runs; then put the old handlers back."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stopping]:
    """Turn SIGINT and SIGTERM into a ``Stopping`` while the body runs; then put the old handlers back."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    with handled_by(stopping.ask):
        yield stopping


def end_on_sigterm() -> None:
    """Turn SIGTERM into an exit with 143 that unwinds the stack; a second one waits for nothing.

    Without a handler it would do nothing at all to the first process of a container.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, lambda *_: os._exit(ExitCode.TERMINATED))
        sys.exit(ExitCode.TERMINATED)

    signal.signal(signal.SIGTERM, leave)
