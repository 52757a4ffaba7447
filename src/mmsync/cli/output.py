"""What the commands write, and where: stdout is the answer, stderr the commentary."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

import click

from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmsync.states import Diagnostic

__all__ = ["answer", "colour", "columns", "complain", "warn"]


def answer(text: str) -> None:
    """Write the answer to stdout as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def warn(sentence: str) -> None:
    """Write one warning to stderr."""
    click.echo(f"Warning: {printable(sentence, 1000)}", err=True)


def complain(diagnostics: Iterable[Diagnostic]) -> None:
    """Write diagnostics to stderr, and under GitHub Actions as annotations too."""
    from mmsync.report.text import render_diagnostics  # noqa: PLC0415 - only where there is something to say

    notes = [note for note in diagnostics if note.severity != "info"]
    click.echo(render_diagnostics(notes, width=columns(sys.stderr), colour=colour(sys.stderr)), nl=False, err=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from mmsync.cli.github import annotate  # noqa: PLC0415 - only there

        annotate(notes)


def columns(stream: TextIO) -> int:
    """Return how wide the stream's terminal is; 100 where it is none, so that logs read well."""
    if not _is_terminal(stream):
        return 100
    return max(20, shutil.get_terminal_size((80, 24)).columns)


def colour(stream: TextIO) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR (no-color.org) or a dumb terminal says otherwise."""
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # a closed stream
        return False
