"""What the commands write, and where: stdout is the answer, stderr the commentary."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

from mmsync.cli.streams import abandon_stdout
from mmsync.errors import MmsyncError
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmsync.states import Diagnostic

__all__ = ["answer", "colour", "columns", "complain", "warn"]


def answer(text: str) -> None:
    """Write the answer to stdout as it is.

    Raises:
        MmsyncError: It cannot be written: a full disk, a closed stream.
        BrokenPipeError: Nobody reads it any more.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as fault:
        abandon_stdout()
        raise MmsyncError(f"cannot write to standard output: {fault.strerror or fault}") from fault


def warn(sentence: str) -> None:
    """Write one warning to stderr."""
    with contextlib.suppress(OSError):  # a full disk behind stderr: commentary may be lost, the work goes on
        click.echo(f"Warning: {printable(sentence, 1000)}", err=True)


def complain(diagnostics: Iterable[Diagnostic], *, annotated: bool = False) -> None:
    """Write diagnostics to stderr, and under GitHub Actions as annotations too, unless they are ``annotated`` already."""
    from mmsync.report.text import render_diagnostics  # noqa: PLC0415 - only where there is something to say

    notes = [note for note in diagnostics if note.severity != "info"]
    with contextlib.suppress(OSError):
        click.echo(render_diagnostics(notes, width=columns(sys.stderr), colour=colour(sys.stderr)), nl=False, err=True)
    if not annotated and os.environ.get("GITHUB_ACTIONS") == "true":
        from mmsync.cli.github import annotate  # noqa: PLC0415 - only there

        annotate(notes)


def columns(stream: TextIO) -> int:
    """Return how wide the stream's terminal is; 100 where it is none, so that logs read well."""
    if not _is_terminal(stream):
        return 100
    width = 80
    with contextlib.suppress(OSError, ValueError):
        # Not stdout's width where stderr is meant: of the two only one may be a terminal.
        width = os.get_terminal_size(stream.fileno()).columns or width
    if os.environ.get("COLUMNS", "").isdecimal():
        width = int(os.environ["COLUMNS"]) or width
    return max(20, width)


def colour(stream: TextIO) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR (no-color.org) or a dumb terminal says otherwise."""
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # a closed stream
        return False
