"""The machine's locks: two mmsyncs on one server take turns, disjoint shards of it work side by side.

Whoever begins passes the server's gate, one at a time. A whole run keeps the gate shut while it works, and waits there
until every shard at work has ended. A shard takes a lock of its own, waits for shards of another count, and opens the
gate again: then those of its own count pass, each with a lock of its own, so that no shard is at work twice. Every lock
is the kernel's, which frees it when the process ends, however that comes.

The order: those before the gate try every 50 ms, and whichever tries first after it opens is the next. Whoever has passed
it is overtaken by nobody. A shard that is at work already is waited for outside the gate.
"""

from __future__ import annotations

import contextlib
import functools
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
_NEWS = 0.3  # seconds of waiting after which it is said


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
    sentence when that takes longer than a moment; where another mmsync does not finish in ``timeout`` seconds,
    `LockTimeout` is raised. ``clock`` tells monotonic seconds.
    """
    name = hashlib.sha256(repr(tuple(server)).encode()).hexdigest()[:32]
    gate = private_folder(folder) / f"{name}.lock"
    where = "shard {}/{} of {}".format(*shard, server.url) if shard else server.url
    began, is_told = clock(), False

    def until(attempt: Callable[[], bool]) -> None:
        nonlocal is_told
        while not attempt():
            now = clock()
            left = began + timeout - now
            # A gate that others just pass is no news.
            if not is_told and (now - began >= _NEWS or left <= 0):
                is_told = True
                on_wait(f"waiting for another mmsync at work on {where}")
            if left <= 0:
                raise LockTimeout(
                    f"another mmsync has been at work on {where} for more than {timeout:g} s",
                    "wait for it to end, or give it longer with --lock-timeout",
                )
            sleep(min(_POLL, left))

    with contextlib.ExitStack() as locks:
        try:
            if shard is None:
                until(lambda: _takes(gate, locks))
                for path in folder.glob(f"{name}.*-of-*.lock"):
                    until(functools.partial(_is_free, path))
            else:
                own = folder / "{}.{}-of-{}.lock".format(name, *shard)
                with contextlib.ExitStack() as passing:
                    until(lambda: _passes(gate, passing, own, locks))
                    for path in folder.glob(f"{name}.*-of-*.lock"):
                        if not path.match(f"*-of-{shard[1]}.lock"):
                            until(functools.partial(_is_free, path))
        except (OSError, NotImplementedError) as error:  # the second from filelock, where there are no locks at all
            raise SettingsError(
                f"cannot lock {gate}: {getattr(error, 'strerror', None) or error}",
                "network file systems may have no locks: set MMSYNC_LOCK_DIR to a folder on a disk of this machine",
            ) from error
        yield


def _takes(path: Path, locks: contextlib.ExitStack) -> bool:
    """Take a lock, for as long as ``locks`` is; False where another process has it."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - 8 ms, and only applying needs it

    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    locks.callback(lock.release)
    return True


def _passes(gate: Path, passing: contextlib.ExitStack, own: Path, locks: contextlib.ExitStack) -> bool:
    """Take both locks, or none: a shard that is at work already is waited for outside the gate."""
    with contextlib.ExitStack() as tried:
        if _takes(gate, tried) and _takes(own, locks):
            passing.push(tried.pop_all())
            return True
    return False


def _is_free(path: Path) -> bool:
    """Return whether nobody has this lock: while the gate is shut, nobody takes it anew."""
    with contextlib.ExitStack() as tried:
        return _takes(path, tried)


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
