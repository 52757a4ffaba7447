"""Suggestions for a word that is not known: the one that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` was probably meant to be, letter case aside, or None."""
    from difflib import get_close_matches  # noqa: PLC0415 - 3 ms, and a manifest without errors never needs it

    by_folded = {name.casefold(): name for name in known}
    # A hostile key may be megabytes long, and the comparison is quadratic.
    close = get_close_matches(word[:60].casefold(), by_folded, n=1, cutoff=0.7)
    return by_folded[close[0]] if close else None
