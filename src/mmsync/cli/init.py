"""``mmsync init``: a first models.yaml for a folder of model files."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mmsync.cli.errors import ExitCode
from mmsync.cli.output import answer
from mmsync.errors import SettingsError
from mmsync.files.atomic import write_new
from mmsync.printable import printable
from mmsync.quantities import counted
from mmsync.scaffold import draft, search

_EXAMPLES = """\b
Examples:
  mmsync init
  mmsync init onnx && mmsync validate -f onnx/models.yaml
"""

_SHOWN = 10  # of the files that were left out


@click.command("init", epilog=_EXAMPLES)
@click.argument("folder", metavar="[DIR]", default=".")
def init(folder: str) -> int:
    """Write a first models.yaml for the model files in DIR and the folders below it.

    Each file whose engine can be told by its name and first bytes becomes an entry: ONNX, CatBoost, H2O MOJO and
    BigML. Hidden folders and virtual environments are left out. An existing models.yaml is never touched.
    """
    root = Path(folder)
    target = root / "models.yaml"
    shown = printable(str(target), 4096)
    root.mkdir(parents=True, exist_ok=True)
    found = search(root)
    try:
        write_new(target, draft(found.models))
    except FileExistsError as error:
        hint = f"look at it with: mmsync validate -f {shlex.quote(shown)}"
        raise SettingsError(f"{shown} is there already; it was left as it is", hint) from error
    answer(f"Wrote {shown}: {counted(len(found.models), 'model')}.\n")
    for place, why in found.left_out[:_SHOWN]:
        click.echo(f"Left out {printable(place, 4096)}: {printable(why)}", err=True)
    if len(found.left_out) > _SHOWN:
        click.echo(f"Left out {len(found.left_out) - _SHOWN:,} more.", err=True)
    file = "" if str(target) == "models.yaml" else f" -f {shlex.quote(shown)}"
    first = "look at names and engines in it" if found.models else "list your models in it"
    click.echo(
        f"Next: {first}, then\n"
        f"  mmsync validate{file}\n"
        f"  mmsync plan{file} --url local:.model-manager    (a trial server in a folder)\n"
        f"  mmsync plan{file} --url https://HOST/mlmodelmanager    (with the token in MMSYNC_TOKEN)",
        err=True,
    )
    return ExitCode.DONE
