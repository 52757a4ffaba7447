"""``mmsync pull``: download model files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmsync.cli import options as opt
from mmsync.cli.exits import ExitCode
from mmsync.cli.output import answer
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsync.cli.download import Download

__all__ = ["pull"]

_EXAMPLES = """\b
Examples:
  mmsync pull fraud_score
  mmsync pull 'fraud_*' --to models
  mmsync pull --all --to backup | sha256sum --check
"""


@click.command("pull", epilog=_EXAMPLES)
@click.argument("names", metavar="[NAME...]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every model the server lists.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not models whose name matches; may be repeated.")
@click.option("--to", "folder", metavar="DIR", default=".", show_default=True, help="Where to; made where missing.")
@click.option("--force", is_flag=True, help="Replace files of another content.")
@opt.jobs_option("How many at a time.")
@opt.format_option("text", "json")
@opt.quiet_option
@opt.manifest_options
@opt.server_options
def pull(**given: Any) -> int:
    """Download model files by NAME: exact, or a glob such as 'fraud_*'.

    A file gets the model's name and its engine's extension. It appears whole or not at all, and a file of another
    content is not replaced without --force. For each file its sha256 and path are printed, as sha256sum does:
    `mmsync pull --all | sha256sum --check` holds. A manifest is not needed; one only says which server.
    """
    from mmsync.cli.backdrop import backdrop  # noqa: PLC0415 - imports the HTTP library
    from mmsync.cli.connect import connected  # noqa: PLC0415 - the same
    from mmsync.cli.download import download  # noqa: PLC0415 - the same
    from mmsync.cli.progress import progress  # noqa: PLC0415 - the same
    from mmsync.cli.wanted import choose  # noqa: PLC0415 - the same

    server = opt.take_server(given)
    if bool(given["names"]) == given["every"]:
        raise click.UsageError("name the models to download, or give --all")
    manifest = backdrop(given)
    folder = Path(given["folder"])
    settings = manifest.server if manifest else None
    with connected(server, settings, jobs=given["jobs"], if_missing="refuse") as connection:
        folder.mkdir(parents=True, exist_ok=True)
        chosen, missing = choose(given["names"] or None, connection.client, folder, exclude=given["exclude"])
        for sentence in missing:
            click.echo(f"Error: {sentence}", err=True)
        with progress(sys.stderr, quiet=given["quiet"]) as sink:
            sink.expect("downloading", models=len(chosen))
            done = download(chosen, connection, jobs=given["jobs"], force=given["force"], on_event=sink)
    _tell(done, given["output_format"])
    return ExitCode.FAILURE if missing or not all(each.ok for each in done) else ExitCode.DONE


def _tell(done: Sequence[Download], output_format: str) -> None:
    """Print what is there now, then what is not."""
    if output_format == "json":
        answer(json.dumps({"format_version": "1", "files": [_entry(each) for each in done]}, indent=2) + "\n")
    elif there := [each for each in done if each.ok]:
        answer("".join(f"{each.sha256}  {printable(str(each.wanted.path), 4096)}\n" for each in there))
    for each in done:
        if not each.ok:
            click.echo(f"Error: {printable(each.wanted.observed.name)}: {printable(each.message, 1000)}", err=True)
    written, there_already = (sum(each.status == status for each in done) for status in ("written", "there"))
    parts = [f"{written:,} downloaded"] + [f"{there_already:,} already there"] * bool(there_already)
    failed = len(done) - written - there_already
    click.echo(", ".join(parts + [f"{failed:,} not"] * bool(failed)) + ".", err=True)


def _entry(each: Download) -> dict[str, Any]:
    model = each.wanted.observed
    return {
        "name": model.name,
        "engine": model.engine,
        "file": str(each.wanted.path),
        "status": each.status,
        "sha256": each.sha256 or None,
        "size": each.size if each.sha256 else None,
        "message": each.message,
    }
