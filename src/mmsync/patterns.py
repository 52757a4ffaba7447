"""Names, and globs of names: what ``scope``, ``--target`` and ``--exclude`` are lists of.

A name is a name before it is a pattern: where a model is called ``fraud[1]``, letter for letter as the list has it,
that model is meant and not ``fraud1``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import translate

MOST_GLOBS = 1_000
"""Globs in one list; plain names beside them cost next to nothing and are not counted."""


def is_glob(text: str) -> bool:
    """Tell whether ``text`` could stand for other names than itself."""
    return any(character in text for character in "*?[")


class Patterns:
    """A list of names and globs; ``name in patterns`` asks whether any of them means a name.

    Globs are those of Python's ``fnmatch``, with case: ``*``, ``?``, ``[abc]``. What is asked takes time in
    proportion to the name and the number of globs: ``translate`` writes expressions that never go back.

    Args:
        texts: The list.
        known: Names that exist. What is one of them, letter for letter, is no glob.
    """

    def __init__(self, texts: Iterable[str], known: Collection[str] = ()) -> None:
        self.texts = tuple(dict.fromkeys(texts))
        self._names = frozenset(self.texts)
        globs = [text for text in self.texts if is_glob(text) and text not in known]
        self._match = re.compile("|".join(map(translate, globs))).match if globs else None

    def __contains__(self, name: str) -> bool:
        return name in self._names or (self._match is not None and self._match(name) is not None)
