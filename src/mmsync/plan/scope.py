"""Which names a manifest owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.patterns import Patterns

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Scope"]


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
        found = {glob: Patterns([glob], self._known) for glob in self.globs}
        owned = {glob: sorted(name for name in names if name in pattern) for glob, pattern in found.items()}
        return {glob: theirs for glob, theirs in owned.items() if theirs}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and other.globs == self.globs

    def __hash__(self) -> int:
        return hash(self.globs)

    def __repr__(self) -> str:
        return f"Scope({self.globs!r})"
