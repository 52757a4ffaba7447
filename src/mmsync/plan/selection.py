"""Scope and selection: the names a manifest owns, and those a run looks at."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mmsync.plan.model import Selection
from mmsync.printable import printable
from mmsync.types import Diagnostic, Patterns


class Scope:
    """The union of all manifests' ``scope``; ``name in scope`` asks whether they own a name.

    Args:
        globs: Names and globs of names. None at all owns nothing.
        known: The names of the manifests and the server: a pattern that is one of them is that name and no glob.
    """

    def __init__(self, globs: tuple[str, ...], known: Collection[str] = ()) -> None:
        self.globs = tuple(sorted(set(globs)))
        self._known = known
        self._owned = Patterns(self.globs, known)

    def __contains__(self, name: str) -> bool:
        return name in self._owned

    def owners(self, names: Collection[str]) -> dict[str, list[str]]:
        """Return, for each pattern that owns any of these names, which."""
        owned = {glob: sorted(filter(Patterns([glob], self._known).__contains__, names)) for glob in self.globs}
        return {glob: theirs for glob, theirs in owned.items() if theirs}

    def __repr__(self) -> str:
        return f"Scope({self.globs!r})"


def missed(selection: Selection, listed: Collection[str], *, selected: bool) -> tuple[Diagnostic, ...]:
    """Return a warning for each ``--target`` that matches no listed model, or one where nothing at all is left.

    Where the manifests list no names, nothing can be missed; ``selected`` says whether any of them is in the selection.
    """
    if not listed:
        return ()
    met = {glob for glob in selection.target if glob in listed or any(map(Patterns([glob]).__contains__, listed))}
    vain = [glob for glob in dict.fromkeys(selection.target) if glob not in met]
    if vain:
        return tuple(
            _warning(f"no listed model matches --target {printable(repr(glob))}", "names and globs keep their case")
            for glob in vain
        )
    if selection.is_partial and not selected:
        return (_warning("no listed model is selected", f"left out by {quoted(selection.flags())}"),)
    return ()


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
