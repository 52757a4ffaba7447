"""The ``mmsync`` command: its subcommands, loaded when called, and the one error boundary."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from mmsync._version import __version__
from mmsync.cli.exits import ExitCode
from mmsync.errors import ManifestError, MmsyncError, PlanRefused
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cli", "main"]

# Name → one-line help. The modules are imported when a command is called: ``mmsync --version`` must not wait for
# an HTTP library.
_COMMANDS = {
    "validate": "Check manifests and model files; contact no server.",
    "plan": "Show what apply would change; write nothing.",
    "apply": "Make the server hold what the manifest lists.",
    "watch": "Keep the server in step with a models folder, for ever.",
    "init": "Write a first models.yaml for a folder of model files.",
    "import": "Write a manifest and model files from what a server holds.",
    "list": "List the server's models.",
    "pull": "Download model files from the server.",
    "serve": "Run the embedded Model Manager server.",
    "schema": "Print the JSON Schema of models.yaml.",
}


class _Lazy(click.Group):
    """A group that knows its commands' names and imports a command's module only to run it or show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        # `import` is a keyword and `list` a builtin: their modules and functions carry an underscore.
        name = f"{cmd_name}_" if cmd_name in ("import", "list") else cmd_name
        command: click.Command = getattr(importlib.import_module(f"mmsync.cli.{name}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            import difflib  # noqa: PLC0415 - only for a typing error

            near = difflib.get_close_matches(args[0], _COMMANDS, 1)
            ctx.fail(f"no such command: {printable(args[0], 60)}" + (f" (did you mean {near[0]}?)" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mmsync")
def cli() -> None:
    """GitOps for machine-learning models.

    models.yaml lists name, engine, file and description; mmsync makes a Model Manager server hold exactly those.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 done, 1 any failure (usage errors included), 2 changes with ``--detailed-exitcode``, 130 and 143
    interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show is shown as an escape, not as a crash.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # replaced streams may lack it
    _collect_less()
    sys.exit(_run(args))


def _collect_less() -> None:
    """Let the garbage collector look less often: a plan of ten thousand models makes hundreds of thousands of values that live to its end."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _run(args: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=list(args) if args is not None else None, prog_name="mmsync", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as fault:
        return _usage(fault)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): say nothing, and do not fail again at shutdown.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except MmsyncError as fault:
        _explain(fault)
        return ExitCode.FAILURE
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        click.echo(f"Error: {printable(f'{where}{fault.strerror or fault}', 1000)}", err=True)
        return ExitCode.FAILURE
    except Exception as bug:  # noqa: BLE001 - the boundary: a bug is reported with a trace in a file
        return _bug(bug)
    return code if isinstance(code, int) else ExitCode.DONE


def _usage(fault: click.ClickException) -> int:
    context = getattr(fault, "ctx", None)
    click.echo(f"Error: {printable(fault.format_message(), 1000)}", err=True)
    if isinstance(fault, click.UsageError) and context is not None:
        click.echo(f"Try '{context.command_path} --help'.", err=True)
    return ExitCode.FAILURE


def _explain(fault: MmsyncError) -> None:
    from mmsync.cli.output import complain  # noqa: PLC0415 - only for a failure

    if isinstance(fault, ManifestError):
        complain(fault.diagnostics)
        count = sum(note.severity == "error" for note in fault.diagnostics)
        click.echo(f"Error: {count} fault{'s' * (count != 1)} in the manifest; nothing was done", err=True)
        return
    if isinstance(fault, PlanRefused):
        complain(fault.diagnostics)
    hint = f"\n  {printable(fault.hint, 1000)}" if fault.hint else ""
    click.echo(f"Error: {printable(str(fault), 1000)}{hint}", err=True)


def _bug(bug: Exception) -> int:
    from mmsync.cli.settings import cache_folder  # noqa: PLC0415 - only for a failure

    report = "".join(traceback.format_exception(bug))
    if os.environ.get("MMSYNC_DEBUG"):
        click.echo(report, err=True)
    place = cache_folder() / "last-error.log"
    kept = ""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"mmsync {__version__}, Python {sys.version}\n{report}", encoding="utf-8", errors="replace")
        kept = f"; the trace is in {place}"
    click.echo(f"Error: mmsync met a fault of its own ({type(bug).__name__}: {printable(str(bug))}){kept}", err=True)
    return ExitCode.FAILURE
