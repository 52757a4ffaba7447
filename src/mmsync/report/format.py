"""Descriptions as people read them: quoted, and so that the difference of two shows."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left

from mmsync.printable import printable

# How much of what both have in common stays beside the first and the last difference, in characters.
_CONTEXT = 20
# Beyond this a description is not looked at: no person wrote it, and comparing must stay quick.
_LONGEST = 100_000


def _visible(text: str) -> str:
    """Return ``text`` on one line with its line ends and tabs as escapes, nothing of it cut or merged."""
    for control, escape in (("\r", r"\r"), ("\n", r"\n"), ("\t", r"\t")):
        text = text.replace(control, escape)
    return printable(text, limit=len(text) * 6)  # the longest escape of one character has six


def quoted(text: str | None, limit: int = 160) -> str:
    """Return a description in quotes on one line, at most about ``limit`` characters of it; ``none`` for None."""
    if text is None:
        return "none"
    shown = _visible(text[: limit + 1])
    return f'"{shown}"' if len(shown) <= limit else f'"{shown[: limit - 1]}…"'


def diff_texts(old: str | None, new: str | None, limit: int = 160) -> tuple[str, str]:
    """Return both descriptions so that their difference shows, each at most about ``limit`` characters long.

    Where they are longer, what they have in common at both ends becomes an ellipsis. Where they would look alike
    (other Unicode forms of the same characters), both are escaped to ASCII.
    """
    if old is None or new is None:
        return quoted(old, limit), quoted(new, limit)
    before, after = _visible(old[:_LONGEST]), _visible(new[:_LONGEST])
    forms = {unicodedata.normalize("NFKC", text) for text in (before, after)}
    if before != after and len(forms) == 1:
        before, after = (text.encode("ascii", "backslashreplace").decode() for text in (before, after))
    if max(len(before), len(after)) > limit:
        head = _alike(before, after)
        tail = _alike(before[head:][::-1], after[head:][::-1])
        before, after = (_middle(text, head, len(text) - tail, limit) for text in (before, after))
    return f'"{before}"', f'"{after}"'


def _alike(one: str, other: str) -> int:
    """Return the length of the longest common start; halving, as comparing slices is quick."""
    lengths = range(1, min(len(one), len(other)) + 1)
    return bisect_left(lengths, 1, key=lambda length: one[:length] != other[:length])


def _middle(text: str, start: int, end: int, limit: int) -> str:
    """Return ``text`` around start..end with some context, ellipses for what is left out."""
    first = max(start - _CONTEXT, 0)
    if first:  # from a word's start, where there is one; never from a mark without its letter
        first = text.find(" ", first, start) + 1 or first
        while first and unicodedata.combining(text[first : first + 1] or " "):
            first -= 1
    last = min(end + _CONTEXT, len(text), first + limit - 2)
    return ("…" if first else "") + text[first:last] + ("…" if last < len(text) else "")
