"""One function over many items, several at a time, in threads that an interrupt need not wait for."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from mmsync.errors import MmsyncError
from mmsync.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["abreast"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_GRACE = 1.0  # seconds that work in flight has to clear away after itself


def abreast(
    work: Callable[[_Item], _Result], items: Sequence[_Item], *, jobs: int, stop: threading.Event
) -> Generator[_Result]:
    """Yield the result for each item as it comes, in no particular order.

    Args:
        work: Called in one of the threads; what it raises is raised here, and ends the whole.
        items: What it is called with.
        jobs: How many threads.
        stop: Set when the whole ends, for whatever reason; long work should look at it.
    """
    todo: queue.SimpleQueue[_Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[_Result] | BaseException] = queue.SimpleQueue()
    for item in items:
        todo.put(item)

    def worker() -> None:
        while not stop.is_set():
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((work(item),))
            except BaseException as fault:  # noqa: BLE001 - it is the caller's, in whose thread it is raised again
                done.put(fault)

    # Daemons: a thread that waits for a server that has gone silent must not keep the process from ending.
    threads = [
        threading.Thread(target=worker, name=f"mmsync-abreast-{number}", daemon=True)
        for number in range(min(jobs, len(items)))
    ]
    try:
        if items and not start(threads):
            raise MmsyncError("this machine lets no thread start")
        for _ in items:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result[0]
    finally:
        stop.set()
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            if thread.ident is not None:  # an interrupt may come before all are started
                thread.join(max(0.0, deadline - time.monotonic()))
