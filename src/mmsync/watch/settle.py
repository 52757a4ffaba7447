"""Rule of settling: a file is taken once it has stopped changing. Pure: it is told the time and what was seen, so a test needs no clock and no disk.

A writer cannot be asked whether it is done: an event "closed" is missing for new folders, for mapped files and on
network file systems. So a file is taken when two looks ``settle`` seconds apart see the same key, and each file
waits for itself alone.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from mmsync.types import FileKey


@dataclass(frozen=True, slots=True)
class Absent:
    """No file can be had at a path."""

    # ``missing`` (it is not there), ``irregular`` (a folder, a pipe, a device) or ``unreadable`` (the question itself
    # failed, so nothing is known)
    kind: str
    reason: str  # why, in a few words, for a person


FileState = FileKey | Absent


@dataclass(frozen=True, slots=True)
class PathState:
    """One path as it was found, and since when; times are seconds of the caller's monotonic clock.

    Attributes:
        state: What the last look saw.
        since: When that was seen first, without anything else seen after it.
        unsettled_since: When the path was last settled, or first seen.
        settled: Whether ``state`` was seen at least ``settle`` seconds apart.
    """

    state: FileState
    since: float
    unsettled_since: float
    settled: bool = False

    def seen_again(self, state: FileState, now: float, settle: float) -> Self:
        """Return what is known after another look."""
        kind = type(self)
        if state != self.state:
            return kind(state, now, now if self.settled else self.unsettled_since)
        if self.settled or now < self.since + settle:
            return self
        return kind(state, self.since, now, settled=True)


class Settler:
    """The state of rest of every path looked at.

    Args:
        settle: How long a file must stay as it is, in seconds.
        force: After how many seconds without settling a file is called overdue: whoever has the file's bytes may then
            compare those instead, for a file that is only touched again and again.
    """

    def __init__(self, settle: float, force: float = 60.0) -> None:
        self.settle = settle
        self.force = force
        self._known: dict[str, PathState] = {}
        self._unsettled: set[str] = set()

    def update(self, now: float, seen: Mapping[str, FileState], *, whole: bool = True) -> bool:
        """Take in one look.

        Args:
            now: When it was made; never earlier than the last one.
            seen: What each path was found to be.
            whole: Whether ``seen`` holds every path of interest; the others are then forgotten.

        Returns:
            Whether any path came to rest by this look, or was forgotten.
        """
        news = False
        if whole and self._known.keys() - seen.keys():
            news = True
            self._known = {path: rest for path, rest in self._known.items() if path in seen}
            self._unsettled &= self._known.keys()
        for path, state in seen.items():
            before = self._known.get(path)
            after = (before or PathState(state, now, now)).seen_again(state, now, self.settle)
            if after is before:
                continue
            self._known[path] = after
            if after.settled:
                self._unsettled.discard(path)
                news = True
            else:
                self._unsettled.add(path)
        return news

    def settled_state(self, path: str) -> FileState | None:
        """Return the settled state of a path; None while it is unsettled or was never scanned."""
        rest = self._known.get(path)
        return rest.state if rest is not None and rest.settled else None

    def unsettled(self) -> frozenset[str]:
        """Return the paths not settled."""
        return frozenset(self._unsettled)

    def overdue(self, now: float) -> frozenset[str]:
        """Return the files that have been unsettled for ``force`` seconds or longer."""
        return frozenset(path for path in self._unsettled if now - self._known[path].unsettled_since >= self.force)

    def next_due(self) -> float | None:
        """Return when the first unsettled path can settle; None where all are settled."""
        return min((self._known[path].since + self.settle for path in self._unsettled), default=None)


_MISSING = (errno.ENOENT, errno.ENOTDIR)

MISSING = Absent("missing", "no such file")
IRREGULAR = Absent("irregular", "not a regular file")


def state_of(path: str) -> FileState:
    """Return what is at a path, links followed; never raises.

    Only "no such file" and "not a folder on the way" mean that there is none. Any other failure (no permission, a
    stale NFS handle, an I/O error) means that nothing is known.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  # half the time of Path.stat, ten thousand times
    except OSError as error:
        if error.errno in _MISSING:
            return MISSING
        return Absent("unreadable", error.strerror or type(error).__name__)
    except ValueError as error:  # a NUL in the name
        return Absent("unreadable", str(error))
    if not modes.S_ISREG(found.st_mode):
        return IRREGULAR
    return FileKey(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def stat_paths(paths: Iterable[str]) -> dict[str, FileState]:
    """Return the state of each path."""
    return {path: state_of(path) for path in paths}
