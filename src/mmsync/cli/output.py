"""Standard output and error: stdout is the answer, stderr the commentary."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from threading import RLock
from typing import Any, TextIO, cast

import click

from mmsync.errors import MmsyncError
from mmsync.printable import harmless, printable


class _Run:
    """The output settings of one run of the command, which commands and the error boundary share."""

    color: str = "auto"  # as --color has it
    has_explained: bool = False  # whether it was said how to learn what a code means


_run = _Run()


def begin_run() -> None:
    """Forget what another run in this process has settled."""
    _run.color, _run.has_explained = "auto", False


def set_color(when: str) -> None:
    """Take ``auto``, ``always`` or ``never`` for this run."""
    _run.color = when


def color_words() -> list[str]:
    """Return the option that has another mmsync colour as this one does."""
    return [] if _run.color == "auto" else ["--color", _run.color]


def may_explain() -> bool:
    """Return whether it is still to be said how to learn what a code means; from then on it is not."""
    had_explained, _run.has_explained = _run.has_explained, True
    return not had_explained


def prepare_streams() -> None:
    """Make every standard stream usable, whatever the caller left of them.

    A stream the caller closed (``mmsync plan >&-``) is opened again on the null device: otherwise the next file to
    be opened, the ledger perhaps, would get its number and the text meant for it. stdout is opened for reading, so
    that an answer nobody can get is an error, as it is for other programs; commentary may be lost.
    """
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - it stays open for the process
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show is shown as an escape, not as a crash.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # replaced streams may lack it


@contextlib.contextmanager
def harmless_streams() -> Iterator[None]:
    """Let nothing that is written to stdout and stderr while the body runs be a command to a CI runner.

    Names, descriptions and errors of others are in all that is written: this is the one place that all of it passes.
    """
    out, err = (cast("TextIO", _Harmless(stream)) for stream in (sys.stdout, sys.stderr))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def write_command(line: str) -> None:
    """Write a command that is meant as one, ``::name …::value``, to stderr."""
    cast("_Harmless", sys.stderr).command(line)


class _Harmless:
    """A text stream that escapes commands, also those that come in pieces.

    It has no ``buffer``: nothing may be written past it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = ""  # of the line so far, what a command could begin with
        self._lock = RLock()  # a signal handler may write while the same thread does

    def write(self, text: str) -> int:
        with self._lock:
            # The end of what begins a command is escaped: what is written already stays as it is.
            escaped = harmless(self._before + text)
            self._stream.write(escaped[len(self._before) :])
            line = escaped[max(escaped.rfind("\n"), escaped.rfind("\r")) + 1 :].lstrip()
            self._before = line if line in ("", ":") else f"x{line[-5:]}"
        return len(text)

    def command(self, line: str) -> None:
        with self._lock:
            self._stream.write(f"::{harmless(line[2:])}\n")
            self._before = ""
            self._stream.flush()

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


def settle_streams() -> None:
    """Flush what is left; where that cannot be, leave nothing for the interpreter to fail on with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            abandon(stream)


def abandon(stream: TextIO) -> None:
    """Send what is still buffered for a stream nowhere: writing it has failed, and must not fail again at the exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def abandon_unread(stream: TextIO, *, patience: float = 0.0) -> bool:
    """Abandon a stream that takes nothing for so many seconds, as its reader waits too; return whether that was so.

    What is left of a text that a signal broke off would else keep the process from its end.
    """
    try:
        ready = select.select([], [stream.fileno()], [], patience)[1]
    except (OSError, ValueError):  # closed, no file at all, or (on Windows) none that can be asked
        return False
    if not ready:
        abandon(stream)
    return not ready


def answer(text: str) -> None:
    """Write the answer to stdout as it is.

    Raises `BrokenPipeError` if nobody reads it any more, `MmsyncError` if it cannot be written: a full disk, a closed
    stream.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon(sys.stdout)
        raise MmsyncError(f"cannot write to standard output: {error.strerror or error}") from error


def confirmed(question: str) -> bool:
    """Ask a person on stderr; return whether the answer is y. q, the end of input and an empty line are no."""
    while True:
        click.echo(question, nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            click.echo(err=True)  # after Ctrl-D the cursor stands behind the question
        match line.strip().casefold():
            case "y" | "yes":
                return True
            case "" | "n" | "no" | "q" | "quit":
                return False
        click.echo("y for yes, n for no.", err=True)


def warn(sentence: str) -> None:
    """Write one warning to stderr."""
    with contextlib.suppress(OSError):  # a full disk behind stderr: commentary may be lost, the work goes on
        _label("Warning:", "1;33", printable(sentence, 1000))


def say_error(sentence: str) -> None:
    """Write one error to stderr."""
    _label("Error:", "1;31", printable(sentence, 5000))


def _label(label: str, style: str, sentence: str) -> None:
    painted = colour(sys.stderr)
    start = f"\x1b[{style}m{label}\x1b[0m" if painted else label
    click.echo(f"{start} {sentence}", err=True, color=painted)


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
    """Return whether to colour: what --color says, else NO_COLOR, else FORCE_COLOR, else on any terminal but a dumb one.

    The variables count where they are not empty (no-color.org, force-color.org); FORCE_COLOR=0 forces nothing.
    """
    if _run.color != "auto":
        return _run.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "").lower() not in ("", "0", "false"):
        return True
    return _is_terminal(stream) and os.environ.get("TERM") != "dumb"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # a closed stream
        return False


def write_to_log(line: str) -> None:
    """Write a line of the log to stderr at once; raises `OSError` where it cannot be written."""
    sys.stderr.write(line)
    sys.stderr.flush()
