"""``mmsync list``: the server's models."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from mmsync.cli import options as opt
from mmsync.cli.exits import ExitCode
from mmsync.cli.output import answer, colour, complain

if TYPE_CHECKING:
    from mmsync.cli.listing import Row
    from mmsync.states import ServerName

__all__ = ["list_"]

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
def list_(**given: Any) -> int:
    """List the server's models: name, engine, when it was updated (UTC) and its category.

    Where there is a manifest, a model is "managed" (listed in it), an "orphan" (inside its scope, not listed:
    --prune would delete it) or "unmanaged" (none of its business). Hidden models are not in a server's list.
    """
    from mmsync.apply.observe import rows  # noqa: PLC0415 - imports the HTTP library
    from mmsync.cli.backdrop import backdrop  # noqa: PLC0415 - the same
    from mmsync.cli.connect import connected  # noqa: PLC0415 - the same
    from mmsync.cli.listing import listing  # noqa: PLC0415 - the same

    server = opt.take_server(given)
    selection = opt.take_selection(given)
    manifest = backdrop(given)
    with connected(server, manifest.server if manifest else None, jobs=1, if_missing="refuse") as connection:
        models = connection.client.get_models()
    _, odd = rows(models)
    found = listing(models, manifest, selection)
    if odd:
        complain(odd)
    if given["output_format"] == "json":
        answer(_document(found, connection.server))
    else:
        _show(found, connection.server)
    return ExitCode.DONE


def _document(found: list[Row], server: ServerName) -> str:
    """Return the list as JSON: the keys and units of the plan document, dates in epoch milliseconds."""
    document = {"format_version": "1", "server": server._asdict(), "models": [row._asdict() for row in found]}
    return json.dumps(document, indent=2) + "\n"


def _show(found: list[Row], server: ServerName) -> None:
    from mmsync.cli.listing import render, tally  # noqa: PLC0415 - only for this format
    from mmsync.cli.table import room_for  # noqa: PLC0415 - the same

    if found:
        answer(render(found, width=room_for(sys.stdout), colour=colour(sys.stdout)))
    click.echo(tally(found, server), err=True)
