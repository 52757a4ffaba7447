"""``mmsync plan``: show what apply would change, and save it for ``mmsync apply FILE``.

A saved plan never replaces a manifest, a model file, or anything else that is no plan.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from mmsync._version import __version__
from mmsync.cli import options as opt
from mmsync.cli.backup import refuse_backups
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, colour, columns
from mmsync.cli.reporting import complain, publish
from mmsync.cli.settings import ServerOptions, resolve
from mmsync.errors import SettingsError
from mmsync.files.atomic import write_new
from mmsync.manifest import Manifest
from mmsync.plan import MAX_DOCUMENT, Options, Plan, dump, plan_digest, plan_document
from mmsync.printable import printable
from mmsync.report.plan_text import render_plan

_EXAMPLES = """\b
Examples:
  mmsync plan --url local:.model-manager
  mmsync plan --target 'fraud_*' --out plan.json
  mmsync plan --prune --format html > plan.html
"""


@click.command("plan", epilog=_EXAMPLES)
@opt.manifest_options
@opt.plan_options
@click.option("--out", metavar="FILE", help="Save the plan document for `mmsync apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where there are changes.")
@click.option("--all", "show_all", is_flag=True, help="Show unchanged models too.")
@opt.format_option("text", "json", "markdown", "html")
@opt.quiet_option
@opt.server_options
def plan(
    manifest: ManifestOptions,
    options: Options,
    server: ServerOptions,
    *,
    out: str | None,
    detailed_exitcode: bool,
    show_all: bool,
    output_format: str,
    quiet: bool,
) -> int:
    """Show what apply would change; write nothing."""
    from mmsync.cli.session import planned, read  # noqa: PLC0415 - 100 ms for HTTP and SQLite, which --help does without

    if out:
        _refuse_other(out)  # before anything is asked of a server
    server = server.with_token()
    refuse_backups(manifest.paths)
    desired = read(manifest)
    if out:
        refuse_input("--out", out, inputs_of(desired))
    with planned(desired, options, resolve(server, desired.server), quiet=quiet) as (made, _):
        pass
    if out:
        _save(made, out)
    return finish_plan(made, output_format, show_all=show_all, detailed_exitcode=detailed_exitcode)


def finish_plan(made: Plan, output_format: str, *, show_all: bool = False, detailed_exitcode: bool) -> int:
    """Show a plan that is all that was asked for; return the exit code."""
    show(made, output_format, show_all=show_all)
    if made.has_errors:
        return ExitCode.FAILURE
    return ExitCode.CHANGES if made.changes and detailed_exitcode else ExitCode.DONE


def show(made: Plan, output_format: str, *, show_all: bool = False) -> None:
    """Write the plan to stdout in the format asked for, and tell GitHub Actions."""
    digest, out = plan_digest(made), sys.stdout
    match output_format:
        case "json":
            answer(dump(plan_document(made, version=__version__, show_all=show_all)))
        case "markdown":
            from mmsync.report.markdown import render  # noqa: PLC0415 - 1 ms, for one format of four

            answer(render(made, digest=digest))
        case "html":
            from mmsync.report import html  # noqa: PLC0415 - 60 ms for Jinja, which the other formats do without

            answer(html.render(made, digest=digest, version=__version__, show_all=show_all))
        case _:
            answer(render_plan(made, digest=digest, width=columns(out), colour=colour(out), show_all=show_all))
    if output_format != "text":
        # What is wrong stands in the document, which may well go to a file: a person is told here.
        complain([each for each in made.diagnostics if each.severity == "error"], annotated=True)
    publish(made)


def _refuse_other(path: str) -> None:
    """Raise `SettingsError` for a file that holds, or may hold, anything but a plan document: it would be lost."""
    if path == "-":
        raise SettingsError("--out -: a plan is saved to a file", "for stdout, give --format json instead")
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode) or not found.st_size or _is_plan(Path(path)):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise _not_saved(path, error) from error
    why = f"--out {printable(path, 4096)}: there is a file that is no plan; it was left as it is"
    raise SettingsError(why, "give another name, or remove it")


def refuse_input(option: str, path: str, inputs: Iterable[tuple[str, str]]) -> None:
    """Raise `SettingsError` for a file that the run is made from, by whatever name and whatever it holds."""
    try:
        there = Path(path).stat()
    except OSError:
        return  # what is not there yet can be none of the files that were read
    for what, name in inputs:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(name), there):  # noqa: PTH116 - a Path for each of ten thousand is slow
                why = f"{option} {printable(path, 4096)} is {what}; it was left as it is"
                raise SettingsError(why, "give another name")


def inputs_of(manifest: Manifest) -> list[tuple[str, str]]:
    """Return every file that a manifest stands for, and what it is."""
    found = [("a manifest", name) for name in manifest.paths]
    return found + [("a listed model's file", desired.path) for desired in manifest.models]


def _save(plan: Plan, path: str) -> None:
    """Write the plan document whole or not at all, or raise `SettingsError`: half a plan must not be applied."""
    document = dump(plan_document(plan, version=__version__))
    target = Path(path).resolve()  # a link is written through, not replaced
    try:
        if Path(path).exists() and not Path(path).is_file():
            Path(path).write_text(document, encoding="ascii")  # a pipe or a device takes it; a folder says what it is
            return
        write_new(target, document, replace=True)
    except OSError as error:
        raise _not_saved(path, error) from error


def _is_plan(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1)
        if start != b"{" or path.stat().st_size > MAX_DOCUMENT:
            return False  # a model file of many gigabytes need not be read to see that it is none
        try:
            document = json.loads(start + file.read(MAX_DOCUMENT))
        except (ValueError, RecursionError):
            return False
    return isinstance(document, dict) and "format_version" in document


def _not_saved(path: str, error: OSError) -> SettingsError:
    why = f"cannot save the plan to {path}: {error.strerror or error}"
    return SettingsError(why, "name a file that can be written with --out")
