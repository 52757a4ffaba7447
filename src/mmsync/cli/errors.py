"""Error messages of the command line, what and where and why and a hint; and its exit codes."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from enum import IntEnum

import click

from mmsync._version import __version__
from mmsync.cli.output import say_error
from mmsync.errors import ManifestError, MmsyncError, PlanRefused
from mmsync.parallel import is_shortage
from mmsync.printable import printable

_SERVER_ERROR = 500

# What click says of numbers, and what it means.
_PLAIN_WORDS = (
    (re.compile(r"is not a valid integer(?: range)?\.$"), "is not a whole number."),
    (re.compile(r"is not a valid float(?: range)?\.$"), "is not a number."),
    (re.compile(r"is not in the range ([0-9.]+)<=x<=([0-9.]+)\.$"), r"is not in the range from \1 to \2."),
    (re.compile(r"is not in the range x>=([0-9.]+)\.$"), r"is less than \1, the least it may be."),
    (re.compile(r"is not in the range x>([0-9.]+)\.$"), r"is not more than \1, as it must be."),
)


def print_usage_error(error: click.ClickException, hint: str = "") -> None:
    """Say what of the command line is not understood, what may be meant, and where it is explained."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(f"{error.format_message()}\n\nError: no command is given", err=True)
        return
    # click's own guess, by spelling alone, stands back behind ours.
    sentence = error.message if hint and isinstance(error, click.NoSuchOption) else error.format_message()
    for pattern, words in _PLAIN_WORDS:
        sentence = pattern.sub(words, sentence)
    say_error(printable(sentence, 1000))
    if hint:
        click.echo(f"  {hint}", err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"Try '{error.ctx.command_path} --help'.", err=True)


def print_error(error: MmsyncError) -> None:
    """Say what mmsync found to be wrong."""
    from mmsync.cli.reporting import complain  # noqa: PLC0415 - what renders is not for --version to load

    if isinstance(error, ManifestError):
        complain(error.diagnostics)
        count = sum(diagnostic.severity == "error" for diagnostic in error.diagnostics)
        say_error(f"{count} error{'s' * (count != 1)} in the manifest; nothing was done")
        return
    if isinstance(error, PlanRefused):
        complain(error.diagnostics)
    # Only the client's errors have a status; its module need not be loaded to say that a flag is missing.
    sentence, hint = _of_server(error) if hasattr(error, "status") else (str(error), error.hint)
    say_error(printable(sentence, 1000))
    if hint:
        click.echo(f"  {printable(hint, 1000)}", err=True)


def _of_server(error: MmsyncError) -> tuple[str, str]:
    """Return the sentence for an error of the client's, with the server it is about, and the hint."""
    from mmsync.client.error import ModelManagerError, TransportError, UnexpectedResponse  # noqa: PLC0415 - loaded by whoever raised it

    if not isinstance(error, ModelManagerError):
        return str(error), error.hint
    # The code is the server's own where it is not the HTTP status again; the cid finds the request in its log.
    marks = [f"HTTP {error.status}"] if error.status and f"HTTP {error.status}" not in error.msg else []
    marks += [f"code {error.code}"] if error.code not in (0, error.status) else []
    marks += [f"correlation id {error.cid}"] if error.cid else []
    sentence = (error.msg or type(error).__name__) + (f" ({', '.join(marks)})" if marks else "")
    # The session notes the server's address on the errors that pass it; some name its host themselves.
    urls = getattr(error, "__notes__", ())
    where = next((f"{url}: " for url in urls if url.partition("://")[2].partition("/")[0] not in sentence), "")
    hint = error.hint
    if not hint:
        match error:
            case TransportError(transient=False):
                hint = "check that the address (--url) is right, and that this machine trusts the server's certificate"
            case TransportError(connected=False):
                hint = "check the address (--url), and that the server runs and can be reached from here"
            case TransportError():
                hint = "try again; a slow server may need a longer --timeout"
            case UnexpectedResponse():
                hint = "check the address (--url): it should be that of a Model Manager's API"
            case _ if error.status and error.status >= _SERVER_ERROR:
                hint = "try again; if it stays so, whoever runs the server can tell why"
    return where + sentence, hint


def print_internal_error(bug: Exception) -> None:
    """Say that mmsync itself is wrong, and leave a trace to report in the cache folder."""
    import traceback  # noqa: PLC0415 - a bug is rare, and --version quick

    from mmsync.cli.settings import trace_folder  # noqa: PLC0415

    if is_shortage(bug):
        say_error("this machine lets no more threads start")
        click.echo("  raise its limit on processes (in a container, pids) or on memory", err=True)
        return
    report = "".join(traceback.format_exception(bug))
    if os.environ.get("MMSYNC_DEBUG"):
        click.echo(report, err=True)
    kept = ""
    with contextlib.suppress(OSError, MmsyncError):
        place = trace_folder() / "last-error.log"
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.touch(mode=0o600)  # a trace may quote what is in the files
        place.write_text(f"mmsync {__version__}, Python {sys.version}\n{report}", encoding="utf-8", errors="replace")
        kept = f"; the trace is in {place}"
    say_error(f"internal error of mmsync ({type(bug).__name__}: {printable(str(bug))}){kept}")


class ExitCode(IntEnum):
    """The status the process ends with."""

    DONE = 0
    FAILURE = 1
    CHANGES = 2  # only with --detailed-exitcode
    INTERRUPTED = 130  # SIGINT
    TERMINATED = 143  # SIGTERM
