"""Reports beside the answer: diagnostics on stderr; under GitHub Actions annotations, step summary and outputs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence

import click

from mmsync.apply.outcome import Outcome
from mmsync.cli.output import colour, columns, may_explain
from mmsync.plan import Plan
from mmsync.report.diagnostics import render_diagnostics
from mmsync.types import Diagnostic


def complain(diagnostics: Iterable[Diagnostic], *, annotated: bool = False) -> None:
    """Write diagnostics to stderr, and under GitHub Actions as annotations too.

    ``annotated`` are those that stand in a document on stdout, and in annotations, already. Of others it is said, once
    a run, how to learn what a code means.
    """
    diagnostics = [diagnostic for diagnostic in diagnostics if diagnostic.severity != "info"]
    with contextlib.suppress(OSError):
        explain = bool(diagnostics) and not annotated and may_explain()
        painted = colour(sys.stderr)
        text = render_diagnostics(diagnostics, width=columns(sys.stderr), colour=painted, explain=explain)
        click.echo(text, nl=False, err=True, color=painted)  # else colours that are forced would be taken out again
    if not annotated and _in_github_actions():
        from mmsync.cli import github_step  # noqa: PLC0415 - 1 ms, and only there

        github_step.annotate(diagnostics)


def publish(plan: Plan, outcomes: Sequence[Outcome] | None = None, undo: str = "") -> None:
    """Under GitHub Actions, write the report to the step summary, the counts to the outputs, and annotations.

    ``undo`` is the command that undoes it all.
    """
    if _in_github_actions():
        from mmsync.cli import github_step  # noqa: PLC0415 - 1 ms, and only there

        github_step.report(plan, outcomes, undo)


def _in_github_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"
