"""Files that match a glob, found by a walk that links cannot lead round in circles or out of sight."""

from __future__ import annotations

import os
import re
from collections import deque
from fnmatch import translate
from typing import TYPE_CHECKING, NamedTuple

from mmsync.patterns import is_glob

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Match", "Walk", "walk"]

_TEMPORARY = re.compile(
    r"\.|#.*#\Z|.*(?:~|\.(?:tmp|temp|part|partial|filepart|crdownload|download|sw[a-p]|bak|lock))\Z",
    re.IGNORECASE | re.DOTALL,
)

# Where shares keep what was deleted or replaced, what sync tools call a copy they could not merge, and the folder that
# every ext4 disk has and nobody may list.
_ASIDE = re.compile(
    r"(?:[#@]recycle|\$recycle\.bin|recycler?|recycled|@recently-snapshot|@eadir|@tmp|#snapshot|~snapshot|lost\+found"
    r"|system volume information)\Z"
    r"|.*(?:\.sync-conflict-|_conflict-\d{8}|\(conflicted copy|\([^()]*'s conflicted copy|\(case conflict|\[conflict)",
    re.IGNORECASE | re.DOTALL,
)


class Match(NamedTuple):
    """A name that matches: its path below the walk's start, and whether it is a link."""

    path: str
    is_link: bool


class Walk(NamedTuple):
    """What a walk saw.

    Attributes:
        matches: Everything that matches and is no folder, in the order of the paths.
        failed: Folders that could not be listed or entered, each with the reason; what is in them is not known.
        folders: The folders that were entered.
        aside: What was left out because of its name: recycle bins, and the copies sync tools make of a conflict.
    """

    matches: tuple[Match, ...]
    failed: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]
    aside: tuple[str, ...]


def walk(start: str, parts: tuple[str, ...], admits: Callable[[str], bool]) -> Walk:
    """Find what matches the glob ``parts`` below the folder ``start``.

    Hidden and temporary names are passed over, folders too; so are recycle bins and conflict copies, unless a part of
    the glob is such a name itself. Folders are entered once each, by (device, inode), real
    ones before those behind links: where a folder has two ways in, the way without a link counts.

    Args:
        start: A folder.
        parts: The glob between its slashes; ``**`` stands for any number of folders, none included.
        admits: Tells of a folder, links resolved, whether links may lead there.
    """
    return _Walker(parts, admits).run(start)


class _Walker:
    def __init__(self, parts: tuple[str, ...], admits: Callable[[str], bool]) -> None:
        # A run of ** is one: each would be one more way to go through every folder.
        self.parts = parts = tuple(
            part for part, before in zip(parts, ("", *parts), strict=False) if not part == before == "**"
        )
        self.patterns = [re.compile(translate(part)).match for part in parts]
        self.admits = admits
        self.seen: set[tuple[int, int, int]] = set()
        self.real: deque[tuple[str, str, int]] = deque()
        self.behind_links: deque[tuple[str, str, int]] = deque()
        self.matches: dict[str, Match] = {}
        self.failed: list[tuple[str, str]] = []
        self.folders: dict[str, None] = {}
        self.aside: dict[str, None] = {}

    def run(self, start: str) -> Walk:
        self.real.append((start, "", 0))
        while self.real or self.behind_links:
            through_link = not self.real
            folder, below, at = (self.behind_links if through_link else self.real).popleft()
            try:
                self._enter(folder, below, at, through_link=through_link)
            except FileNotFoundError:
                # Gone since it was listed, and what was in it with it; the start alone has to be there.
                if folder == start:
                    self.failed.append((folder, "there is no such folder"))
            except OSError as error:
                self.failed.append((folder, (error.strerror or "unknown error").lower()))
        return Walk(tuple(sorted(self.matches.values())), tuple(self.failed), tuple(self.folders), tuple(self.aside))

    def _enter(self, folder: str, below: str, at: int, *, through_link: bool) -> None:
        status = os.stat(folder or ".")  # noqa: PTH116 - paths stay text
        if (status.st_dev, status.st_ino, at) in self.seen:
            return
        if through_link and not self.admits(os.path.realpath(folder)):
            self.failed.append((folder, "it is a link to outside the manifest's folder"))
            return
        # One folder may be entered at several places of the glob, but at each only once.
        self.seen.add((status.st_dev, status.st_ino, at))
        self.folders[folder or "."] = None
        positions = self._positions(at)
        with os.scandir(folder or ".") as entries:
            found = [entry for entry in entries if not _TEMPORARY.match(entry.name)]
        # A name is a name before it is a pattern: where there is a file m[1].onnx, that one is meant and not m1.onnx.
        literal = {at: self.parts[at] for at in positions if is_glob(self.parts[at]) and self.parts[at] != "**"}
        names = {entry.name for entry in found} if literal else frozenset()
        literal = {at: part for at, part in literal.items() if part in names}
        for entry in found:
            self._take(entry, folder, below, [at for at in positions if literal.get(at, entry.name) == entry.name])

    def _positions(self, at: int) -> list[int]:
        """Return the parts a name may be held against: behind ``**`` also the next one."""
        positions = [at]
        while self.parts[positions[-1]] == "**" and positions[-1] + 1 < len(self.parts):
            positions.append(positions[-1] + 1)
        return positions

    def _take(self, entry: os.DirEntry[str], folder: str, below: str, positions: list[int]) -> None:
        path = f"{below}/{entry.name}" if below else entry.name
        is_link = entry.is_symlink()
        try:
            is_folder = entry.is_dir()
        except OSError:  # links in a circle: a name like any other, refused when it is looked at
            is_folder = False
        is_aside = _ASIDE.match(entry.name)
        for at in positions:
            deep = self.parts[at] == "**"
            if not deep and entry.name != self.parts[at] and not self.patterns[at](entry.name):
                continue
            if is_aside and not _ASIDE.match(self.parts[at]):
                if is_folder or at == len(self.parts) - 1:
                    self.aside[path] = None
                continue
            if not is_folder and at == len(self.parts) - 1:
                self.matches[path] = Match(path, is_link)
            if is_folder and (deep or at < len(self.parts) - 1):
                waiting = self.behind_links if is_link else self.real
                inside = f"{folder}/{entry.name}" if folder not in ("", "/") else folder + entry.name
                waiting.append((inside, path, at if deep else at + 1))
