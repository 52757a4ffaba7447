"""A model file's content by its sha256, read as a whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from mmsync.errors import FileError
from mmsync.formats import claims_to_be_pointer
from mmsync.parallel import parallel_map
from mmsync.types import Content, Desired, FileKey, file_key

MAX_POINTER_BYTES = 1024
"""A pointer is never longer: Git LFS itself reads no more to decide."""

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})\n"
)


class Pointer(NamedTuple):
    """The file a pointer stands for: its sha256 in lower-case hex and its size in bytes."""

    sha256: str
    size: int


def read_pointer(data: bytes) -> Pointer | None:
    """Return the pointer that ``data``, a whole file, is; None where it is anything else, a damaged one included."""
    if len(data) > MAX_POINTER_BYTES:
        return None
    found = _POINTER.fullmatch(data)
    return Pointer(found[1].decode(), int(found[2])) if found else None


def pull_command(path: str) -> str:
    """Return the command that fetches the real file; ``path`` as one gives it to Git in the same folder."""
    return f"git lfs pull --include={shlex.quote(path)}"


_HINTS = {
    errno.ENOENT: "check the path",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EIO: "check the disk or the network mount it lies on",
    errno.ESTALE: "the network mount has lost the file; try again",
    errno.ENOSPC: "make room on the disk",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "raise the limit on open files (fs.file-max)",
}


def require_same(path: str, key: FileKey, found: os.stat_result | FileKey) -> None:
    """Let only the very file pass that was found at the path when it was looked at: what lies there now may be a link.

    Raises:
        FileError: It is another one.
    """
    there = found if isinstance(found, FileKey) else file_key(found)
    if (key.dev, key.ino) != (there.dev, there.ino):
        raise FileError(path, "was replaced after it was looked at", "wait until it is written, then try again")


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn any OSError met meanwhile into a `FileError` of ``path``."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        raise FileError(path, f"cannot be read: {reason}", _HINTS.get(error.errno or 0, "")) from error


@contextmanager
def opened(path: str) -> Iterator[tuple[int, os.stat_result]]:
    """Open a regular file for reading; give its descriptor and its stat.

    Raises:
        FileError: It is missing, unreadable, or no regular file (a FIFO or device is refused, never waited for).
    """
    if "\0" in path:
        raise FileError(path.replace("\0", "\\0"), "a path cannot hold a NUL character")
    with translated(path):
        # O_NONBLOCK: opening a FIFO nobody writes to would wait for ever; on a regular file it has no effect.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        with translated(path):
            status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileError(path, f"is {_kind(status.st_mode)}, not a file", "name the model file itself")
        yield descriptor, status
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device"


# Measured: 256 KiB to 1 MiB hash equally fast, smaller ones spend time in calls, a whole file in page faults.
_BUFFER_BYTES = 512 * 1024


def digest_file(
    path: str, *, same_as: os.stat_result | FileKey | None = None, on_progress: Callable[[int, int], None] | None = None
) -> Content:
    """Read the file once and return its content; a Git LFS pointer gives the content it stands for.

    The content's key is the stat of the very descriptor that was read, so a file put in its place meanwhile is
    another one. Memory is constant.

    Args:
        same_as: What was found at the path when it was looked at; another file there now is an error.
        on_progress: Called with bytes read and the file's size after each half MiB; what it raises ends the reading
            and is passed on.

    Raises:
        FileError: The file is missing, unreadable, no regular file, changed while it was read, or a damaged pointer.
    """
    with opened(path) as (descriptor, before):
        key = file_key(before)
        if same_as is not None:
            require_same(path, key, same_as)
        size = before.st_size
        digest = hashlib.sha256()
        head = b""
        done = 0
        buffer = memoryview(bytearray(min(_BUFFER_BYTES, size + 1)))
        # One byte more than there should be is asked for, so that a file that grows is seen to.
        while count := _read(path, descriptor, buffer):
            if done == 0 and size <= MAX_POINTER_BYTES:
                head = bytes(buffer[:count])
            digest.update(buffer[:count])
            done += count
            if done > size:
                break
            if on_progress is not None:
                on_progress(done, size)
        with translated(path):
            after = file_key(os.fstat(descriptor))
        if done != size or after != key:
            raise FileError(path, "changed while it was read", "wait until it is written, then try again")
    if claims_to_be_pointer(head):
        pointer = read_pointer(head)
        if pointer is None:
            raise FileError(path, "is a Git LFS pointer of an unknown form", f"fetch the file: {pull_command(path)}")
        return Content(pointer.sha256, pointer.size, key, lfs=True)
    return Content(digest.hexdigest(), size, key)


def _read(path: str, descriptor: int, buffer: memoryview) -> int:
    # Apart from the loop: what on_progress raises, an OSError included, is none of the file's errors.
    with translated(path):
        return os.readv(descriptor, [buffer])


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
) -> dict[str, Content | FileError]:
    """Return each model's content, or why there is none, by name in the order of ``desired``.

    Files the cache knows are not opened. Two models with the same file have it read once.

    Args:
        stats: A recent stat of each file by ``Desired.path``; a missing one is taken here.
        cache: Asked first, and told of what was read, unless that is too fresh to trust.
        now_ns: When the stats were taken, or a little before (ns since the epoch).
        jobs: How many large files to read at a time.
        on_progress: Called with a model's name, bytes read and bytes in all, in any of the threads; what it raises
            stops the reading and is passed on, after what was read has been remembered.
    """
    found: dict[str, Content | FileError] = {}
    waiting: dict[FileKey, list[Desired]] = {}
    look_up, known = cache.get, stats.get
    # Ten thousand models pass here in every run, and all but a few have been read before.
    for model in desired:
        try:
            key = file_key(known(model.path) or _stat(model.path))
        except FileError as error:
            found[model.name] = error
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
_UNREAD = FileError("", "was not read")


def _stat(path: str) -> os.stat_result:
    if "\0" in path:
        raise FileError(path.replace("\0", "\\0"), "a path cannot hold a NUL character")
    with translated(path):
        return os.stat(path)  # noqa: PTH116 - paths stay text


class _Reading:
    """Reads the files the cache does not know, the large ones in threads beside the small ones."""

    def __init__(
        self,
        waiting: dict[FileKey, list[Desired]],
        found: dict[str, Content | FileError],
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
                # The small ones are one piece of work, begun first; each large one is another.
                for _ in parallel_map(self._some, [small, *([item] for item in large)], jobs=jobs, stop=self.stop):
                    pass
            else:
                self._some(small + large)
        finally:
            fresh = [content for content in self.read if not is_racy(content.key, now_ns)]
            if fresh:
                cache.put(fresh)

    def _some(self, items: list[_Item]) -> None:
        for item in items:
            self._one(*item)

    def _one(self, key: FileKey, models: list[Desired]) -> None:
        first = models[0]

        def progress(done: int, total: int) -> None:
            if self.stop.is_set():
                raise FileError(first.path, "was not read to its end: the run was stopped")
            if self.on_progress is not None:
                self.on_progress(first.name, done, total)

        result: Content | FileError
        try:
            result = digest_file(first.path, same_as=key, on_progress=progress)
        except FileError as error:
            result = error
        else:
            self.read.append(result)
        for model in models:
            self.found[model.name] = result
