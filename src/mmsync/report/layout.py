"""Lines for a terminal: how wide text is, where it may be broken, and its colour.

Nothing that a person may want to copy is broken: a name, a path or a digest is one *piece*, and lines are broken
only between pieces. A piece wider than the terminal stays whole, moved as far to the left as it needs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from mmsync.plan.model import After, Before, Change, Protection
from mmsync.printable import printable
from mmsync.quantities import human_bytes
from mmsync.types import Source

Style = Literal["add", "change", "delete", "none", "error", "warning", "name", "code", "faint"]
Paint = Callable[[str, Style], str]

_CODES: dict[Style, str] = {
    "add": "32",
    "change": "33",
    "delete": "31",
    "none": "2",
    "error": "1;31",
    "warning": "1;33",
    "name": "1",
    "code": "36",
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
def cell(char: str) -> int:
    """Return how many terminal columns a printable character takes."""
    if unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0  # marks, and Hangul vowels and finals, join the character before them
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def columns(text: str) -> int:
    """Return how many terminal columns ``text`` takes: two for wide characters, none for marks and colours."""
    plain = _SGR.sub("", text) if "\x1b" in text else text
    return len(plain) if plain.isascii() else sum(map(cell, plain))


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

    ``keep`` are names and paths in it that may hold spaces and are not to be broken.
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
        pieces += [Piece(word)] if size <= room or size == len(word) else _cut(word, max(room, 2))
    return pieces


def _cut(word: str, room: int) -> list[Piece]:
    parts, used = [""], 0
    for char in word:
        size = cell(char)
        if size and used + size > room:
            parts.append("")
            used = 0
        parts[-1] += char
        used += size
    return [Piece(part, gap=0 if index else 1) for index, part in enumerate(parts)]


SIGNS: dict[Style, str] = {"add": "+", "change": "~", "delete": "-", "none": "=", "error": "!", "warning": "?"}
EVIDENCE = {
    "ledger": "the ledger",
    "size": "the size of the server's image",
    "download": "the image, downloaded and hashed",
    "none": "",
}
PROTECTIONS: dict[Protection, str] = {"": "", "protected": "protected", "lifted": "protection lifted for this run"}
# Names and paths are shown whole, as they will be copied; only what no file system or person makes is cut.
_LONGEST_NAME = 1024
_LONGEST_PATH = 4096
_LONGEST_ENGINE = 60
_DIGEST = 12  # as many digits as tell any two models apart


def display_name(name: str) -> str:
    """Return a name safe for a terminal; in quotes where its ends could not be seen otherwise."""
    shown = printable(name, _LONGEST_NAME)
    return shown if shown and shown == shown.strip() else f'"{shown}"'


def display_path(path: str) -> str:
    """Return a path safe for a terminal."""
    return printable(path, _LONGEST_PATH)


def display_engine(engine: str) -> str:
    """Return an engine's code safe for a terminal."""
    return printable(engine, _LONGEST_ENGINE)


def display_type(kind: str) -> str:
    """Return the type of an input or output safe for a terminal; servers have names of their own for them."""
    return printable(kind, _LONGEST_ENGINE)


def signed(style: Style, name: str, paint: Paint) -> Piece:
    """Return a sign and a name as one piece: a name never stands on a line without its sign."""
    return Piece(f"{paint(SIGNS[style], style)} {paint(display_name(name), 'name')}")


def heading(style: Style, name: str, what: str, width: int, paint: Paint) -> list[str]:
    """Return the lines that begin a block: a sign, a name, and what is said of it in the sign's colour."""
    return flow([signed(style, name, paint), Piece(paint(what, style), gap=2)], width, rest="  ")


def place(source: Source) -> str:
    """Return ``file:line``, which editors and terminals open."""
    return f"{display_path(source.file)}:{source.line}"


def content_side(sha256: str | None, size: int | None, *, exact: bool = False) -> str:
    """Return one content in a few characters: the start of its digest and its size, as far as they are known."""
    measure = "" if size is None else f"{size:,} B" if exact else human_bytes(size)
    if not sha256:
        return measure or "unknown"
    return printable(sha256, _DIGEST + 1)[:_DIGEST] + (f" ({measure})" if measure else "")


def contents(before: Before, after: After) -> tuple[str, str]:
    """Return both contents; sizes that differ by less than rounding shows are given to the byte."""
    was = before.size
    exact = was is not None and was != after.size and human_bytes(was) == human_bytes(after.size)
    old, new = (content_side(side.sha256, side.size, exact=exact) for side in (before, after))
    return old, new


def as_before(change: Change) -> str:
    """Return what to add where the same content is uploaded again, as a new engine needs it."""
    same = change.before and change.after and change.before.sha256 == change.after.sha256
    return ", as before" if same else ""
