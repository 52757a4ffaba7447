"""An iterator run in a thread of its own, a few items ahead of whoever takes them."""

from __future__ import annotations

import threading
from queue import Empty, Queue
from typing import TYPE_CHECKING, TypeVar

from mmsync.threads import start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ahead"]

_Item = TypeVar("_Item")
_END = object()


def ahead(items: Iterable[_Item], count: int = 4) -> Iterator[_Item]:
    """Yield ``items``, made in another thread while this one is busy with those before, at most ``count`` ahead.

    What making them raises is raised here, in its turn. The thread has ended when this generator has, also when it
    is closed before its end.
    """
    made: Queue[object] = Queue(maxsize=count)
    given_up = threading.Event()

    def make() -> None:
        try:
            for item in items:
                made.put(item)
                if given_up.is_set():
                    return
            made.put(_END)
        except BaseException as error:  # noqa: BLE001 - handed over whole, to be raised where it can be dealt with
            made.put(_Failure(error))

    thread = threading.Thread(target=make, name="mmsync-ahead", daemon=True)
    if not start([thread]):
        yield from items
        return
    try:
        while (item := made.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]  # what else is in the queue came from the items
    finally:
        given_up.set()
        while thread.is_alive():
            try:
                made.get(timeout=0.01)
            except Empty:
                thread.join(0.01)


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error
