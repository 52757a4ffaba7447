"""Several at a time: one function over many items, in threads that make do with those that start."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_TICK = 0.5  # seconds after which a waiting main thread sees a signal that another thread was given
_GRACE = 1.0  # seconds that work in flight has to clear away after itself

shortage = threading.Event()
"""Whether a thread could not be started since this was cleared."""


def is_shortage(error: BaseException) -> bool:
    """Return whether the error is Python's for a thread that cannot be started."""
    return isinstance(error, RuntimeError) and "start new thread" in str(error)


def start(threads: Sequence[threading.Thread]) -> list[threading.Thread]:
    """Start threads that share one work until one cannot be; return those that run, which may be none."""
    running: list[threading.Thread] = []
    for thread in threads:
        try:
            thread.start()
        except RuntimeError as error:
            if not is_shortage(error):
                raise
            shortage.set()
            break
        running.append(thread)
    return running


def parallel_map(
    work: Callable[[_Item], _Result], items: Sequence[_Item], *, jobs: int, stop: threading.Event | None = None
) -> Generator[tuple[_Item, _Result], None, None]:
    """Yield each item with its result as it comes, in no particular order; without a thread, in the caller's.

    What ``work`` raises is raised here and ends the whole; ``stop`` is set when that ends, for whatever reason: long
    work should check it.
    """
    import queue  # noqa: PLC0415 - 1 ms, and --version, which asks this module for `shortage`, does without

    ended = stop or threading.Event()
    todo = deque(items)
    done: queue.SimpleQueue[tuple[_Item, _Result] | BaseException] = queue.SimpleQueue()

    def worker() -> None:
        while not ended.is_set():
            try:
                item = todo.popleft()
            except IndexError:
                return
            try:
                done.put((item, work(item)))
            except BaseException as error:  # noqa: BLE001 - it is the caller's, in whose thread it is raised again
                done.put(error)

    def taken() -> tuple[_Item, _Result] | BaseException:
        # A signal that came just before the wait began does not end it, so it ends now and then.
        while True:
            with contextlib.suppress(queue.Empty):
                return done.get(timeout=_TICK)

    # Daemons: a thread that waits for a server that has gone silent must not keep the process from ending.
    threads = [
        threading.Thread(target=worker, name=f"mmsync-{number}", daemon=True)
        for number in range(min(max(jobs, 1), len(items)))
    ]
    try:
        if items and not start(threads):
            yield from ((item, work(item)) for item in items)
            return
        for _ in items:
            result = taken()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        ended.set()
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            if thread.ident is not None:  # an interrupt may come before all are started
                thread.join(max(0.0, deadline - time.monotonic()))
