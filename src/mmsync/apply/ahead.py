"""Reading the next models ahead of their turn, so that the re-read before each write costs no waiting.

The re-read must be recent: one older than half a second when its change begins is thrown away and made again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mmsync.client.error import ModelManagerError
from mmsync.parallel import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from mmsync.client import Client, LegacyClient, ModelDetail

__all__ = ["Ahead"]

_FRESH = 0.5  # seconds


class Ahead:
    """Reads models' details a little ahead, in the order given.

    Args:
        client: The way to the server.
        names: The models in the order their changes begin.
        jobs: How many to read ahead; with one job nothing is read ahead, requests stay one after another.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, client: Client | LegacyClient, names: Sequence[str], jobs: int, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._names = names
        self._place = {name: place for place, name in enumerate(names)}
        self._ahead = jobs if jobs > 1 else 0
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0
        self._read: dict[str, Future[tuple[ModelDetail | None, float]]] = {}
        self._pool = Pool(max(1, jobs), thread_name_prefix="reread") if self._ahead else None

    def reader(self, name: str) -> Callable[[], ModelDetail | None]:
        """Return a function that returns the model's detail as it was at most half a second ago.

        The function raises ModelManagerError as ``find_detail`` does.
        """
        if self._pool is None:
            return lambda: self._client.find_detail(name)
        with self._lock:
            until = min(self._place[name] + 1 + self._ahead, len(self._names))
            while self._next < until:
                upcoming = self._names[self._next]
                self._read[upcoming] = self._pool.submit(self._look, upcoming)
                self._next += 1
            future = self._read.pop(name)
        return lambda: self._recent(name, future)

    def close(self) -> None:
        """Read nothing more; readers already given still work."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, name: str) -> tuple[ModelDetail | None, float]:
        asked = self._clock()
        return self._client.find_detail(name), asked

    def _recent(self, name: str, future: Future[tuple[ModelDetail | None, float]]) -> ModelDetail | None:
        try:
            detail, asked = future.result()
        except ModelManagerError:
            return self._client.find_detail(name)
        if self._clock() - asked > _FRESH:
            return self._client.find_detail(name)
        return detail
