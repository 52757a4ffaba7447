"""``mmsync pull``: download model files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mmsync.cli import options as opt
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, say_error
from mmsync.cli.progress import progress
from mmsync.cli.session import connected, manifest_if_any
from mmsync.cli.settings import ServerOptions, resolve
from mmsync.download import Download, choose, download
from mmsync.printable import printable

_EXAMPLES = """\b
Examples:
  mmsync pull fraud_score
  mmsync pull 'fraud_*' --to models
  mmsync pull --all --to backup | sha256sum --check
"""


@click.command("pull", epilog=_EXAMPLES)
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=opt.complete_models)
@click.option("--all", "every", is_flag=True, help="Every model the server lists.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Not models whose name matches; may be repeated.")
@opt.to_option("Where to; made where missing.")
@click.option("--force", is_flag=True, help="Replace files of another content.")
@opt.jobs_option("How many at a time.")
@opt.format_option("text", "json")
@opt.quiet_option
@opt.manifest_options
@opt.server_options
def pull(
    names: tuple[str, ...],
    manifest: ManifestOptions,
    server: ServerOptions,
    *,
    every: bool,
    exclude: tuple[str, ...],
    folder: str,
    force: bool,
    jobs: int,
    output_format: str,
    quiet: bool,
) -> int:
    """Download model files by NAME: exact, or a glob such as 'fraud_*'.

    A file gets the model's name and its engine's extension. It appears whole or not at all, and a file of another
    content is not replaced without --force. For each file its sha256 and path are printed, as sha256sum does:
    `mmsync pull --all | sha256sum --check` holds. A manifest is not needed; one only says which server.
    """
    if bool(names) == every:
        raise click.UsageError("name the models to download, or give --all")
    found = manifest_if_any(manifest)
    target = resolve(server, found.server if found else None)
    with connected(target, jobs=jobs, if_missing="refuse") as connection:
        Path(folder).mkdir(parents=True, exist_ok=True)
        chosen, missing = choose(names or None, connection.client, Path(folder), exclude=exclude)
        for sentence in missing:
            say_error(sentence)
        with progress(sys.stderr, quiet=quiet) as sink:
            sink.expect("downloading", models=len(chosen))
            done = download(chosen, connection, jobs=jobs, force=force, on_event=sink)
    _tell(done, output_format)
    return ExitCode.FAILURE if missing or not all(each.ok for each in done) else ExitCode.DONE


def _tell(done: Sequence[Download], output_format: str) -> None:
    """Print what is there now, then what is not."""
    if output_format == "json":
        files = [
            {
                "name": each.file.observed.name,
                "engine": each.file.observed.engine,
                "file": str(each.file.path),
                "status": each.status,
                "sha256": each.sha256 or None,
                "size": each.size if each.sha256 else None,
                "message": each.message,
            }
            for each in done
        ]
        answer(json.dumps({"format_version": "1", "files": files}, indent=2) + "\n")
    elif there := [each for each in done if each.ok]:
        answer("".join(f"{each.sha256}  {printable(str(each.file.path), 4096)}\n" for each in there))
    for each in done:
        if not each.ok:
            say_error(f"{printable(each.file.observed.name)}: {printable(each.message, 1000)}")
    written, there_already = (sum(each.status == status for each in done) for status in ("written", "there"))
    parts = [f"{written:,} downloaded"] + [f"{there_already:,} already there"] * bool(there_already)
    failed = len(done) - written - there_already
    click.echo(", ".join(parts + [f"{failed:,} not"] * bool(failed)) + ".", err=True)
