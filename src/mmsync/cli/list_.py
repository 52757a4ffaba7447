"""``mmsync list``: the server's models."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TextIO

import click

from mmsync.cli import options as opt, output
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, colour
from mmsync.cli.reporting import complain
from mmsync.cli.settings import ServerOptions, resolve
from mmsync.manifest import Manifest
from mmsync.observe import rows
from mmsync.plan import Scope, Selection
from mmsync.plan.planner import same_engine
from mmsync.printable import printable
from mmsync.quantities import counted, human_bytes
from mmsync.report.layout import columns, display_name, painter
from mmsync.types import Desired, Observed, ServerName, file_key

if TYPE_CHECKING:
    from mmsync.client import Model
    from mmsync.connection import Connection
    from mmsync.ledger import Ledger

_EXAMPLES = """\b
Examples:
  mmsync list --target 'fraud_*'
  mmsync list --format json | jq -r '.models[].name'
"""


@click.command("list", epilog=_EXAMPLES)
@opt.manifest_options
@opt.selection_options
@opt.format_option("text", "json")
@opt.server_options
def list_(manifest: ManifestOptions, selection: Selection, server: ServerOptions, *, output_format: str) -> int:
    """List the server's models: name, engine, when it was updated (UTC) and its category.

    Where there is a manifest, a model is "managed" (listed in it), an "orphan" (inside its scope, not listed:
    --prune would delete it) or "unmanaged" (none of its business); one that it lists and the server lacks is "missing".
    Where the ledger knows the content, a managed model is shown as "in-step" or as one that "differs", which apply
    would change, and its size. Hidden models are not in a server's list.
    """
    from mmsync.cli.session import connected, manifest_if_any  # noqa: PLC0415 - 75 ms for HTTP, not for --help

    found = manifest_if_any(manifest)
    target = resolve(server, found.server if found else None)
    with connected(target, jobs=1, if_missing="refuse") as connection:
        models = connection.client.get_models()
        complain(rows(models)[1])
        listed = listing(models, found, selection, connection)
    lacking = missing(models, found, selection)
    if output_format == "json":
        rows_of_json = [row._asdict() for row in listed]
        document: dict[str, object] = {
            "format_version": "1",
            "server": connection.server._asdict(),
            "models": rows_of_json,
        }
        if found:
            document["missing"] = [{"name": row.name, "engine": row.engine} for row in lacking]
        answer(json.dumps(document, indent=2) + "\n")
    else:
        if both := sorted([*listed, *lacking], key=lambda row: (row.name, str(row.id))):
            table = render(both, width=room_for(sys.stdout), colour=colour(sys.stdout))
            answer(table)
            if any(row.size is not None for row in both) and "SIZE" not in table.partition("\n")[0]:
                click.echo("The sizes do not fit in here; --format json has them.", err=True)
        click.echo(tally(listed, connection.server, missing=len(lacking), of=len(models)), err=True)
    return ExitCode.DONE


_GAP = 2
_USUAL = 90  # per cent of the rows that decide what fits

_Column = tuple[str, list[str]]  # the heading, and a cell of printable text for each row


def room_for(stream: TextIO) -> int | None:
    """Return how wide a table on ``stream`` may be; None for a pipe or a file, where a row is a line for grep.

    COLUMNS, where it is set for the process, holds for those as well.
    """
    if stream.isatty():
        return output.columns(stream)
    given = os.environ.get("COLUMNS", "")
    return max(20, int(given)) if given.isascii() and given.isdigit() else None


def render(found: Sequence[Row], *, width: int | None, colour: bool) -> str:
    """Return the rows, at least one, as a table of at most ``width`` columns; None for as many as it takes.

    The name is what one copies: it is never cut nor left out. Where it is too wide for the terminal, it stands on a
    line of its own and the rest of its row on the next.
    """
    moments = [_moment(row.update_date) for row in found]
    kept = [("NAME", [display_name(row.name) for row in found]), ("ENGINE", [_cell(row.engine) for row in found])]
    if found[0].state:
        kept.append(("STATE", [_state_cell(row) for row in found]))
    updated, date = ("UPDATED", moments), ("UPDATED", [moment.partition("T")[0] for moment in moments])
    category = ("CATEGORY", [_cell(row.category) for row in found])
    sizes_known = [_NOTHING if row.size is None else human_bytes(row.size) for row in found]
    more = [("SIZE", sizes_known)] if any(row.size is not None for row in found) else []
    # Where room is short, the size goes first, then the time of day, the category, the date.
    tables = ([*kept, updated, category, *more], [*kept, updated, category], [*kept, date, category], [*kept, date])
    shown = next((table for table in tables if width is None or _fits(table, width)), kept)
    sizes = [_width(column) for column in shown]
    if width is not None:
        rest = sum(sizes[1:]) + _GAP * (len(sizes) - 1)
        sizes[0] = min(sizes[0], max(width - rest, columns(shown[0][0])))
    paint = painter(colour=colour)
    lines = [paint(_line([title for title, _ in shown], sizes)[0], "faint")]
    for row in zip(*(cells for _, cells in shown), strict=True):
        lines += _line(row, sizes)
    return "\n".join(lines) + "\n"


def _fits(table: list[_Column], width: int) -> bool:
    """Return whether the table fits, not counting a few very long names, which get lines of their own."""
    lengths = sorted(map(columns, table[0][1]))
    usual = lengths[(len(lengths) - 1) * _USUAL // 100]
    return usual + sum(map(_width, table[1:])) + _GAP * (len(table) - 1) <= width


def _width(column: _Column) -> int:
    title, cells = column
    return max(map(columns, (title, *cells)))


def _line(cells: Sequence[str], sizes: Sequence[int]) -> list[str]:
    padded = [cell + " " * (size - columns(cell)) for cell, size in zip(cells, sizes, strict=True)]
    gap = " " * _GAP
    if columns(cells[0]) > sizes[0]:
        return [cells[0], (" " * sizes[0] + gap + gap.join(padded[1:])).rstrip()]
    return [gap.join(padded).rstrip()]


_NOTHING = "-"


class Row(NamedTuple):
    """A model of the list; what the server does not say is None. Dates are epoch milliseconds.

    ``state`` is ``managed``, ``orphan`` or ``unmanaged``; None where there is no manifest to say so. ``in_step`` is
    whether a managed model is as the manifest has it; content and size are those that the ledger knows.
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
    in_step: bool | None = None
    sha256: str | None = None
    size: int | None = None


def listing(
    models: Iterable[Model], manifest: Manifest | None, selection: Selection, connection: Connection
) -> list[Row]:
    """Return the selected models by name; rows without a name are left out."""
    from mmsync.ledger import known_content  # noqa: PLC0415 - it brings SQLite, which --help does without

    managed = {desired.name: desired for desired in manifest.models} if manifest else {}
    images = connection.ledger.images(connection.server)
    there = [(model, row) for model in models for (row,) in rows([model])[0].values()]
    names = {*managed, *(row.name for _, row in there)}
    selection = selection.among(names)
    scope = Scope(manifest.scope, names) if manifest else None
    found = []
    for model, row in there:
        if row.name not in selection:
            continue
        content = known_content(row, images)
        desired = managed.get(row.name)
        more = Row(
            category=_text(model.get("category")),
            output_type=_text(model.get("outputType")),
            state=None if scope is None else _state(row.name, managed, scope),
            in_step=_in_step(desired, row, content[0] if content else None, connection.ledger) if desired else None,
            sha256=content[0] if content else None,
            size=content[1] if content else None,
            **row._asdict(),
        )
        found.append(more)
    # A server may list a name twice; the ids, as text, then decide.
    return sorted(found, key=lambda row: (row.name, str(row.id)))


def missing(models: Iterable[Model], manifest: Manifest | None, selection: Selection) -> list[Row]:
    """Return the selected models that the manifest lists and the server lacks, by name."""
    there = rows(models)[0]
    listed = {desired.name: desired for desired in manifest.models} if manifest else {}
    selection = selection.among({*listed, *there})
    return [
        Row(name, None, desired.engine, None, None, None, None, None, None, "missing")
        for name, desired in sorted(listed.items())
        if name not in there and name in selection
    ]


def _in_step(desired: Desired, row: Observed, sha256: str | None, ledger: Ledger) -> bool | None:
    """Return whether a model is as its entry has it; None where the ledger does not know both contents."""
    is_other_engine = row.engine is not None and not same_engine(row.engine, desired.engine)
    if is_other_engine or desired.description not in (None, row.description or ""):
        return False
    try:
        content = ledger.get(file_key(os.stat(desired.path)))  # noqa: PTH116 - paths stay text
    except (OSError, ValueError):
        return None
    return content.sha256 == sha256 if content and sha256 else None


def _state_cell(row: Row) -> str:
    if row.in_step is None:
        return row.state or _NOTHING
    return "in-step" if row.in_step else "differs"


def _state(name: str, managed: Container[str], scope: Scope) -> str:
    return "managed" if name in managed else "orphan" if name in scope else "unmanaged"


def tally(found: Sequence[Row], server: ServerName, *, missing: int = 0, of: int = 0) -> str:
    """Return the counts in one line; ``of`` is how many models the server has in all."""
    counts = Counter(row.state for row in found)
    parts = [f"{counts[state]:,} {state}" for state in ("managed", "orphan", "unmanaged") if counts[state]]
    parts += [f"{missing:,} missing"] if missing else []
    where = printable(server.url) + (f", domain {printable(server.domain)}" if server.domain else "")
    states = f": {', '.join(parts)}" if parts else ""
    if not found and of:
        return f"{'The model' if of == 1 else f'None of the {of:,} models'} on {where} is {'not ' * (of == 1)}selected{states}"
    return f"{counted(len(found), 'model') if found else 'No models'} on {where}{states}"


def _moment(date: int | None) -> str:
    """Return epoch milliseconds as ISO 8601 in UTC; a dash where there is no such moment."""
    with contextlib.suppress(OverflowError, ValueError, OSError):
        if date is not None:
            return datetime.fromtimestamp(date / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _NOTHING


def _cell(text: str | None) -> str:
    return printable(text, 24) if text else _NOTHING


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
