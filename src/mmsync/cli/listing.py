"""The server's list as rows to show: sorted, selected, and each with its standing in the manifest."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from mmsync.apply.observe import rows
from mmsync.cli.table import Column, render_table
from mmsync.plan import Scope
from mmsync.printable import printable
from mmsync.report.shown import shown_name
from mmsync.report.sizes import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmsync.client import Model
    from mmsync.manifest import Manifest
    from mmsync.plan import Selection
    from mmsync.states import ServerName

__all__ = ["Row", "listing", "render", "tally"]

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
    managed = {wanted.name for wanted in manifest.models} if manifest else set()
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
        Column("NAME", [shown_name(row.name) for row in found]),
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
