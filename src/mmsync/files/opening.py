"""The one way a model file is opened, and the one place where an OSError becomes a `FileFault`."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING

from mmsync.errors import FileFault
from mmsync.states import FileKey

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["file_key", "opened", "require_same", "translated"]

# One call for all of them: a key is made for every model of every run.
_stamps = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")

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


def file_key(status: os.stat_result) -> FileKey:
    """Return what identifies a state of the file ``status`` was taken from."""
    return FileKey._make(_stamps(status))


def require_same(path: str, key: FileKey, found: os.stat_result | FileKey) -> None:
    """Let only the very file pass that was found at the path when it was looked at: what lies there now may be a link.

    Raises:
        FileFault: It is another one.
    """
    there = found if isinstance(found, FileKey) else file_key(found)
    if (key.dev, key.ino) != (there.dev, there.ino):
        raise FileFault(path, "was replaced after it was looked at", "wait until it is written, then try again")


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn any OSError met meanwhile into a `FileFault` of ``path``."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        raise FileFault(path, f"cannot be read: {reason}", _HINTS.get(error.errno or 0, "")) from error


@contextmanager
def opened(path: str) -> Iterator[tuple[int, os.stat_result]]:
    """Open a regular file for reading; give its descriptor and its stat.

    Raises:
        FileFault: It is missing, unreadable, or no regular file (a FIFO or device is refused, never waited for).
    """
    if "\0" in path:
        raise FileFault(path.replace("\0", "\\0"), "a path cannot hold a NUL character")
    with translated(path):
        # O_NONBLOCK: opening a FIFO nobody writes to would wait for ever; on a regular file it has no effect.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        with translated(path):
            status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileFault(path, f"is {_kind(status.st_mode)}, not a file", "name the model file itself")
        yield descriptor, status
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device"
