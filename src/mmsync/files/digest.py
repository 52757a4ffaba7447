"""A model file's content by its sha256, read as a whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shlex
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from mmsync.errors import FileError
from mmsync.files.allowed_paths import OPEN_FLAGS, kind_of
from mmsync.formats import claims_to_be_pointer
from mmsync.parallel import parallel_map
from mmsync.types import Content, Desired, FileKey, file_key

MAX_POINTER_BYTES = 1024  # a pointer is never longer: Git LFS itself reads no more to decide

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})\n"
)


def read_pointer(data: bytes) -> tuple[str, int] | None:
    """Return the sha256 in lower-case hex and the size in bytes of the file that the pointer ``data`` stands for.

    None where ``data``, a whole file, is anything else, a damaged pointer included.
    """
    found = _POINTER.fullmatch(data) if len(data) <= MAX_POINTER_BYTES else None
    return (found[1].decode(), int(found[2])) if found else None


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
    """Raise `FileError` unless it is the very file found by the scan: a link may lie there by now."""
    there = found if isinstance(found, FileKey) else file_key(found)
    if (key.dev, key.ino) != (there.dev, there.ino):
        raise FileError(path, "was replaced after it was looked at", "wait until it is written, then try again")


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn any OSError met meanwhile into a `FileError` of ``path``, and refuse a path that none can have."""
    _refuse_nul(path)
    try:
        yield
    except OSError as error:
        raise _unreadable(path, error) from error


def _refuse_nul(path: str) -> None:
    if "\0" in path:
        raise FileError(path.replace("\0", "\\0"), "a path cannot hold a NUL character")


def _unreadable(path: str, error: OSError) -> FileError:
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    return FileError(path, f"cannot be read: {reason}", _HINTS.get(error.errno or 0, ""))


@contextmanager
def opened(path: str) -> Iterator[tuple[int, os.stat_result]]:
    """Open a regular file for reading; give its descriptor and its stat.

    Raises `FileError` where it is missing, unreadable, or no regular file: a FIFO or device is never waited for.
    """
    # Not `translated`, which would be a tenth of hashing a small file: ten thousand are opened.
    _refuse_nul(path)
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        status = _status(path, descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileError(path, f"is {kind_of(status)}, not a file", "name the model file itself")
        yield descriptor, status
    finally:
        os.close(descriptor)


def _status(path: str, descriptor: int) -> os.stat_result:
    try:
        return os.fstat(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from error


# Measured: 256 KiB to 1 MiB hash equally fast, smaller ones spend time in calls, a whole file in page faults.
_BUFFER_BYTES = 512 * 1024
# hashlib holds the interpreter's lock for small inputs, and a thread costs more than they do: two threads read
# files of 20 kB no faster than one. They are read at once, in one thread.
_SMALL_BYTES = 256 * 1024

_OnProgress = Callable[[int, int], None] | None


def digest_file(
    path: str,
    *,
    same_as: os.stat_result | FileKey | None = None,
    on_progress: _OnProgress = None,
    while_open: Callable[[int, Content], object] | None = None,
) -> Content:
    """Read the file once and return its content; a Git LFS pointer gives the content it stands for.

    The content's key is the stat of the very descriptor that was read, so a file put in its place meanwhile is
    another one. Memory is constant. ``on_progress`` is called with bytes read and the file's size after each half MiB,
    and ``while_open``, unless it is a pointer, with the descriptor and the content, before it is known whether the file
    changed meanwhile; what they raise ends the reading and is passed on. Raises `FileError` where the file cannot be
    opened, is not the one that was scanned (``same_as``), changes while it is read, or is a damaged pointer.
    """
    with opened(path) as (descriptor, before):
        key = file_key(before)
        if same_as is not None:
            require_same(path, key, same_as)
        read = _digest_at_once if key.size <= _SMALL_BYTES else _digest_in_pieces
        sha256, done, head = read(path, descriptor, key.size, on_progress)
        content = Content(sha256, done, key)
        is_pointer = claims_to_be_pointer(head)
        if while_open is not None and not is_pointer:
            while_open(descriptor, content)
        after = file_key(_status(path, descriptor))
        if done != key.size or after != key:
            raise FileError(path, "changed while it was read", "wait until it is written, then try again")
    if not is_pointer:
        return content
    pointer = read_pointer(head)
    if pointer is None:
        raise FileError(path, "is a Git LFS pointer of an unknown form", f"fetch the file: {pull_command(path)}")
    return Content(*pointer, key, lfs=True)


def _digest_at_once(path: str, descriptor: int, size: int, on_progress: _OnProgress) -> tuple[str, int, bytes]:
    """Return the sha256 of a small file, its bytes in number, and themselves where they may be a Git LFS pointer."""
    # One byte more than there should be is asked for, so that a file that grows is seen to.
    try:
        data = os.read(descriptor, size + 1)
        while len(data) <= size and (more := os.read(descriptor, size + 1 - len(data))):
            data += more
    except OSError as error:
        raise _unreadable(path, error) from error
    sha256 = hashlib.sha256(data).hexdigest()
    if on_progress is not None and 0 < len(data) <= size:
        on_progress(len(data), size)
    return sha256, len(data), data if size <= MAX_POINTER_BYTES else b""


def _digest_in_pieces(path: str, descriptor: int, size: int, on_progress: _OnProgress) -> tuple[str, int, bytes]:
    """Return the sha256 of a file too large to be a pointer, and how many bytes it has."""
    digest = hashlib.sha256()
    done = 0
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    with translated(path):
        file = io.FileIO(descriptor, closefd=False)
    while done <= size:  # as above: until the end, or one byte more than there should be
        try:  # what on_progress raises, an OSError included, is no error of the file
            count = file.readinto(buffer)
        except OSError as error:
            raise _unreadable(path, error) from error
        if not count:
            break
        digest.update(buffer[:count])
        done += count
        if on_progress is not None and done <= size:
            on_progress(done, size)
    return digest.hexdigest(), done, b""


_MARGIN_NS = 2_000_000_000


class DigestCache(Protocol):
    """Remembers contents by the stat they were read under; forgetting costs time, never correctness."""

    def get(self, key: FileKey) -> Content | None:
        """Return the content read under ``key``, or None."""

    def put(self, contents: Sequence[Content]) -> None:
        """Remember contents, each under its own key."""


class ToldOnly:
    """A write-only cache, told what was read and never asked: every file is read again.

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
    while_open: Callable[[Sequence[Desired], int, Content], object] | None = None,
) -> dict[str, Content | FileError]:
    """Return each model's content, or why there is none, by name in the order of ``desired``.

    Files the cache knows are not opened; it is told of what was read, unless that is too fresh to trust. Two models
    with the same file have it read once.

    Args:
        stats: A recent stat of each file by ``Desired.path``; a missing one is taken here.
        now_ns: When the stats were taken, or a little before (ns since the epoch).
        jobs: How many large files to read at a time.
        on_progress: Called with a model's name, bytes read and bytes in all, in any of the threads; what it raises
            stops the reading and is passed on, after what was read has been remembered.
        while_open: Called with the models, the descriptor and the content of each file that is read, in any of the
            threads, while it is open (see `digest_file`); a `FileError` it raises becomes the result.
    """
    found: dict[str, Content | FileError] = {}
    waiting: dict[FileKey, list[Desired]] = {}
    look_up, known = cache.get, stats.get
    # Ten thousand models pass here in every run, and all but a few have been read before.
    for model in desired:
        try:
            status = known(model.path)
            if status is None:
                with translated(model.path):
                    status = os.stat(model.path)  # noqa: PTH116 - paths stay text
            key = file_key(status)
        except FileError as error:
            found[model.name] = error
            continue
        content = None if is_racy(key, now_ns) else look_up(key)
        if content is None:
            waiting.setdefault(key, []).append(model)
        # The placeholder keeps the results in the order of what was asked.
        found[model.name] = content or _UNREAD
    if waiting:
        read = _Reader(found, on_progress, while_open)
        try:
            read.all(waiting, jobs)
        finally:
            if fresh := [content for content in read.contents if not is_racy(content.key, now_ns)]:
                cache.put(fresh)
    return found


_UNREAD = FileError("", "was not read")


class _Reader:
    """Reads files that are not known into ``found``, the large ones in threads beside the small ones."""

    def __init__(
        self,
        found: dict[str, Content | FileError],
        on_progress: Callable[[str, int, int], None] | None,
        while_open: Callable[[Sequence[Desired], int, Content], object] | None,
    ) -> None:
        self.contents: list[Content] = []  # what was read
        self._found = found
        self._on_progress = on_progress
        self._while_open = while_open
        self._stop = threading.Event()

    def all(self, waiting: Mapping[FileKey, list[Desired]], jobs: int) -> None:
        """Read all of them, or raise what a callback raises."""
        large = [item for item in waiting.items() if item[0].size > _SMALL_BYTES]
        # The largest first: begun last, it would keep one thread at work while the others have none.
        large.sort(key=lambda item: item[0].size, reverse=True)
        small = [item for item in waiting.items() if item[0].size <= _SMALL_BYTES]
        if jobs > 1 and len(large) > 1:
            # The small ones are one piece of work, begun first; each large one is another.
            for _ in parallel_map(self._read, [small, *([item] for item in large)], jobs=jobs, stop=self._stop):
                pass
        else:
            self._read(small + large)

    def _read(self, items: Sequence[tuple[FileKey, list[Desired]]]) -> None:
        for key, models in items:
            if self._stop.is_set():
                return
            result: Content | FileError
            try:
                result = digest_file(
                    models[0].path,
                    same_as=key,
                    on_progress=partial(self._progress, models[0]),
                    while_open=partial(self._while_open, models) if self._while_open else None,
                )
            except FileError as error:
                result = error
            else:
                self.contents.append(result)
            self._found.update(dict.fromkeys((model.name for model in models), result))

    def _progress(self, model: Desired, done: int, total: int) -> None:
        if self._stop.is_set():
            raise FileError(model.path, "was not read to its end: the run was stopped")
        if self._on_progress is not None:
            self._on_progress(model.name, done, total)
