"""``mmsync validate`` and ``mmsync schema``: manifests and model files checked; no server is contacted."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

import click

from mmsync._version import __version__
from mmsync.cli import options as opt
from mmsync.cli.collector import collecting_rarely
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, say_error, warn
from mmsync.cli.progress import progress
from mmsync.cli.reporting import complain
from mmsync.cli.settings import in_ci, open_ledger
from mmsync.errors import ManifestError
from mmsync.formats import is_known
from mmsync.manifest import Manifest, read_manifest, schema as json_schema
from mmsync.plan.document import diagnostic_entry
from mmsync.quantities import counted
from mmsync.types import Diagnostic
from mmsync.validate import check_files

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
def validate(manifest: ManifestOptions, *, no_files: bool, strict: bool, output_format: str, quiet: bool) -> int:
    """Check manifests and model files; contact no server, need no token.

    Every error is reported at once, as file:line:column. Model files must be there and look like what their engine
    reads; those with a sha256 pin must hold just that. A Git LFS pointer is a warning: a plan works from it, an
    upload needs the file itself. Exit 0 where all is valid (warnings or not), 1 where anything is not.
    """
    found: Manifest | None = None
    diagnostics: list[Diagnostic] = []
    try:
        # As `session.read` does, which would load the HTTP library.
        found = read_manifest(
            manifest.paths, models_dirs=manifest.models_dirs, check_files=not no_files, confined=in_ci()
        )
        diagnostics += found.warnings
        if not no_files:
            # The ledger knows the digests of files seen before.
            with open_ledger(warn) as ledger, progress(sys.stderr, quiet=quiet) as sink, collecting_rarely():
                diagnostics += check_files(found, ledger, now_ns=time.time_ns(), on_event=sink)
    except ManifestError as error:
        diagnostics = list(error.diagnostics)
    counts = Counter(each.severity for each in diagnostics)
    errors = counts["error"]
    if output_format == "json":
        document = {
            "format_version": "1",
            "mmsync_version": __version__,
            "valid": not errors,
            "manifests": list(found.paths if found else manifest.paths),
            "summary": {
                "models": len(found.models) if found else None,
                "errors": errors,
                "warnings": counts["warning"],
            },
            "diagnostics": [diagnostic_entry(each) for each in diagnostics],  # as in the plan document
        }
        answer(json.dumps(document, indent=2) + "\n")
    else:
        complain(diagnostics)
        _tell(found, errors, len(diagnostics) - errors)
    return ExitCode.FAILURE if errors or (strict and diagnostics) else ExitCode.DONE


def _tell(manifest: Manifest | None, errors: int, warnings: int) -> None:
    aside = f", with {counted(warnings, 'warning')}" if warnings else ""
    if errors or manifest is None:
        say_error(f"{counted(errors, 'error')}{aside}.")
        return
    models, files = len(manifest.models), len(manifest.paths)
    verb = "is" if models == 1 else "are"
    answer(f"{counted(models, 'model')} in {counted(files, 'manifest')} {verb} valid{aside}.\n")
    passed = sum(not (desired.inspect and is_known(desired.engine)) for desired in manifest.models)
    if passed:
        verb = "was" if passed == 1 else "were"
        why = "no format is known for the engine, or inspect: false"
        answer(f"{counted(passed, 'model')} {verb} not looked into: {why}.\n")


@click.command("schema")
def schema() -> int:
    """Print the JSON Schema of models.yaml, for editors and other checkers.

    \b
    Save it beside the manifest:
      mmsync schema > models.schema.json
    and begin models.yaml with this line, which VS Code (YAML extension) and
    other editors with yaml-language-server understand:
      # yaml-language-server: $schema=models.schema.json
    """  # noqa: D301 - \b is click's mark for lines to keep as they are
    answer(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.DONE
