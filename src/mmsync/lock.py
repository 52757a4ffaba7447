"""The machine's locks: two mmsyncs on one server take turns, disjoint shards of it work side by side.

A whole run locks the server's file for itself. A shard shares that file with the other shards of the same count, which
the file names, and has a file of its own for itself, so that no shard is at work twice. Every lock is the kernel's,
which frees it when the process ends, however that comes.

The order: whoever waits for the server's file keeps the gate shut meanwhile, so that nobody who comes later passes, be it
a shard that could work beside those at work. It comes in when these have ended. Those before the gate try every 50 ms,
and whichever tries first after it opens is the next. Whoever gives up loses its place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync.errors import LockTimeout, SettingsError

if TYPE_CHECKING:
    from mmsync.types import ServerName

_POLL = 0.05  # seconds between two attempts
_TAKEN = frozenset({errno.EAGAIN, errno.EACCES})


@contextlib.contextmanager
def server_lock(
    folder: Path,
    server: ServerName,
    *,
    timeout: float,
    on_wait: Callable[[str], None],
    shard: tuple[int, int] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[None]:
    """Hold the machine's lock for one server, or for one ``shard`` of it, while the body runs.

    The folder is the same for every mmsync of this user, whatever ledger each uses; `SettingsError` where it cannot be
    used, or belongs to somebody else. ``shard`` is ``(i, n)`` as in `Selection`. ``on_wait`` is called once with a
    sentence when there is something to wait for; where another mmsync does not finish in ``timeout`` seconds,
    `LockTimeout` is raised. ``clock`` tells monotonic seconds.
    """
    name = hashlib.sha256(repr(tuple(server)).encode()).hexdigest()[:32]
    path = private_folder(folder) / f"{name}.lock"
    began: float | None = None

    def until(acquire: Callable[[], bool], where: str) -> None:
        nonlocal began
        while not acquire():
            if began is None:
                began = clock()
                on_wait(f"waiting for another mmsync at work on {where}")
            left = began + timeout - clock()
            if left <= 0:
                raise LockTimeout(
                    f"another mmsync has been at work on {where} for more than {timeout:g} s",
                    "wait for it to end, or give it longer with --lock-timeout",
                )
            sleep(min(_POLL, left))

    with contextlib.ExitStack() as locked:
        try:
            if shard is not None:
                # First: whoever waits for its own twin keeps no gate shut for the others.
                own = locked.enter_context(_opened(path.with_suffix(".{}-of-{}.lock".format(*shard))))
                until(lambda: _acquire(own, fcntl.LOCK_EX), "shard {}/{} of {}".format(*shard, server.url))
            with _opened(path.with_suffix(".gate.lock")) as gate:
                until(lambda: _acquire(gate, fcntl.LOCK_EX), server.url)
                whole = locked.enter_context(_opened(path))
                until(lambda: _admitted(whole, shard[1] if shard else None), server.url)
        except OSError as error:
            raise SettingsError(
                f"cannot lock {path}: {error.strerror or error}",
                "network file systems may have no locks: set MMSYNC_LOCK_DIR to a folder on a disk of this machine",
            ) from error
        yield


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Closed, it is unlocked. It stays where it is: a file of the same name made anew would be another lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, kind: int) -> bool:
    """Lock an open file, in place of the lock it may have; where that cannot be now, it has none."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
    return True


def _admitted(descriptor: int, count: int | None) -> bool:
    """Lock the server's file, for a shard of so many together with others of that count; the gate is shut."""
    if count is None:
        return _acquire(descriptor, fcntl.LOCK_EX)
    if not _acquire(descriptor, fcntl.LOCK_SH):
        return False
    named = b"%d\n" % count
    if os.pread(descriptor, 32, 0) == named:
        return True
    # It names another count: of shards at work, or of some that have ended.
    if not _acquire(descriptor, fcntl.LOCK_EX):
        return False
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, named, 0)
    return _acquire(descriptor, fcntl.LOCK_SH)


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
