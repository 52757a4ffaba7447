"""One manifest under examination: where it is, and the faults found on it so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mmsync.printable import printable
from mmsync.states import Diagnostic, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yaml.nodes import Node

__all__ = ["Page", "nearest"]


class Page:
    """Collects what is wrong with one manifest, each fault with its place.

    Attributes:
        file: The manifest's path as the user named it.
        found: Faults and warnings, in the order they were found.
        errors: How many of them are faults.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Diagnostic] = []
        self.errors = 0

    def place(self, node: Node | None) -> Source:
        """Return where ``node`` starts; the top of the file for None."""
        if node is None:
            return Source(self.file, 1, 1)
        mark = node.start_mark
        return Source(self.file, mark.line + 1, mark.column + 1)

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
