"""Rule of settling: a file is taken once it has stopped changing.

A writer cannot be asked whether it is done: an event "closed" is missing for new folders, for mapped files and on
network file systems. So a file is taken when two scans ``settle`` seconds apart see the same key, and each file
waits for itself alone. One that never settles is read and compared by ``reconciler.ForcedRead`` instead. The rule is
pure: it is told the time and what was seen, so a test needs no clock and no disk.
"""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmsync.types import FileKey, file_key


@dataclass(frozen=True, slots=True)
class Absent:
    """No file can be had at a path: it is not there, is none (a folder, a device), or nothing is known of it."""

    reason: str  # in a few words


FileState = FileKey | Absent


@dataclass(frozen=True, slots=True)
class PathState:
    """One path as it was found, and since when; times are seconds of the caller's monotonic clock."""

    state: FileState  # what the last scan saw
    since: float  # when that was seen first, without anything else seen after it
    unsettled_since: float  # when the path was last settled, or first seen
    settled: bool = False  # whether ``state`` was seen at least ``settle`` seconds apart

    def seen_again(self, state: FileState, now: float, settle: float) -> PathState:
        """Return what is known after another scan."""
        if state != self.state:
            return PathState(state, now, now if self.settled else self.unsettled_since)
        if self.settled or now < self.since + settle:
            return self
        return PathState(state, self.since, now, settled=True)


class Settler:
    """The record of every path scanned: whether it has settled, and as what."""

    def __init__(self, settle: float, force: float = 60.0) -> None:
        self._settle = settle  # seconds a file must stay as it is
        self._force = force  # seconds without settling after which a file is overdue
        self._known: dict[str, PathState] = {}
        self._unsettled: set[str] = set()

    def update(self, now: float, seen: Mapping[str, FileState], *, whole: bool = True) -> bool:
        """Take in one scan, never earlier than the last; return whether a path settled by it, or was forgotten.

        A ``whole`` one holds every path of interest: the others are forgotten.
        """
        news = whole and bool(self._known.keys() - seen.keys())
        if news:
            self._known = {path: known for path, known in self._known.items() if path in seen}
            self._unsettled &= self._known.keys()
        for path, state in seen.items():
            before = self._known.get(path)
            after = (before or PathState(state, now, now)).seen_again(state, now, self._settle)
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
        known = self._known.get(path)
        return known.state if known is not None and known.settled else None

    def unsettled(self) -> frozenset[str]:
        """Return the paths not settled."""
        return frozenset(self._unsettled)

    def overdue(self, now: float) -> frozenset[str]:
        """Return the files that have been unsettled for ``force`` seconds or longer."""
        return frozenset(path for path in self._unsettled if now - self._known[path].unsettled_since >= self._force)

    def next_due(self) -> float | None:
        """Return when the first unsettled path can settle; None where all are settled."""
        return min((self._known[path].since + self._settle for path in self._unsettled), default=None)


MISSING = Absent("no such file")


def state_of(path: str) -> FileState:
    """Return what is at a path, links followed; never raises.

    Only "no such file" and "not a folder on the way" mean that there is none. Any other failure (no permission, a
    stale NFS handle, an I/O error) means that nothing is known.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  # half the time of Path.stat, ten thousand times
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        return Absent(error.strerror or type(error).__name__)
    except ValueError as error:  # a NUL in the name
        return Absent(str(error))
    return file_key(found) if modes.S_ISREG(found.st_mode) else Absent("not a regular file")


def stat_paths(paths: Iterable[str]) -> dict[str, FileState]:
    """Return the state of each path."""
    return {path: state_of(path) for path in paths}
