"""``mmsync import``: a manifest and model files from what a server holds."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmsync.cli import options as opt
from mmsync.cli.exits import ExitCode
from mmsync.cli.output import answer, complain
from mmsync.errors import MmsyncError, SettingsError
from mmsync.printable import printable

if TYPE_CHECKING:
    from mmsync.cli.importing import Draught
    from mmsync.connection import Connection

__all__ = ["import_"]

_EXAMPLES = """\b
Examples:
  mmsync import --to fraud --target 'fraud_*'
  mmsync plan -f fraud/models.yaml
"""


@click.command("import", epilog=_EXAMPLES)
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    default=".",
    show_default=True,
    help="Where models.yaml and models/ go; made where missing.",
)
@opt.selection_options
@click.option("--no-files", is_flag=True, help="Write the manifest only; the files are yours to supply.")
@click.option("--force", is_flag=True, help="Replace an existing models.yaml, and model files of another content.")
@opt.jobs_option("How many at a time.")
@opt.quiet_option
@opt.server_options
def import_(**given: Any) -> int:
    """Write models.yaml and the model files from what a server holds.

    A plan right afterwards has no changes. The manifest is written last, and only when every file is there: an
    interrupted import is simply run again, and downloads only what is missing. Models are not owned by it until you
    give it a scope, so nothing of the server's is ever deleted because of an import.
    """
    from mmsync.cli.connect import connected  # noqa: PLC0415 - imports the HTTP library
    from mmsync.cli.importing import read_server  # noqa: PLC0415 - the same
    from mmsync.cli.placing import write_new  # noqa: PLC0415 - the same

    server = opt.take_server(given)
    selection = opt.take_selection(given)
    folder = Path(given["folder"])
    target = folder / "models.yaml"
    if os.path.lexists(target) and not given["force"]:
        raise SettingsError(
            f"{target} is there already; nothing was written",
            "import --to another folder, or give --force to replace it",
        )
    with connected(server, None, jobs=given["jobs"], if_missing="refuse") as connection:
        folder.mkdir(parents=True, exist_ok=True)
        found = read_server(connection, selection, server)
        complain(found.left_out)
        if not given["no_files"]:
            _fetch(found, connection, folder, given)
        write_new(target, found.text, replace=given["force"])
    models, files = len(found.models), "" if given["no_files"] else f", their files in {folder / 'models'}"
    answer(f"Wrote {printable(str(target), 4096)}: {models:,} model{'s' * (models != 1)}{files}.\n")
    click.echo(f"Next: mmsync plan -f {shlex.quote(str(target))}{found.server_flags}", err=True)
    return ExitCode.DONE


def _fetch(found: Draught, connection: Connection, folder: Path, given: dict[str, Any]) -> None:
    """Download the models' files into ``folder``.

    Raises:
        MmsyncError: Not all of them are there now; each was told of.
    """
    from mmsync.cli.download import download  # noqa: PLC0415 - imports the HTTP library
    from mmsync.cli.importing import moved  # noqa: PLC0415 - the same
    from mmsync.cli.progress import progress  # noqa: PLC0415 - the same

    wanted = found.wanted(folder)
    with progress(sys.stderr, quiet=given["quiet"]) as sink:
        sink.expect("downloading", models=len(wanted))
        done = download(wanted, connection, jobs=given["jobs"], force=given["force"], on_event=sink)
    faults = [(each.wanted.observed.name, each.message or moved(each)) for each in done]
    faults = [(name, message) for name, message in faults if message]
    for name, message in faults:
        click.echo(f"Error: {printable(name)}: {printable(message, 1000)}", err=True)
    if faults:
        count = f"{len(faults):,} of {len(done):,} files"
        fault = MmsyncError(f"{count} could not be fetched; no manifest was written")
        fault.hint = "run it again: what is there is not downloaded twice; --exclude leaves a model out"
        raise fault
