"""What there is to say about a selection: that it misses what is listed, and how it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.patterns import Patterns
from mmsync.printable import printable
from mmsync.states import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mmsync.plan.model import Selection

__all__ = ["missed", "quoted"]


def missed(selection: Selection, listed: Collection[str], *, selected: bool) -> tuple[Diagnostic, ...]:
    """Return a warning for each ``--target`` that matches no listed model, or one where nothing at all is left.

    Args:
        selection: What was asked for.
        listed: The names in the manifests; where there are none, nothing can be missed.
        selected: Whether any of them is in the selection.
    """
    if not listed:
        return ()
    vain = [
        glob
        for glob in dict.fromkeys(selection.target)
        if not (glob in listed or any(map(Patterns([glob]).__contains__, listed)))
    ]
    if vain:
        return tuple(
            _warning(f"no listed model matches --target {printable(repr(glob))}", "names and globs keep their case")
            for glob in vain
        )
    if selected or not selection.is_partial:
        return ()
    return (_warning("no listed model is selected", f"left out by {quoted(selection.flags())}"),)


def quoted(words: Sequence[str]) -> str:
    """Return words as a line that a shell splits into them again."""
    # Single quotes the way a shell reads them, so that the line can be pasted.
    safe = "@%+=:,./-_"
    return " ".join(
        word if word and all(c.isalnum() or c in safe for c in word) else "'" + word.replace("'", "'\"'\"'") + "'"
        for word in words
    )


def _warning(summary: str, detail: str) -> Diagnostic:
    return Diagnostic("warning", "plan/selection", summary, detail)
