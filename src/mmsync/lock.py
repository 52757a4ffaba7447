"""Two mmsyncs on one machine against one server take turns."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync.errors import LockTimeout, SettingsError

if TYPE_CHECKING:
    from mmsync.types import ServerName


@contextlib.contextmanager
def server_lock(folder: Path, server: ServerName, *, timeout: float, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the machine's lock for one server while the body runs; the kernel frees it if the process dies.

    The folder is the same for every mmsync of this user, whatever ledger each uses; `SettingsError` where it cannot be
    used, or belongs to somebody else. ``on_wait`` is called once with a sentence when there is something to wait for;
    where another mmsync does not finish in ``timeout`` seconds, `LockTimeout` is raised.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only applying needs it

    path = private_folder(folder) / f"{hashlib.sha256(repr(tuple(server)).encode()).hexdigest()[:32]}.lock"
    lock = FileLock(path, mode=0o600)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait(f"waiting for another mmsync at work on {server.url}")
            lock.acquire(timeout=timeout)
    except Timeout as error:
        raise LockTimeout(
            f"another mmsync has been at work on {server.url} for more than {timeout:g} s",
            "wait for it to end, or give it longer with --lock-timeout",
        ) from error
    except (OSError, NotImplementedError) as error:  # the second from filelock, where there are no locks at all
        raise SettingsError(
            f"cannot lock {path}: {getattr(error, 'strerror', None) or error}",
            "network file systems may have no locks: set MMSYNC_LOCK_DIR to a folder on a disk of this machine",
        ) from error
    try:
        yield
    finally:
        lock.release()


def private_folder(folder: Path) -> Path:
    """Make the folder for this user alone; `SettingsError` where that cannot be, or somebody else made it first."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        hint = "set MMSYNC_LOCK_DIR to a folder that can be written"
        raise SettingsError(f"cannot make the lock folder {folder}: {error.strerror}", hint) from error
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        raise SettingsError(f"the lock folder {folder} belongs to somebody else", "set MMSYNC_LOCK_DIR to another one")
    return folder
