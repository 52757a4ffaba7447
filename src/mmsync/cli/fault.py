"""What a person is told when a command fails: what, where, why, and the way on."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path

import click

from mmsync._version import __version__
from mmsync.errors import ManifestError, MmsyncError, PlanRefused
from mmsync.printable import printable
from mmsync.threads import is_shortage

__all__ = ["tell_bug", "tell_fault", "tell_usage"]

_SERVER_FAULT = 500


def tell_usage(fault: click.ClickException) -> None:
    """Say what of the command line is not understood, and where it is explained."""
    context = getattr(fault, "ctx", None)
    if isinstance(fault, click.exceptions.NoArgsIsHelpError):
        click.echo(f"{fault.format_message()}\n\nError: no command is given", err=True)
        return
    click.echo(f"Error: {printable(fault.format_message(), 1000)}", err=True)
    if isinstance(fault, click.UsageError) and context is not None:
        click.echo(f"Try '{context.command_path} --help'.", err=True)


def tell_fault(fault: MmsyncError) -> None:
    """Say what mmsync found to be wrong."""
    from mmsync.cli.output import complain  # noqa: PLC0415 - only for a failure

    if isinstance(fault, ManifestError):
        complain(fault.diagnostics)
        count = sum(note.severity == "error" for note in fault.diagnostics)
        click.echo(f"Error: {count} fault{'s' * (count != 1)} in the manifest; nothing was done", err=True)
        return
    if isinstance(fault, PlanRefused):
        complain(fault.diagnostics)
    # Only the client's errors have a status; its module need not be loaded to say that a flag is missing.
    sentence, way_on = _of_server(fault) if hasattr(fault, "status") else (str(fault), fault.hint)
    click.echo(f"Error: {printable(sentence, 1000)}", err=True)
    if way_on:
        click.echo(f"  {printable(way_on, 1000)}", err=True)


def _of_server(fault: MmsyncError) -> tuple[str, str]:
    """Return the sentence for an error of the client's, with the server it is about, and the way on."""
    from mmsync.client.error import ModelManagerError, TransportError, UnexpectedResponse  # noqa: PLC0415 - loaded

    if not isinstance(fault, ModelManagerError):
        return str(fault), fault.hint
    # The code is the server's own where it is not the HTTP status again; the cid finds the request in its log.
    marks = [f"HTTP {fault.status}"] if fault.status and f"HTTP {fault.status}" not in fault.msg else []
    marks += [f"code {fault.code}"] if fault.code not in (0, fault.status) else []
    marks += [f"correlation id {fault.cid}"] if fault.cid else []
    sentence = (fault.msg or type(fault).__name__) + (f" ({', '.join(marks)})" if marks else "")
    # `connect.located` notes the server's address on the errors that pass it; some name its host themselves.
    notes = getattr(fault, "__notes__", ())
    where = next((note for note in notes if note.partition("://")[2].partition("/")[0] not in sentence), "")
    way_on = fault.hint
    if not way_on:
        match fault:
            case TransportError(transient=False):
                way_on = (
                    "check that the address (--url) is right, and that this machine trusts the server's certificate"
                )
            case TransportError(connected=False):
                way_on = "check the address (--url), and that the server runs and can be reached from here"
            case TransportError():
                way_on = "try again; a slow server may need a longer --timeout"
            case UnexpectedResponse():
                way_on = "check the address (--url): it should be that of a Model Manager's API"
            case _ if fault.status and fault.status >= _SERVER_FAULT:
                way_on = "try again; if it stays so, whoever runs the server can tell why"
            case _:
                pass
    return (f"{where}: {sentence}" if where else sentence), way_on


def tell_bug(bug: Exception) -> None:
    """Say that mmsync itself is at fault, and leave a trace to report in the cache folder."""
    import tempfile  # noqa: PLC0415 - only for a failure

    from mmsync.cli.settings import cache_folder  # noqa: PLC0415 - the same

    if is_shortage(bug):
        click.echo("Error: this machine lets no more threads start", err=True)
        click.echo("  raise its limit on processes (in a container, pids) or on memory", err=True)
        return
    report = "".join(traceback.format_exception(bug))
    if os.environ.get("MMSYNC_DEBUG"):
        click.echo(report, err=True)
    kept = ""
    with contextlib.suppress(OSError, MmsyncError):
        place = (cache_folder() or Path(tempfile.mkdtemp(prefix="mmsync-"))) / "last-error.log"
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.touch(mode=0o600)  # a trace may quote what is in the files
        place.write_text(f"mmsync {__version__}, Python {sys.version}\n{report}", encoding="utf-8", errors="replace")
        kept = f"; the trace is in {place}"
    click.echo(f"Error: mmsync met a fault of its own ({type(bug).__name__}: {printable(str(bug))}){kept}", err=True)
