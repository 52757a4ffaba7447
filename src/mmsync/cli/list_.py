"""``mmsync list``: the server's models."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TextIO

import click

from mmsync.cli import options as opt, output
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, colour
from mmsync.cli.reporting import complain
from mmsync.cli.session import connected, manifest_if_any
from mmsync.cli.settings import ServerOptions, resolve
from mmsync.client import Model
from mmsync.manifest import Manifest
from mmsync.observe import rows
from mmsync.plan import Scope, Selection
from mmsync.printable import printable
from mmsync.report.format import counted
from mmsync.report.layout import columns, display_name, painter
from mmsync.types import ServerName

_EXAMPLES = """\b
Examples:
  mmsync list --target 'fraud_*'
  mmsync list --format json | jq -r '.models[].name'
"""


@click.command(
    "list",
    epilog=_EXAMPLES,
)
@opt.manifest_options
@opt.selection_options
@opt.format_option("text", "json")
@opt.server_options
def list_(manifest: ManifestOptions, selection: Selection, server: ServerOptions, *, output_format: str) -> int:
    """List the server's models: name, engine, when it was updated (UTC) and its category.

    Where there is a manifest, a model is "managed" (listed in it), an "orphan" (inside its scope, not listed:
    --prune would delete it) or "unmanaged" (none of its business). Hidden models are not in a server's list.
    """
    found = manifest_if_any(manifest)
    target = resolve(server, found.server if found else None)
    with connected(target, jobs=1, if_missing="refuse") as connection:
        models = connection.client.get_models()
    complain(rows(models)[1])
    listed = listing(models, found, selection)
    if output_format == "json":
        answer(_document(listed, connection.server))
    else:
        if listed:
            answer(render(listed, width=room_for(sys.stdout), colour=colour(sys.stdout)))
        click.echo(tally(listed, connection.server), err=True)
    return ExitCode.DONE


def _document(found: list[Row], server: ServerName) -> str:
    """Return the list as JSON: the keys and units of the plan document, dates in epoch milliseconds."""
    document = {"format_version": "1", "server": server._asdict(), "models": [row._asdict() for row in found]}
    return json.dumps(document, indent=2) + "\n"


_GAP = 2
_USUAL = 90  # per cent of the rows that decide what fits


class Column(NamedTuple):
    """A title, a cell for each row, and how far the column may give way where room is short."""

    title: str  # the heading
    cells: Sequence[str]  # printable text
    short: Sequence[str] = ()  # shorter cells to fall back to; empty where there are none
    rank: int = 0  # columns of rank 0 always stay; of the others the highest goes first


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


_STATES = ("managed", "orphan", "unmanaged")
_NOTHING = "-"


class Row(NamedTuple):
    """A model of the list; what the server does not say is None. Dates are epoch milliseconds.

    ``state`` is ``managed``, ``orphan`` or ``unmanaged``; None where there is no manifest to say so.
    """

    name: str
    id: int | str | None
    engine: str | None
    category: str | None
    output_type: str | None
    description: str | None
    image_id: int | str | None
    creation_date: int | None
    update_date: int | None
    state: str | None


def listing(models: Iterable[Model], manifest: Manifest | None, selection: Selection) -> list[Row]:
    """Return the selected models by name; rows without a name are left out."""
    managed = {desired.name for desired in manifest.models} if manifest else set()
    there = [(model, row) for model in models for (row,) in rows([model])[0].values()]
    names = {*managed, *(row.name for _, row in there)}
    selection = selection.among(names)
    scope = Scope(manifest.scope, names) if manifest else None
    found = []
    for model, row in there:
        if row.name in selection:
            state = None
            if scope is not None:
                state = "managed" if row.name in managed else "orphan" if row.name in scope else "unmanaged"
            found.append(
                Row(
                    row.name,
                    row.id,
                    row.engine,
                    _text(model.get("category")),
                    _text(model.get("outputType")),
                    row.description,
                    row.image_id,
                    row.creation_date,
                    row.update_date,
                    state,
                )
            )
    # A server may list a name twice; the ids, as text, then decide.
    return sorted(found, key=lambda row: (row.name, str(row.id)))


def render(found: Sequence[Row], *, width: int | None, colour: bool) -> str:
    """Return the rows as a table."""
    moments = [_moment(row.update_date) for row in found]
    table = [
        Column("NAME", [display_name(row.name) for row in found]),
        Column("ENGINE", [_cell(row.engine) for row in found]),
        Column("UPDATED", moments, [moment.partition("T")[0] for moment in moments], rank=1),
        Column("CATEGORY", [_cell(row.category) for row in found], rank=2),
    ]
    if found and found[0].state:
        table.insert(2, Column("STATE", [row.state or _NOTHING for row in found]))
    return render_table(table, width=width, colour=colour)


def tally(found: Sequence[Row], server: ServerName) -> str:
    """Return the counts in one line."""
    counts = Counter(row.state for row in found)
    parts = [f"{counts[state]:,} {state}" for state in _STATES if counts[state]]
    where = printable(server.url) + (f", domain {printable(server.domain)}" if server.domain else "")
    return f"{counted(len(found), 'model') if found else 'No models'} on {where}" + (
        f": {', '.join(parts)}" if parts else ""
    )


def _moment(date: int | None) -> str:
    """Return epoch milliseconds as ISO 8601 in UTC; a dash where there is no such moment."""
    if date is None:
        return _NOTHING
    try:
        return datetime.fromtimestamp(date / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return _NOTHING


def _cell(text: str | None) -> str:
    return printable(text, 24) if text else _NOTHING


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
