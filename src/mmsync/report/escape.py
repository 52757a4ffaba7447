"""Foreign text in Markdown: inside code spans, where nothing of it is a mark, a link, a mention or HTML.

A code span is the one inline form that GitHub leaves alone altogether: no emphasis, entities, HTML, issue references,
``@mentions``, emoji or automatic links. Tables are avoided, as a pipe after a backslash cannot be written in a cell.
"""

from __future__ import annotations

import re

from mmsync.printable import printable

__all__ = ["code", "size"]

_TICKS = re.compile("`+")


def code(text: str, limit: int = 300) -> str:
    """Return ``text`` as a code span on one line, at most about ``limit`` characters of it, never empty."""
    shown = printable(text, limit)
    if not shown.strip():
        shown = f'"{shown}"'  # a span of nothing but spaces would be no span
    fence = "`" * (max(map(len, _TICKS.findall(shown)), default=0) + 1)
    # One space at both ends is taken off again by the reader: it keeps a backtick at an end from lengthening the
    # fence, and text that begins and ends with a space from losing both.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def size(text: str) -> int:
    """Return the length of ``text`` by the strictest count: UTF-16 units, a line end as two (as forms send it)."""
    astral = 0 if text.isascii() else sum(char > "\uffff" for char in text)
    return len(text) + astral + text.count("\n")
