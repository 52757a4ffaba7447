"""One manifest under examination: where it is, and the faults found on it so far."""

from __future__ import annotations

import re
from itertools import zip_longest
from time import thread_time
from typing import TYPE_CHECKING, Literal

from mmsync.printable import printable
from mmsync.states import Diagnostic, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yaml.nodes import Node

__all__ = ["Budget", "OutOfTime", "Page", "nearest"]


_ODD_BREAK = re.compile("[\x85\u2028\u2029]")
_BREAK = re.compile("(\r\n|[\r\n\x85\u2028\u2029])")


class OutOfTime(Exception):
    """Reading the manifests takes longer than whoever asked has time for."""


class Budget:
    """Processor time of this thread that reading may take.

    Args:
        seconds: How much; None for as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._ends = None if seconds is None else thread_time() + seconds

    def check(self) -> None:
        """Return while there is time left.

        Raises:
            OutOfTime: There is none.
        """
        if self._ends is not None and thread_time() > self._ends:
            raise OutOfTime


class Page:
    """Collects what is wrong with one manifest, each fault with its place.

    Attributes:
        file: The manifest's path as the user named it.
        budget: How long reading it may take.
        confined: Whether no link may lead outside.
        found: Faults and warnings, in the order they were found.
        errors: How many of them are faults.
    """

    def __init__(self, file: str, budget: Budget, *, confined: bool) -> None:
        self.file = file
        self.budget = budget
        self.confined = confined
        self.found: list[Diagnostic] = []
        self.errors = 0
        self._lines: list[tuple[int, int]] | None = None

    def number_lines(self, text: str) -> None:
        """Take note of where lines begin: YAML 1.1 also ends them at U+0085, U+2028 and U+2029, and no editor does."""
        self._lines = []
        line = behind = 0
        parts = iter(_BREAK.split(text))
        for part, line_break in zip_longest(parts, parts, fillvalue=""):
            self._lines.append((line, behind))
            is_odd = _ODD_BREAK.match(line_break) is not None
            behind = behind + len(part) + 1 if is_odd else 0
            line += not is_odd

    def at(self, line: int, column: int) -> Source:
        """Return the place that the parser's line and column, both from 0, are for an editor."""
        if self._lines is not None:
            line, behind = self._lines[min(line, len(self._lines) - 1)]
            column += behind
        return Source(self.file, line + 1, column + 1)

    def place(self, node: Node | None) -> Source:
        """Return where ``node`` starts; the top of the file for None."""
        if node is None:
            return Source(self.file, 1, 1)
        mark = node.start_mark
        return self.at(mark.line, mark.column)

    def fault(
        self,
        at: Node | Source | None,
        code: str,
        summary: str,
        detail: str,
        *,
        severity: Literal["error", "warning"] = "error",
        model: str = "",
    ) -> None:
        """Note a fault; ``code`` is without the room's name."""
        self.errors += severity == "error"
        source = at if isinstance(at, Source) else self.place(at)
        self.found.append(Diagnostic(severity, f"manifest/{code}", summary, detail, source, printable(model)))

    def warn(self, at: Node | Source | None, code: str, summary: str, detail: str, *, model: str = "") -> None:
        """Note something doubtful that does not stop the run."""
        self.fault(at, code, summary, detail, severity="warning", model=model)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` was probably meant to be, letter case aside, or None."""
    from difflib import get_close_matches  # noqa: PLC0415 - a manifest without faults never needs it

    by_folded = {name.casefold(): name for name in known}
    # A hostile key may be megabytes long, and the comparison is quadratic.
    close = get_close_matches(word[:60].casefold(), by_folded, n=1, cutoff=0.7)
    return by_folded[close[0]] if close else None
