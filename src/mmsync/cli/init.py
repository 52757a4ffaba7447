"""``mmsync init``: a first models.yaml for a folder of model files, or what a later one lacks."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from mmsync.cli.errors import ExitCode
from mmsync.cli.output import answer
from mmsync.errors import SettingsError
from mmsync.files.atomic import write_new
from mmsync.files.near_misses import manifest_hint
from mmsync.printable import printable
from mmsync.quantities import counted
from mmsync.scaffold import Found, draft, mismatches, named_entries, search, write_schema

_EXAMPLES = """\b
Examples:
  mmsync init
  mmsync init onnx && mmsync validate -f onnx/models.yaml
  mmsync init --update
"""

_SHOWN = 10  # of the files that were left out


@click.command("init", epilog=_EXAMPLES)
@click.argument("folder", metavar="[DIR]", default=".")
@click.option("--update", is_flag=True, help="Add what an existing models.yaml does not list, and change nothing else.")
@click.option("--no-schema", is_flag=True, help="Write no models.schema.json beside it, by which editors check it.")
def init(folder: str, *, update: bool, no_schema: bool) -> int:
    """Write a first models.yaml for the model files in DIR and the folders below it.

    Each file whose engine can be told by its name and first bytes becomes an entry: ONNX, CatBoost, H2O MOJO and
    BigML. Hidden folders and virtual environments are left out. An existing models.yaml is touched by --update alone,
    which adds entries for the files that it does not list, in the way it is written.
    """
    root = Path(folder)
    target = root / "models.yaml"
    shown = printable(str(target), 4096)
    if not root.is_dir():
        what = "that is no folder" if root.exists() else "there is no such folder"
        raise SettingsError(f"{printable(folder, 4096)}: {what}", "name the folder that your model files are in")
    found = search(root)
    if update and target.exists():
        _extend(target, found)
        return ExitCode.DONE
    _refuse_beside_another(target, found)
    try:
        write_new(target, draft(named_entries(found.models), schema_line=not no_schema))
    except FileExistsError as error:
        hint = f"add what it does not list with --update, or look at it with: mmsync validate -f {shlex.quote(shown)}"
        raise SettingsError(f"{shown} is there already; it was left as it is", hint) from error
    answer(f"Wrote {shown}: {counted(len(found.models), 'model')}.\n")
    if not no_schema:
        tell_schema(root)
    for sentence in mismatches(found.models):
        click.echo(sentence, err=True)
    _tell_left_out(found.left_out)
    file = "" if str(target) == "models.yaml" else f" -f {shlex.quote(shown)}"
    first = "look at names and engines in it" if found.models else "list your models in it"
    click.echo(
        f"Next: {first}, then\n"
        f"  mmsync validate{file}\n"
        f"  mmsync plan{file} --url local:.model-manager    (a trial server in a folder)\n"
        f"  mmsync plan{file} --url https://HOST/mlmodelmanager    (with the token in MMSYNC_TOKEN)\n"
        f"  mmsync check --profile NAME    (a server and token of ~/modelmanager.ini: mmsync help connecting)",
        err=True,
    )
    return ExitCode.DONE


def _refuse_beside_another(target: Path, found: Found) -> None:
    """Raise `SettingsError` where another manifest is in the folder: two would list the same files."""
    if os.path.lexists(target):
        return
    other = manifest_hint(str(target))
    # A model may be called models.json as well.
    if not other or not Path(other).is_file() or Path(other).name in {model.file for model in found.models}:
        return
    shown = printable(other, 4096)
    hint = f"name it with -f {shlex.quote(shown)}, or rename it to {target.name}"
    raise SettingsError(f"{shown} is there already; nothing was written", hint)


def tell_schema(folder: Path) -> None:
    """Write the schema beside a manifest that names it; say so where another file is in its place."""
    if not write_schema(folder):
        click.echo("Left models.schema.json as it is: it is none that mmsync wrote, and editors go by it.", err=True)


def _extend(target: Path, found: Found) -> None:
    """Add what an existing manifest does not list."""
    # Reading manifests takes YAML, which a first one does without.
    from mmsync.additions import ManifestFile  # noqa: PLC0415 - 30 ms
    from mmsync.cli.add import tell, write  # noqa: PLC0415 - as above
    from mmsync.cli.settings import in_ci  # noqa: PLC0415 - as above

    page = ManifestFile(str(target), confined=in_ci())
    unlisted = page.unlisted(found.models)
    additions = page.choose(named_entries(unlisted, page.manifest.models))
    write(page, additions)
    tell(str(target), additions)
    for sentence in mismatches(additions.added):
        click.echo(sentence, err=True)
    if listed := len(found.models) - len(unlisted):
        click.echo(f"{counted(listed, 'model file')} listed already.", err=True)
    _tell_left_out(found.left_out)


def _tell_left_out(left_out: Sequence[tuple[str, str]]) -> None:
    for place, why in left_out[:_SHOWN]:
        click.echo(f"Left out {printable(place, 4096)}: {printable(why, 300)}", err=True)
    if len(left_out) > _SHOWN:
        click.echo(f"Left out {len(left_out) - _SHOWN:,} more.", err=True)
