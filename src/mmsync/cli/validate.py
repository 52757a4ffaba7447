"""``mmsync validate``: check manifests and model files; contact no server."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from mmsync._version import __version__
from mmsync.cli import options as opt
from mmsync.cli.exits import ExitCode
from mmsync.cli.output import answer, complain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsync.manifest import Manifest
    from mmsync.states import Diagnostic

__all__ = ["validate"]

_EXAMPLES = """\b
Examples:
  mmsync validate
  mmsync validate -f fraud.yaml -f churn.yaml --strict
"""


@click.command("validate", epilog=_EXAMPLES)
@opt.manifest_options
@click.option("--no-files", is_flag=True, help="Do not look at the model files.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
@opt.format_option("text", "json")
@opt.quiet_option
def validate(**given: Any) -> int:
    """Check manifests and model files; contact no server, need no token.

    Every fault is reported at once, as file:line:column. Model files must be there and look like what their engine
    reads; those with a sha256 pin must hold just that. A Git LFS pointer is a warning: a plan works from it, an
    upload needs the file itself. Exit 0 where all is valid (warnings or not), 1 where anything is not.
    """
    from mmsync.cli.settings import in_ci  # noqa: PLC0415 - only when run
    from mmsync.errors import ManifestError  # noqa: PLC0415 - the same
    from mmsync.manifest import read_manifest  # noqa: PLC0415 - the same

    manifest, notes = None, []
    try:
        manifest = read_manifest(
            given["manifests"],
            models_dirs=given["models_dirs"],
            check_files=not given["no_files"],
            confined=in_ci(),
        )
        notes = [*manifest.warnings, *([] if given["no_files"] else _check(manifest, quiet=given["quiet"]))]
    except ManifestError as faults:
        notes = list(faults.diagnostics)
    errors = sum(note.severity == "error" for note in notes)
    if given["output_format"] == "json":
        answer(_document(manifest, notes, given["manifests"]))
    else:
        complain(notes)
        _tell(manifest, errors, len(notes) - errors)
    return ExitCode.FAILURE if errors or (given["strict"] and notes) else ExitCode.DONE


def _check(manifest: Manifest, *, quiet: bool) -> Sequence[Diagnostic]:
    """Look into the model files while progress is shown; the ledger knows the digests of files seen before."""
    import time  # noqa: PLC0415 - only with files

    from mmsync.cli.checking import check_files  # noqa: PLC0415 - the same
    from mmsync.cli.output import warn  # noqa: PLC0415 - the same
    from mmsync.cli.progress import progress  # noqa: PLC0415 - the same
    from mmsync.cli.settings import open_ledger  # noqa: PLC0415 - the same

    with (
        open_ledger(warn) as ledger,
        progress(sys.stderr, quiet=quiet) as sink,
    ):
        return check_files(manifest, ledger, now_ns=time.time_ns(), on_event=sink)


def _tell(manifest: Manifest | None, errors: int, warnings: int) -> None:
    from mmsync.formats import is_known  # noqa: PLC0415 - only for this format
    from mmsync.report.sizes import counted  # noqa: PLC0415 - the same

    aside = f", with {counted(warnings, 'warning')}" if warnings else ""
    if errors or manifest is None:
        click.echo(f"Error: {counted(errors, 'fault')}{aside}.", err=True)
        return
    models, files = len(manifest.models), len(manifest.paths)
    verb = "is" if models == 1 else "are"
    answer(f"{counted(models, 'model')} in {counted(files, 'manifest')} {verb} valid{aside}.\n")
    passed = sum(not (wanted.inspect and is_known(wanted.engine)) for wanted in manifest.models)
    if passed:
        verb = "was" if passed == 1 else "were"
        answer(
            f"{counted(passed, 'model')} {verb} not looked into: no format is known for the engine, or inspect: false.\n"
        )


def _document(manifest: Manifest | None, notes: Sequence[Diagnostic], asked: Sequence[str]) -> str:
    """Return the findings as JSON; diagnostics are as in the plan document."""
    from mmsync.plan.document import diagnostic_entry  # noqa: PLC0415 - only for this format

    counts = {severity: sum(note.severity == severity for note in notes) for severity in ("error", "warning")}
    document = {
        "format_version": "1",
        "mmsync_version": __version__,
        "valid": not counts["error"],
        "manifests": list(manifest.paths if manifest else asked),
        "summary": {
            "models": len(manifest.models) if manifest else None,
            "errors": counts["error"],
            "warnings": counts["warning"],
        },
        "diagnostics": [diagnostic_entry(note) for note in notes],
    }
    return json.dumps(document, indent=2) + "\n"
