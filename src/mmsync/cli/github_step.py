"""A step of GitHub Actions: its annotations, and its summary and outputs in the files that its runner names."""

# Paths stay the text they are given as.
# ruff: noqa: PTH118, PTH119, PTH120
from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mmsync.apply.outcome import Outcome
from mmsync.cli.output import warn, write_command
from mmsync.errors import SettingsError
from mmsync.plan import Plan, plan_digest
from mmsync.report.github import annotation_lines, outputs
from mmsync.report.markdown import SUMMARY_LIMIT, render_summary
from mmsync.types import Diagnostic


def report(plan: Plan, outcomes: Sequence[Outcome] | None = None, undo: str = "") -> None:
    """Write the report to the step summary, the counts to the outputs, and annotations; raises `SettingsError`."""
    digest = plan_digest(plan)
    write_summary(lambda limit: render_summary(plan, outcomes, digest=digest, limit=limit, undo=undo))
    write_outputs(lambda delimiter: outputs(plan, digest, delimiter))
    annotate(plan.diagnostics, outcomes or ())


def annotate(diagnostics: Iterable[Diagnostic], outcomes: Iterable[Outcome] = ()) -> None:
    """Write annotations to stderr, where the runner reads them too: stdout may be JSON for somebody else."""
    with contextlib.suppress(OSError):
        for line in annotation_lines(diagnostics, outcomes, in_repository=_in_repository):
            write_command(line)


def write_summary(render: Callable[[int], str]) -> None:
    """Add to the step's summary, if it has one; what cannot be written is warned of, as it is for people only.

    ``render`` returns Markdown shorter than the number of bytes it is given.
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        # The limit is the step's, and other commands may have written before.
        there = Path(path).stat().st_size if Path(path).is_file() else 0
        _append(path, render(SUMMARY_LIMIT - there - 1).encode("utf-8", "replace"))
    except OSError as error:
        warn(f"cannot write the step summary {path}: {error.strerror or error}")


def write_outputs(render: Callable[[str], str]) -> None:
    """Add to the step's outputs, if it has them; raises `SettingsError`, as other steps read them.

    ``render`` returns the lines, given the delimiter that ends each value.
    """
    path = os.environ.get("GITHUB_OUTPUT")
    if not path:
        return
    lines = render(f"mmsync_{secrets.token_hex(16)}")
    try:
        _append(path, lines.encode())
    except OSError as error:
        why = f"cannot write the step's outputs to {path}: {error.strerror or error}"
        raise SettingsError(why, "GITHUB_OUTPUT names a file the runner makes; it may not be changed") from error


def _append(path: str, data: bytes) -> None:
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
