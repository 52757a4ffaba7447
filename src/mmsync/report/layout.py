"""Lines for a terminal: how wide text is, where it may be broken, and its colour.

Nothing that a person may want to copy is broken: a name, a path or a digest is one *piece*, and lines are broken
only between pieces. A piece wider than the terminal stays whole, moved as far to the left as it needs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Paint", "Piece", "Style", "columns", "flow", "painter", "prose", "words"]

Style = Literal["add", "change", "delete", "error", "warning", "good", "name", "faint"]
Paint = Callable[[str, Style], str]

_CODES: dict[Style, str] = {
    "add": "32",
    "change": "33",
    "delete": "31",
    "error": "1;31",
    "warning": "33",
    "good": "32",
    "name": "1",
    "faint": "2",
}
_SGR = re.compile("\x1b\\[[0-9;]*m")
# A message longer than this is not read; a hostile server could send megabytes.
_LONGEST_MESSAGE = 2000


class Piece(NamedTuple):
    """Text that is never broken, and how many spaces part it from what stands before it on its line."""

    text: str
    gap: int = 1


def painter(*, colour: bool) -> Paint:
    """Return what colours a text, or leaves it as it is."""
    if not colour:
        return lambda text, _style: text
    return lambda text, style: f"\x1b[{_CODES[style]}m{text}\x1b[0m"


@lru_cache(maxsize=4096)
def _cell(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0  # marks, and Hangul vowels and finals, join the character before them
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def columns(text: str) -> int:
    """Return how many terminal columns ``text`` takes: two for wide characters, none for marks and colours."""
    plain = _SGR.sub("", text) if "\x1b" in text else text
    return len(plain) if plain.isascii() else sum(map(_cell, plain))


def flow(pieces: Iterable[Piece], width: int, first: str = "", rest: str = "") -> list[str]:
    """Set pieces on lines of at most ``width`` columns, the first after ``first``, the others after ``rest``.

    A piece that is too wide for a line of its own after ``rest`` begins further left; it is never broken.
    """
    lines: list[str] = []
    line, used, is_bare = first, columns(first), True
    for text, gap in pieces:
        size = columns(text)
        before = 0 if is_bare else gap
        if used + before + size > width and (used or not is_bare):
            if line.strip():
                lines.append(line.rstrip())
            indent = min(columns(rest), max(width - size, 0))
            line, used, before = rest[:indent], indent, 0
        line += " " * before + text
        used += before + size
        is_bare = False
    lines.append(line)
    return lines


def words(text: str, keep: Sequence[str] = ()) -> list[Piece]:
    """Return the words of one of our messages, which may quote foreign text, as pieces.

    Args:
        text: The message; made printable here.
        keep: Names and paths in it that hold spaces and are not to be broken.
    """
    shown = printable(text, _LONGEST_MESSAGE)
    for phrase in keep:
        if " " in phrase:
            shown = shown.replace(phrase, phrase.replace(" ", "\0"))  # printable text holds no NUL
    return [Piece(word.replace("\0", " ")) for word in shown.split(" ")]


def prose(text: str, room: int) -> list[Piece]:
    """Return printable ``text`` as pieces that may be broken at spaces and, in long wide words, anywhere.

    Chinese and Japanese put no spaces between words: what is wider than ``room`` columns is cut between characters,
    never before a mark. A long word of narrow characters (an address, a digest) stays whole.
    """
    pieces: list[Piece] = []
    for word in text.split(" "):
        size = columns(word)
        if size <= room or size == len(word):
            pieces.append(Piece(word))
        else:
            pieces += _cut(word, max(room, 2))
    return pieces


def _cut(word: str, room: int) -> list[Piece]:
    parts: list[str] = [""]
    used = 0
    for char in word:
        size = _cell(char)
        if size and used + size > room:
            parts.append("")
            used = 0
        parts[-1] += char
        used += size
    return [Piece(part, gap=0 if index else 1) for index, part in enumerate(parts)]
