"""A pool of threads that makes do with those that start."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Pool", "is_shortage", "shortage", "start"]

shortage = threading.Event()
"""Whether a thread could not be started since this was cleared."""


def is_shortage(error: BaseException) -> bool:
    """Whether the error is Python's for a thread that cannot be started."""
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


_Result = TypeVar("_Result")


class Pool(ThreadPoolExecutor):
    """A ThreadPoolExecutor that makes do with the threads that start; without any, it works in the caller's."""

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Schedule a call; see ThreadPoolExecutor. Where no thread runs at all, it is made before this returns."""
        future = super().submit(fn, *args, **kwargs)
        if not self._threads and future.cancel():
            future = Future()
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
                future.set_exception(error)
        return future

    def _adjust_thread_count(self) -> None:
        # Called by submit when the call is queued already: the threads that run will come to it.
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            if not is_shortage(error):
                raise
            shortage.set()
