"""GitHub Actions: annotations, the step summary and the step's outputs. Silent everywhere else."""

# Paths stay the text they are given as.
# ruff: noqa: PTH118, PTH119, PTH120
from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync.cli.output import warn
from mmsync.cli.streams import write_command
from mmsync.errors import SettingsError
from mmsync.plan import plan_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsync.apply.outcome import Outcome
    from mmsync.plan import Plan
    from mmsync.states import Diagnostic

__all__ = ["annotate", "publish"]


def annotate(diagnostics: Sequence[Diagnostic], outcomes: Sequence[Outcome] = ()) -> None:
    """Write annotations to stderr, where the runner reads them too: stdout may be JSON for somebody else."""
    from mmsync.report import github  # noqa: PLC0415 - only under GitHub Actions

    with contextlib.suppress(OSError):
        for line in github.annotation_lines(diagnostics, outcomes, in_repository=_in_repository):
            write_command(line)


def publish(plan: Plan, outcomes: Sequence[Outcome] | None = None) -> None:
    """Under GitHub Actions, write the report to the step summary, the counts to the outputs, and annotations."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from mmsync.report import github  # noqa: PLC0415 - only under GitHub Actions
    from mmsync.report.markdown import render  # noqa: PLC0415 - the same

    digest = plan_digest(plan)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        report = render(plan, outcomes, digest=digest).encode("utf-8", "replace")
        try:
            _append(path, report)
        except OSError as fault:
            # For people only. The outputs below are read by other steps: failing to write them is an error.
            warn(f"cannot write the step summary {path}: {fault.strerror or fault}")
    if path := os.environ.get("GITHUB_OUTPUT"):
        outputs = github.outputs(plan, digest, delimiter=f"mmsync_{secrets.token_hex(16)}")
        try:
            _append(path, outputs.encode())
        except OSError as fault:
            why = f"cannot write the step's outputs to {path}: {fault.strerror or fault}"
            raise SettingsError(why, "GITHUB_OUTPUT names a file the runner makes; it may not be changed") from fault
    annotate([note for note in plan.diagnostics if note.severity != "info"], outcomes or ())


def _append(path: str, data: bytes) -> None:
    """Append lines to a file of the runner's, on a line of their own: what an earlier step wrote may have no end."""
    with Path(path).open("a+b") as file:
        with contextlib.suppress(OSError):  # a pipe has no end
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                data = b"\n" + data
        file.write(data)


def _in_repository(file: str) -> str:
    root = os.environ.get("GITHUB_WORKSPACE", "")
    with contextlib.suppress(OSError, ValueError):  # the working folder was removed
        path = os.path.join(os.path.realpath(os.path.dirname(file) or "."), os.path.basename(file))
        root = os.path.realpath(root) if root else ""
        if root and path.startswith(f"{root.rstrip('/')}/"):
            return os.path.relpath(path, root)
    return os.path.normpath(file)
