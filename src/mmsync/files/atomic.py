"""Files written whole or not at all, and never over another unless that was asked for."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:
    # Windows; leftovers of killed processes stay there, as nothing tells them from what is being written.
    fcntl = None  # type: ignore[assignment]

# What file systems without hard links answer (FAT, some network mounts), and Linux where links are restricted.
_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

# Bytes after which the disk is asked to begin with them. Waiting for all of them at the end takes as long again as
# receiving them did.
_WRITE_BACK = 16 << 20


class _DraftFile(io.FileIO):
    """A file that goes to the disk while it is written, where the system can be asked for that."""

    _waiting = 0  # bytes written that the disk was not asked for yet

    def write(self, data: Any) -> int:
        count = super().write(data)
        self._waiting += count
        if self._waiting >= _WRITE_BACK and hasattr(os, "posix_fadvise"):
            # "Not needed in memory" makes Linux write what is new; it keeps that for readers while it is being written.
            with contextlib.suppress(OSError):
                end = self.tell()
                start = max(end - self._waiting, 0)  # it may have been rewound
                os.posix_fadvise(self.fileno(), start, end - start, os.POSIX_FADV_DONTNEED)
            self._waiting = 0
        return count


class Draft:
    """A hidden file, open for writing, that becomes its target when it is complete."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path

    def become(self, target: Path, *, replace: bool) -> None:
        """Give the complete draft its name.

        Raises `FileExistsError` where something has that name and is not to be replaced, else an OSError of the disk.
        """
        self.file.flush()
        os.fsync(self.file.fileno())
        if not fcntl:
            self.file.close()  # Windows renames no open file; elsewhere it would lose its lock before it has its name
        if replace:
            self.path.replace(target)
            return
        try:
            # A link, unlike a rename, fails where another process was quicker.
            target.hardlink_to(self.path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
            self.path.replace(target)


@contextlib.contextmanager
def draft_in(folder: Path) -> Iterator[Draft]:
    """Open a draft in ``folder``; whatever was not given a name is gone afterwards."""
    _clear_leftovers(folder)
    while True:
        path = folder / f".mmsync-{secrets.token_hex(8)}.partial"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        file = io.BufferedWriter(_DraftFile(os.open(path, flags, 0o666), "wb"))
        if _is_ours(file) and os.path.lexists(path):
            break
        file.close()  # taken for left over between the two calls
        path.unlink(missing_ok=True)
    with file:
        try:
            yield Draft(file, path)
        finally:
            path.unlink(missing_ok=True)


def _is_ours(file: BinaryIO) -> bool:
    """Lock a draft, which shows it to be somebody's for as long as this process lives; False where another was quicker.

    True where there are no locks: then nobody takes a draft for left over either.
    """
    if fcntl:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True


@functools.cache  # once a process and folder: our own drafts are locked, those of others are theirs
def _clear_leftovers(folder: Path) -> None:
    """Remove the drafts of processes that were killed; those that live hold a lock on theirs."""
    if not fcntl:
        return
    with contextlib.suppress(OSError):
        for path in folder.glob(".mmsync-????????????????.partial"):
            with contextlib.suppress(OSError):  # locked by its owner, or gone, or none of ours
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(descriptor)


def write_new(target: Path, text: str, *, replace: bool = False) -> None:
    """Write a text file whole or not at all; raises what `Draft.become` does, or an OSError of the disk."""
    with draft_in(target.parent) as draft:
        draft.file.write(text.encode())
        draft.become(target, replace=replace)


def rewrite(path: Path, data: bytes, *, was: bytes) -> None:
    """Replace a file's content whole or not at all; its mode stays, and a link is written through.

    Raises `FileExistsError` where it no longer holds what it ``was``, and an OSError of the disk.
    """
    target = Path(os.path.realpath(path))
    with draft_in(target.parent) as draft:
        draft.file.write(data)
        status = target.stat()
        with contextlib.suppress(OSError, AttributeError):  # only root can give a file away, and Windows has no owners
            os.chown(draft.path, status.st_uid, status.st_gid)
        draft.path.chmod(stat.S_IMODE(status.st_mode))
        if target.read_bytes() != was:
            raise FileExistsError(errno.EEXIST, "it was changed meanwhile", str(path))
        draft.become(target, replace=True)
