"""Reports beside the answer: diagnostics on stderr; under GitHub Actions annotations, step summary and outputs."""

# Paths stay the text they are given as.
# ruff: noqa: PTH118, PTH119, PTH120
from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from mmsync.apply.outcome import Outcome
from mmsync.cli.output import colour, columns, warn, write_command
from mmsync.errors import SettingsError
from mmsync.plan import Plan, plan_digest
from mmsync.report.diagnostics import render_diagnostics
from mmsync.types import Diagnostic


def complain(diagnostics: Iterable[Diagnostic], *, annotated: bool = False) -> None:
    """Write diagnostics to stderr, and under GitHub Actions as annotations too, unless ``annotated`` already."""
    diagnostics = [diagnostic for diagnostic in diagnostics if diagnostic.severity != "info"]
    with contextlib.suppress(OSError):
        text = render_diagnostics(diagnostics, width=columns(sys.stderr), colour=colour(sys.stderr))
        click.echo(text, nl=False, err=True)
    if not annotated and os.environ.get("GITHUB_ACTIONS") == "true":
        _annotate(diagnostics)


def _annotate(diagnostics: Sequence[Diagnostic], outcomes: Sequence[Outcome] = ()) -> None:
    """Write annotations to stderr, where the runner reads them too: stdout may be JSON for somebody else."""
    from mmsync.report import github  # noqa: PLC0415 - see `publish`

    with contextlib.suppress(OSError):
        for line in github.annotation_lines(diagnostics, outcomes, in_repository=_in_repository):
            write_command(line)


def publish(plan: Plan, outcomes: Sequence[Outcome] | None = None) -> None:
    """Under GitHub Actions, write the report to the step summary, the counts to the outputs, and annotations."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    import secrets  # noqa: PLC0415 - 2 ms for all of them, and only there

    from mmsync.report import github  # noqa: PLC0415
    from mmsync.report.markdown import SUMMARY_LIMIT, render_summary  # noqa: PLC0415

    digest = plan_digest(plan)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            # The limit is the step's, and other commands may have written before.
            left = SUMMARY_LIMIT - (Path(path).stat().st_size if Path(path).is_file() else 0)
            append(path, render_summary(plan, outcomes, digest=digest, limit=left - 1).encode("utf-8", "replace"))
        except OSError as error:
            # For people only. The outputs below are read by other steps: failing to write them is an error.
            warn(f"cannot write the step summary {path}: {error.strerror or error}")
    if path := os.environ.get("GITHUB_OUTPUT"):
        outputs = github.outputs(plan, digest, delimiter=f"mmsync_{secrets.token_hex(16)}")
        try:
            append(path, outputs.encode())
        except OSError as error:
            why = f"cannot write the step's outputs to {path}: {error.strerror or error}"
            raise SettingsError(why, "GITHUB_OUTPUT names a file the runner makes; it may not be changed") from error
    _annotate([diagnostic for diagnostic in plan.diagnostics if diagnostic.severity != "info"], outcomes or ())


def append(path: str, data: bytes) -> None:
    """Append lines to a file of the runner's, on a line of their own: what an earlier step wrote may have no end."""
    with Path(path).open("a+b") as file:
        with contextlib.suppress(OSError):  # a pipe has no end
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                data = b"\n" + data
        file.write(data)


def _in_repository(file: str) -> str:
    if root := os.environ.get("GITHUB_WORKSPACE"):
        with contextlib.suppress(OSError, ValueError):  # the working folder was removed
            path = os.path.join(os.path.realpath(os.path.dirname(file) or "."), os.path.basename(file))
            root = os.path.realpath(root)
            if path.startswith(f"{root.rstrip('/')}/"):
                return os.path.relpath(path, root)
    return os.path.normpath(file)
