"""``mmsync add``: entries for model files, in a manifest that is there or a new one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePath

import click

from mmsync.additions import Additions, CannotAdd, ManifestFile, Skipped, relative
from mmsync.cli import options as opt
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, say_error
from mmsync.cli.settings import in_ci
from mmsync.engines import EXTENSIONS, normalised
from mmsync.errors import FileError, MmsyncError, SettingsError
from mmsync.files.atomic import write_new
from mmsync.files.inspection import guess_engine, hint_of, listing_error, mistaken_kind
from mmsync.formats import FormatError
from mmsync.manifest.nodes import unknown_engine
from mmsync.manifest.writer import Entry
from mmsync.printable import printable
from mmsync.quantities import counted
from mmsync.scaffold import converter_for, draft, mismatches

_EXAMPLES = """\b
Examples:
  mmsync add onnx/fraud_score.onnx
  mmsync add new/*.onnx -f fraud/models.yaml
  mmsync add churn.json --engine BIGML --name churn --description 'Churn, weekly'
"""


@click.command("add", epilog=_EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=opt.paths_type)
@click.option(
    "--name", metavar="NAME", help="What to call the model; the file's name without its extension if not given."
)
@click.option("--engine", metavar="ENGINE", help="The engine; told by the file's name and content if not given.")
@click.option("--description", metavar="TEXT", help="The text shown with the model.")
@opt.manifest_options
def add(
    files: tuple[str, ...], manifest: ManifestOptions, *, name: str | None, engine: str | None, description: str | None
) -> int:
    """Add entries for model files to models.yaml, which is made where it is missing.

    Only lines come in, behind the last model and in the way it is written: comments, order, indentation and line ends
    stay as they are. A file that is listed already is left out; where anything is wrong with another, nothing is
    written.
    """
    path = _one(manifest)
    if name is not None and len(files) > 1:
        raise click.UsageError("--name names one model: give one FILE with it")
    for flag, value in (("--name", name), ("--engine", engine)):
        opt.refuse_empty(flag, value)
    folder = os.path.dirname(path)  # noqa: PTH120 - as the reader of manifests has it
    if engine is not None and (error := unknown_engine(normalised(engine))):
        raise SettingsError(f"--engine: {error[1]}; nothing was written", error[2].partition(";")[0])
    entries = _entries(files, folder, name, engine, description)
    if folder and not Path(folder).is_dir():
        raise SettingsError(f"{printable(folder, 4096)}: there is no such folder; nothing was written", "make it first")
    page = ManifestFile(path, models_dirs=manifest.models_dirs, confined=in_ci())
    found = page.choose(entries)
    refuse(found)
    write(page, found)
    tell(path, found)
    for sentence in mismatches(found.added) if engine is None else ():
        click.echo(sentence, err=True)
    return ExitCode.DONE


def _one(manifest: ManifestOptions) -> str:
    """Return the one manifest that is meant."""
    if len(manifest.paths) > 1:
        raise click.UsageError("entries are added to one manifest: give -f once")
    path = manifest.paths[0]
    if Path(path).is_dir():
        raise click.UsageError(f"{printable(path, 4096)} is a folder: name the manifest in it with -f")
    return path


def _entries(
    files: Sequence[str], folder: str, name: str | None, engine: str | None, description: str | None
) -> list[Entry]:
    """Return the entries of all files; raises the error of the one that cannot be listed, or tells those of several."""
    entries: list[Entry] = []
    errors: list[MmsyncError] = []
    for file in files:
        try:
            entries.append(_entry(file, folder, name, engine, description))
        except (SettingsError, FileError) as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    for each in errors:
        say_error(f"{each} ({each.hint})" if each.hint else str(each))
    if errors:
        raise SettingsError(f"{counted(len(errors), 'file')} cannot be added; nothing was written")
    return entries


def _entry(file: str, folder: str, name: str | None, engine: str | None, description: str | None) -> Entry:
    """Return the entry of a file; raises `SettingsError` or `FileError` where it is none that can be listed."""
    if "\0" in file or not Path(file).is_file():
        what = "is a folder" if "\0" not in file and Path(file).is_dir() else "there is no such file"
        hint = "name the model files in it, or: mmsync init --update DIR" if what == "is a folder" else "check the path"
        raise SettingsError(f"{printable(file, 4096)}: {what}; nothing was written", hint)
    if engine is None:
        engine = guess_engine(file)
        if engine is None:
            raise _engine_unknown(file)
    elif unfit := listing_error(file, normalised(engine)):
        raise _unfit(file, unfit)
    stem = PurePath(file).stem.strip().strip(".") or "model"
    return Entry(stem if name is None else name, relative(file, folder), normalised(engine), description)


def _unfit(file: str, unfit: FormatError) -> SettingsError:
    """Return the error of a file whose content is wrong."""
    # Nothing waits here, as watch would.
    usual = "copy or export it again" if unfit.cut_off else hint_of(unfit, file)
    hint = converter_for(file, mistaken_kind(file)) or usual
    return SettingsError(f"{printable(file, 4096)}: {printable(unfit.reason, 600)}; nothing was written", hint)


def _engine_unknown(file: str) -> SettingsError:
    if unfit := listing_error(file):
        return _unfit(file, unfit)
    kind = mistaken_kind(file)
    what = f"it is {kind}" if kind else "which engine it is for cannot be told"
    hint = converter_for(file, kind) or f"say which: --engine {', '.join(EXTENSIONS)}"
    return SettingsError(f"{printable(file, 4096)}: {what}; nothing was written", hint)


def refuse(found: Additions) -> None:
    """Raise `MmsyncError`, with each reason told, where an entry is left out for another reason than that it is listed."""
    refused = [each for each in found.skipped if not each.is_listed]
    for each in refused:
        say_error(_sentence(each))
    if refused:
        raise MmsyncError(f"{counted(len(refused), 'file')} cannot be added; nothing was written")


def write(page: ManifestFile, found: Additions) -> None:
    """Write what is added; where the form of the manifest forbids it, print the lines and raise `CannotAdd`."""
    try:
        if page.is_new:
            write_new(Path(page.path), draft(sorted(found.added)))
        else:
            page.add(found.added)
    except CannotAdd as error:
        answer(error.lines)
        raise


def tell(path: str, found: Additions) -> None:
    """Say what was added, what was not and why, and what comes next."""
    shown = printable(path, 4096)
    for entry in found.added:
        answer(f"+ {printable(entry.name)}  {printable(entry.engine or '')}  {printable(entry.file, 4096)}\n")
    for each in found.skipped:
        click.echo(f"Skipped {_sentence(each)}", err=True)
    answer(f"{shown}: {counted(len(found.added), 'model')} added.\n")
    if found.added:
        file = "" if path == "models.yaml" else f" -f {shlex.quote(shown)}"
        click.echo(f"Next: mmsync validate{file}", err=True)


def _sentence(each: Skipped) -> str:
    hint = f" ({each.hint})" if each.hint and not each.is_listed else ""
    return f"{printable(each.entry.name)}, {printable(each.entry.file, 4096)}: {each.why}{hint}"


__all__ = ["add", "refuse", "tell", "write"]
