"""Rows in aligned columns, as wide as the terminal and no wider."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TextIO

from mmsync.cli import output
from mmsync.report.layout import columns, painter

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Column", "render_table", "room_for"]

_GAP = 2
_USUAL = 90  # per cent of the rows that decide what fits


class Column(NamedTuple):
    """A title, a cell for each row, and how far the column may give way where room is short.

    Attributes:
        title: The heading.
        cells: Printable text.
        short: Shorter cells to fall back to; empty where there are none.
        rank: Columns of rank 0 always stay; of the others the highest goes first.
    """

    title: str
    cells: Sequence[str]
    short: Sequence[str] = ()
    rank: int = 0


def room_for(stream: TextIO) -> int | None:
    """Return how wide a table on ``stream`` may be; None for a pipe or a file, where a row is a line for grep.

    COLUMNS, where it is set for the process, holds for those as well.
    """
    if stream.isatty():
        return output.columns(stream)
    given = os.environ.get("COLUMNS", "")
    return max(20, int(given)) if given.isascii() and given.isdigit() else None


def render_table(table: Sequence[Column], *, width: int | None, colour: bool = False) -> str:
    """Return the table as lines.

    The first column is what one copies: it is never cut nor left out. Where it is too wide for the terminal, it
    stands on a line of its own and the rest of its row on the next.

    Args:
        table: The columns, all with as many cells.
        width: Columns of the terminal; None for as many as it takes.
        colour: Whether the headings are faint.
    """
    shown = list(table)
    if width is not None:
        shown = _fitted(shown, width)
    sizes = [_width(column) for column in shown]
    if width is not None and len(shown) > 1:
        rest = sum(sizes[1:]) + _GAP * (len(sizes) - 1)
        sizes[0] = min(sizes[0], max(width - rest, columns(shown[0].title)))
    paint = painter(colour=colour)
    lines = [paint(_line([column.title for column in shown], sizes)[0], "faint")]
    for row in zip(*(column.cells for column in shown), strict=True):
        lines += _line(row, sizes)
    return "\n".join(lines) + "\n"


def _fitted(table: list[Column], width: int) -> list[Column]:
    """Shorten cells, then leave columns out, until the table fits or only what must stay is left.

    A few names of extraordinary length do not count: they get lines of their own, the other rows stay as they are.
    """
    lengths = sorted(map(columns, table[0].cells)) or [0]
    usual = lengths[(len(lengths) - 1) * _USUAL // 100]

    def too_wide() -> bool:
        return usual + sum(map(_width, table[1:])) + _GAP * (len(table) - 1) > width

    if too_wide():
        table = [column._replace(cells=column.short) if column.short else column for column in table]
    while too_wide():
        worst = max(table, key=lambda column: column.rank)
        if not worst.rank:
            break
        table.remove(worst)
    return table


def _width(column: Column) -> int:
    return max(map(columns, (column.title, *column.cells)))


def _line(cells: Sequence[str], sizes: Sequence[int]) -> list[str]:
    padded = [cell + " " * (size - columns(cell)) for cell, size in zip(cells, sizes, strict=True)]
    gap = " " * _GAP
    if columns(cells[0]) > sizes[0]:
        return [cells[0], (" " * sizes[0] + gap + gap.join(padded[1:])).rstrip()]
    return [gap.join(padded).rstrip()]
