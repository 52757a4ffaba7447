"""``mmsync import``: a manifest and model files from what a server holds."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from mmsync.additions import ManifestFile
from mmsync.cli import options as opt
from mmsync.cli.add import tell, write
from mmsync.cli.errors import ExitCode
from mmsync.cli.init import tell_schema
from mmsync.cli.output import answer, say_error
from mmsync.cli.progress import progress
from mmsync.cli.reporting import complain
from mmsync.cli.session import connected
from mmsync.cli.settings import ServerOptions, in_ci, resolve
from mmsync.connection import Connection
from mmsync.download import download
from mmsync.errors import MmsyncError, SettingsError
from mmsync.files.atomic import write_new
from mmsync.manifest import ServerSettings
from mmsync.plan import Selection
from mmsync.printable import printable
from mmsync.quantities import counted
from mmsync.scaffold import ServerManifest, read_server, replaced_meanwhile

_EXAMPLES = """\b
Examples:
  mmsync import --to fraud --target 'fraud_*'
  mmsync plan -f fraud/models.yaml
"""


@click.command("import", epilog=_EXAMPLES)
@opt.to_option("Where models.yaml and models/ go; made where missing.")
@opt.selection_options
@click.option("--no-files", is_flag=True, help="Write the manifest only; the files are yours to supply.")
@click.option("--merge", is_flag=True, help="Add what an existing models.yaml does not list, and change nothing else.")
@click.option("--force", is_flag=True, help="Replace an existing models.yaml, and model files of another content.")
@click.option("--no-schema", is_flag=True, help="Write no models.schema.json beside it, by which editors check it.")
@opt.jobs_option("How many at a time.")
@opt.quiet_option
@opt.server_options
def import_(
    folder: str,
    selection: Selection,
    server: ServerOptions,
    *,
    no_files: bool,
    merge: bool,
    force: bool,
    no_schema: bool,
    jobs: int,
    quiet: bool,
) -> int:
    """Write models.yaml and the model files from what a server holds.

    A plan right afterwards has no changes. The manifest is written last, and only when every file is there: an
    interrupted import is simply run again, and downloads only what is missing. Models are not owned by it until you
    give it a scope, so nothing of the server's is ever deleted because of an import. With --merge an existing
    models.yaml gets entries and files for the models that it does not list, in the way it is written.
    """
    target = Path(folder) / "models.yaml"
    # Before anything is asked of a server.
    page = ManifestFile(str(target), confined=in_ci()) if merge and os.path.lexists(target) else None
    if os.path.lexists(target) and not force and page is None:
        hint = "import --to another folder, --merge what it does not list, or give --force to replace it"
        raise SettingsError(f"{target} is there already; nothing was written", hint)
    with connected(resolve(server, None), jobs=jobs, if_missing="refuse") as connection:
        Path(folder).mkdir(parents=True, exist_ok=True)
        settings = ServerSettings(server.url, server.profile, server.auth_type, server.domain)
        found = read_server(connection, selection, settings, schema_line=not no_schema)
        complain(found.left_out)
        additions = None
        if page:
            listed = {model.name for model in page.manifest.models}
            additions = page.choose((entry for entry in found.entries if entry.name not in listed), check_files=False)
            found = found.only({entry.name for entry in additions.added})
        if not no_files:
            _fetch(found, connection, Path(folder), jobs=jobs, force=force, quiet=quiet)
        if page and additions:
            write(page, additions)
            tell(str(target), additions)
            return ExitCode.DONE
        write_new(target, found.text, replace=force)
    if not no_schema:
        tell_schema(Path(folder))
    files = "" if no_files else f", their files in {Path(folder) / 'models'}"
    answer(f"Wrote {printable(str(target), 4096)}: {counted(len(found.models), 'model')}{files}.\n")
    flags = _flags(server, found.names_server)
    click.echo(f"Next: mmsync plan -f {shlex.quote(str(target))}{flags}", err=True)
    return ExitCode.DONE


def _flags(server: ServerOptions, names_server: bool) -> str:  # noqa: FBT001 - one of two
    """Return what a command needs beside the manifest to reach the same server, with a space before each word.

    A manifest holds no folder of this machine, nor the way to the profiles.
    """
    words: list[str] = []
    if not names_server:
        words += ["--url", server.url or ""] + (["--domain", server.domain] if server.domain else [])
    elif server.profile and not server.url and server.profiles_path:
        words += ["--profiles-path", server.profiles_path]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _fetch(found: ServerManifest, connection: Connection, folder: Path, *, jobs: int, force: bool, quiet: bool) -> None:
    """Download the models' files into ``folder``; raises `MmsyncError` if not all are there now, each told of."""
    files = found.files_in(folder)
    with progress(sys.stderr, quiet=quiet) as sink:
        sink.expect("downloading", models=len(files))
        done = download(files, connection, jobs=jobs, force=force, on_event=sink)
    failed = [(each.file.observed.name, why) for each in done if (why := each.message or replaced_meanwhile(each))]
    for name, message in failed:
        say_error(f"{printable(name)}: {printable(message, 1000)}")
    if failed:
        count = f"{len(failed):,} of {len(done):,} files"
        hint = "run it again: what is there is not downloaded twice; --exclude leaves a model out"
        raise MmsyncError(f"{count} could not be fetched; no manifest was written", hint)
