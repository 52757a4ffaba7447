"""Which names a manifest owns."""

from __future__ import annotations

import re
from fnmatch import translate

__all__ = ["Scope"]


class Scope:
    """The union of all manifests' ``scope`` globs; ``name in scope`` asks whether they own a name.

    Globs are those of Python's ``fnmatch``, with case: ``*``, ``?``, ``[abc]``. No glob at all owns nothing.
    """

    def __init__(self, globs: tuple[str, ...]) -> None:
        self.globs = tuple(sorted(set(globs)))
        # One pattern for all: ten thousand names are asked for in every plan.
        self._pattern = re.compile("|".join(translate(glob) for glob in self.globs)) if self.globs else None

    def __contains__(self, name: str) -> bool:
        return self._pattern is not None and self._pattern.match(name) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and other.globs == self.globs

    def __hash__(self) -> int:
        return hash(self.globs)

    def __repr__(self) -> str:
        return f"Scope({self.globs!r})"
