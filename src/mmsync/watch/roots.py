"""Roots: are the folders the models lie in still those that were known?

A share that is unmounted leaves an empty folder, one that is mounted again is another folder under the same name, a
folder without permission looks like one without files. None of that says that anybody removed a model. ``Roots`` is
pure: what was seen is handed in.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class RootState(NamedTuple):
    """A root as it was found."""

    real: str  # the path without links
    identity: tuple[int, int] | None  # device and inode; None where it cannot be told
    error: str  # why it cannot be listed, in a few words; empty where it can
    empty: bool  # whether it is gone or holds nothing (names that start with two dots aside: a ConfigMap's own)


def inspect_root(folder: str) -> RootState:
    """Look at a root; never raises."""
    real = os.path.realpath(folder)
    try:
        found = os.stat(real)  # noqa: PTH116  # strings throughout
        with os.scandir(real) as entries:
            # An error half-way through a listing is raised by the iterator: no entry read before it counts.
            empty = all(entry.name.startswith("..") for entry in entries)
    except FileNotFoundError:
        return RootState(real, None, "it is not there", empty=True)
    except NotADirectoryError:
        return RootState(real, None, "it is not a folder", empty=True)
    except OSError as error:
        why = error.strerror or errno.errorcode.get(error.errno or 0, "unknown error")
        return RootState(real, None, f"it cannot be listed: {why}", empty=False)
    return RootState(real, (found.st_dev, found.st_ino), "", empty)


@dataclass(slots=True)
class _Known:
    """A root as it was trusted last, and the folder in its place that is not trusted yet, if there is one."""

    state: RootState
    had_entries: bool
    stranger: tuple[int, int] | None = None
    stranger_since: float = 0.0
    was_gone: bool = False
    why: str = ""


class Roots:
    """The roots, and what is known of each.

    A folder that took the place of another must stay for ``trust_after`` seconds before its missing files may count
    as removed. A link that leads to another folder needs no such time: that is how folders are published.
    """

    def __init__(self, trust_after: float) -> None:
        self._trust_after = trust_after
        self._known: dict[str, _Known] = {}
        # The roots of which nothing is known now, each with the reason: nothing may be concluded from them.
        self.unknown: dict[str, str] = {}
        # The roots that are another folder than before, and why: what they hold counts, what they lack does not yet.
        self.replaced: dict[str, str] = {}

    def update(self, now: float, found: Mapping[str, RootState]) -> None:
        """Take in one scan of every root; those not scanned are forgotten."""
        self._known = {folder: known for folder, known in self._known.items() if folder in found}
        self.unknown = {}
        self.replaced = {}
        for folder, state in found.items():
            known = self._known.get(folder)
            if known is None:
                known = self._known[folder] = _Known(state, had_entries=not state.empty)
            why = state.error
            if state.empty and known.had_entries:
                known.was_gone = True
                why = why or "it is empty, and held files before"
            if why:
                self.unknown[folder] = why
                continue
            known.had_entries = not state.empty or known.had_entries
            if state.real != known.state.real:
                known.state, known.stranger = state, None
            elif known.was_gone or state.identity not in (known.state.identity, known.stranger):
                # The number of a mount is given out again: one that returned may look like the one that went.
                known.stranger, known.stranger_since = state.identity, now
                known.why = "it has returned" if known.was_gone else "it is another folder than before"
            elif known.stranger != state.identity or now >= known.stranger_since + self._trust_after:
                known.state, known.stranger = state, None
            known.was_gone = False
            if known.stranger is not None:
                self.replaced[folder] = known.why

    def may_delete(self) -> bool:
        """Return whether a missing file may count as removed."""
        return not self.unknown and not self.replaced

    def next_trust(self) -> float | None:
        """Return when the first replaced root will be trusted; None where there is none."""
        return min((self._known[root].stranger_since + self._trust_after for root in self.replaced), default=None)
