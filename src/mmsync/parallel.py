"""A pool of threads that makes do with those that start."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from mmsync.threads import is_shortage, shortage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pool"]

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
