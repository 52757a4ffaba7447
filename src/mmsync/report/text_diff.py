"""Differences inside a text, word by word: what two descriptions have in common, and what is new in one of them.

The cost is bounded whatever the texts are: how many steps may be spent is an argument, and beyond it a stretch counts
as different as a whole.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

STEPS = 200_000
"""Steps that comparing two texts may take, about a tenth of a second."""

_Pair = tuple[int, int]  # the place of a token in the one text and in the other

# Words, white space, and other characters one by one; so are those of scripts that put no spaces between words.
_TOKEN = re.compile(r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\U0010ffff]+|[^\S\n]+|.", re.DOTALL)


class Stretch(NamedTuple):
    """A stretch of both texts: the same on both sides, or what the one has in place of the other's."""

    old: str
    new: str

    @property
    def is_common(self) -> bool:
        """Return whether both have it."""
        return self.old == self.new


class Difference(NamedTuple):
    """Two texts, stretch by stretch; no two that follow one another are both common."""

    stretches: tuple[Stretch, ...]
    steps: int  # how many were taken


def compare(old: str, new: str, steps: int = STEPS) -> Difference:
    """Return both texts in stretches, in at most about ``steps`` steps beyond one look at each character.

    >>> compare("trained on 2023", "trained on 2024").stretches
    (Stretch(old='trained on ', new='trained on '), Stretch(old='2023', new='2024'))
    """
    before, after = (_TOKEN.findall(text) for text in (old, new))
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    was, now = before[head : len(before) - tail], after[head : len(after) - tail]
    are_apart = all(token.isspace() for token in {*was} & {*now})
    pairs, taken = ([], 0) if are_apart else _common(was, now, steps)
    stretches = [Stretch("".join(before[:head]), "".join(after[:head]))]
    one = other = 0
    for first, last in _runs(_without_islands(was, pairs)):
        stretches.append(Stretch("".join(was[one : first[0]]), "".join(now[other : first[1]])))
        stretches.append(Stretch("".join(was[first[0] : last[0] + 1]), "".join(now[first[1] : last[1] + 1])))
        one, other = last[0] + 1, last[1] + 1
    stretches.append(Stretch("".join(was[one:]), "".join(now[other:])))
    stretches.append(Stretch("".join(before[len(before) - tail :]), "".join(after[len(after) - tail :])))
    return Difference(tuple(_joined(stretches)), taken)


def _runs(pairs: Sequence[_Pair]) -> Iterator[tuple[_Pair, _Pair]]:
    """Yield the first and the last of each run of places that follow one another on both sides."""
    start = 0
    for place in range(1, len(pairs) + 1):
        last = pairs[place - 1]
        if place == len(pairs) or pairs[place] != (last[0] + 1, last[1] + 1):
            yield pairs[start], last
            start = place


def _joined(stretches: Sequence[Stretch]) -> Iterator[Stretch]:
    """Yield the stretches that are not empty, those of a kind that meet as one."""
    for _, group in groupby((one for one in stretches if one != ("", "")), key=lambda one: one.is_common):
        kept = list(group)
        yield Stretch("".join(one.old for one in kept), "".join(one.new for one in kept))


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common start; halving, as comparing slices is quick."""
    lengths = range(1, min(len(one), len(other)) + 1)
    return bisect_left(lengths, 1, key=lambda length: one[:length] != other[:length])


def _without_islands(old: Sequence[str], pairs: Sequence[_Pair]) -> list[_Pair]:
    """Leave out a mere space that stands alone between differences: nobody reads text in such pieces."""
    paired = set(pairs)
    return [
        (one, other)
        for one, other in pairs
        if not old[one].isspace() or (one - 1, other - 1) in paired or (one + 1, other + 1) in paired
    ]


def _common(old: Sequence[str], new: Sequence[str], steps: int) -> tuple[list[_Pair], int]:
    """Return the places of a longest common subsequence, and the steps it took; none where it would take more.

    The greedy algorithm of Myers (1986): the furthest that one comes with a number of deletions and insertions, on each
    diagonal, and the way back from the end.
    """
    taken = 0
    furthest = {1: 0}  # by diagonal: how much of ``old`` is passed
    trace: list[dict[int, int]] = []
    for edits in range(len(old) + len(new) + 1):
        reached: dict[int, int] = {}
        # Beyond the end of either there is nothing to be passed.
        lowest, highest = abs(edits - len(new)) - len(new), len(old) - abs(edits - len(old))
        for diagonal in range(lowest, highest + 1, 2):
            down, right = furthest.get(diagonal + 1, -1), furthest.get(diagonal - 1, -1)
            start = x = down if right < down else right + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y = x + 1, y + 1
            taken += 1 + x - start
            reached[diagonal] = x
            if x >= len(old) and y >= len(new):
                return _way_back(old, new, trace), taken
        if taken > steps:
            break
        trace.append(reached)
        furthest = reached
    return [], taken


def _way_back(old: Sequence[str], new: Sequence[str], trace: Sequence[dict[int, int]]) -> list[_Pair]:
    pairs: list[_Pair] = []
    x, y = len(old), len(new)
    for reached in reversed(trace):
        diagonal = x - y
        down, right = reached.get(diagonal + 1, -1), reached.get(diagonal - 1, -1)
        is_insertion = right < down
        before = down if is_insertion else right
        there = before if is_insertion else before + 1  # where the run of common tokens begins
        while x > there:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x = before
        y = x - (diagonal + 1 if is_insertion else diagonal - 1)
    pairs += reversed([*zip(range(x), range(y), strict=True)])
    return pairs[::-1]
