"""SIGINT and SIGTERM while a server runs."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["first_signal"]


@contextlib.contextmanager
def first_signal() -> Iterator[Callable[[], int]]:
    """Collect SIGINT and SIGTERM; what is yielded waits for the first and hands the next ones back.

    A pipe, because a handler may not take the lock that an Event's ``wait`` could be holding just then.
    """
    reader, writer = os.pipe()
    before: dict[signal.Signals, object] = {}

    def restore() -> None:
        while before:
            which, handler = before.popitem()
            signal.signal(which, handler)  # type: ignore[arg-type]  # it is what signal.signal returned

    def wait() -> int:
        number = os.read(reader, 1)[0]
        restore()
        return number

    try:
        for which in (signal.SIGINT, signal.SIGTERM):
            before[which] = signal.signal(which, lambda number, _: os.write(writer, bytes([number])))
        yield wait
    finally:
        restore()
        os.close(reader)
        os.close(writer)
