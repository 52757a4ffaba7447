"""The contents of many model files: from the cache where a file is still the same, else read."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol

from mmsync.errors import FileFault
from mmsync.files.digest import digest_file
from mmsync.files.opening import file_key, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mmsync.states import Content, Desired, FileKey

__all__ = ["DigestCache", "ToldOnly", "is_racy", "read_contents"]

_MARGIN_NS = 2_000_000_000
# hashlib holds the interpreter's lock for small inputs, and a thread costs more than they do.
_SMALL_BYTES = 256 * 1024


class DigestCache(Protocol):
    """Remembers contents by the stat they were read under; forgetting costs time, never correctness."""

    def get(self, key: FileKey) -> Content | None:
        """Return the content read under ``key``, or None."""

    def put(self, contents: Sequence[Content]) -> None:
        """Remember contents, each under its own key."""


class ToldOnly:
    """A cache that is told what was read and never asked: every file is read again.

    A file written through a memory map may change without its stamps moving; no cache can know.
    """

    def __init__(self, cache: DigestCache) -> None:
        self.put = cache.put

    def get(self, _key: FileKey) -> None:
        """Know nothing."""


def is_racy(key: FileKey, now_ns: int) -> bool:
    """Tell whether a file so stamped may still change without its stamps showing it (Git's racy rule).

    Stamps within two seconds of ``now_ns`` are too fresh: clocks tick coarsely. A change time in the future comes of
    another machine's clock and is never trusted; a modification time in the future is anybody's to set.
    """
    _dev, _ino, _size, mtime_ns, ctime_ns = key
    return ctime_ns > now_ns - _MARGIN_NS or -_MARGIN_NS < mtime_ns - now_ns < _MARGIN_NS


def read_contents(
    desired: Iterable[Desired],
    stats: Mapping[str, os.stat_result],
    cache: DigestCache,
    *,
    now_ns: int,
    jobs: int = 2,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Content | FileFault]:
    """Return each model's content, or why there is none, by name in the order of ``desired``.

    Files the cache knows are not opened. Two models with the same file have it read once.

    Args:
        desired: The models.
        stats: A recent stat of each file by ``Desired.path``; a missing one is taken here.
        cache: Asked first, and told of what was read, unless that is too fresh to trust.
        now_ns: When the stats were taken, or a little before (ns since the epoch).
        jobs: How many large files to read at a time.
        on_progress: Called with a model's name, bytes read and bytes in all, in any of the threads; what it raises
            stops the reading and is passed on, after what was read has been remembered.
    """
    found: dict[str, Content | FileFault] = {}
    waiting: dict[FileKey, list[Desired]] = {}
    look_up, known = cache.get, stats.get
    # Ten thousand models pass here in every run, and all but a few have been read before.
    for model in desired:
        try:
            key = file_key(known(model.path) or _stat(model.path))
        except FileFault as fault:
            found[model.name] = fault
            continue
        content = None if is_racy(key, now_ns) else look_up(key)
        if content is None:
            waiting.setdefault(key, []).append(model)
        # The placeholder keeps the results in the order of what was asked.
        found[model.name] = content or _UNREAD
    if waiting:
        _Reading(waiting, found, on_progress).run(jobs, cache, now_ns)
    return found


_Item = tuple["FileKey", "list[Desired]"]
_UNREAD = FileFault("", "was not read")


def _stat(path: str) -> os.stat_result:
    if "\0" in path:
        raise FileFault(path.replace("\0", "\\0"), "a path cannot hold a NUL character")
    with translated(path):
        return os.stat(path)  # noqa: PTH116 - paths stay text


class _Reading:
    """Reads the files the cache does not know, the large ones in threads beside the small ones."""

    def __init__(
        self,
        waiting: dict[FileKey, list[Desired]],
        found: dict[str, Content | FileFault],
        on_progress: Callable[[str, int, int], None] | None,
    ) -> None:
        self.waiting = waiting
        self.found = found
        self.on_progress = on_progress
        self.read: list[Content] = []
        self.stop = threading.Event()

    def run(self, jobs: int, cache: DigestCache, now_ns: int) -> None:
        large = [item for item in self.waiting.items() if item[0].size > _SMALL_BYTES]
        small = [item for item in self.waiting.items() if item[0].size <= _SMALL_BYTES]
        try:
            if jobs > 1 and len(large) > 1:
                self._in_threads(large, small, jobs)
            else:
                for key, models in small + large:
                    self._one(key, models)
        finally:
            fresh = [content for content in self.read if not is_racy(content.key, now_ns)]
            if fresh:
                cache.put(fresh)

    def _in_threads(self, large: list[_Item], small: list[_Item], jobs: int) -> None:
        from mmsync.parallel import Pool  # noqa: PLC0415 - most runs read nothing

        with Pool(min(jobs, len(large)), "mmsync-digest") as pool:
            try:
                futures = [pool.submit(self._one, *item) for item in large]
                for item in small:
                    self._one(*item)
                for future in futures:
                    future.result()
            except BaseException:
                self.stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _one(self, key: FileKey, models: list[Desired]) -> None:
        first = models[0]

        def progress(done: int, total: int) -> None:
            if self.stop.is_set():
                raise FileFault(first.path, "was not read to its end: the run was stopped")
            if self.on_progress is not None:
                self.on_progress(first.name, done, total)

        result: Content | FileFault
        try:
            result = digest_file(first.path, same_as=key, on_progress=progress)
        except FileFault as fault:
            result = fault
        else:
            self.read.append(result)
        for model in models:
            self.found[model.name] = result
