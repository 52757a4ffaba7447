"""Reports of many models that are all in one way: the first few are told whole, of the others the names."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from mmsync.report.layout import Piece, display_name

_WHOLE = 3  # of one way
_NAMES = 10  # in one line
_CID = re.compile(r"correlation id \w+")

_Each = TypeVar("_Each")


def first_few(each: Iterable[_Each], reason: Callable[[_Each], Hashable]) -> list[tuple[_Each, list[_Each]]]:
    """Return what is to be told whole, in its order; the last of a reason with all others of it, mostly none."""
    by_reason: dict[Hashable, list[_Each]] = {}
    ranked = list(each)
    for one in ranked:
        by_reason.setdefault(reason(one), []).append(one)
    told: list[tuple[_Each, list[_Each]]] = []
    so_far: dict[Hashable, int] = {}
    for one in ranked:
        key = reason(one)
        so_far[key] = so_far.get(key, 0) + 1
        if so_far[key] <= _WHOLE:
            told.append((one, by_reason[key][_WHOLE:] if so_far[key] == _WHOLE else []))
    return told


def without(message: str, names: Iterable[str]) -> str:
    """Return a message as it would be of any other model: without these names, and the mark of one request."""
    for name in sorted({name for name in names if name}, key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "\0", message)
    return _CID.sub("\0", message)


def more(names: Iterable[str], what: str) -> list[Piece]:
    """Return ``and 285 more WHAT: a, b, c, …`` as pieces; of very many names, a few."""
    all_names = list(names)
    shown = all_names[:_NAMES]
    pieces = [Piece(word) for word in f"and {len(all_names):,} more {what}:".split(" ")]
    pieces += [Piece(f"{display_name(name)},") for name in shown[:-1]] + [
        Piece(display_name(name)) for name in shown[-1:]
    ]
    if len(all_names) > len(shown):
        pieces[-1] = Piece(f"{pieces[-1].text},")
        pieces.append(Piece("…"))
    return pieces
