"""The ``mmsync`` command: its subcommands, loaded when called, and the one error boundary."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from mmsync._version import __version__
from mmsync.cli.collector import start_collector, stop_collector
from mmsync.cli.errors import ExitCode, print_error, print_internal_error, print_usage_error
from mmsync.cli.output import (
    abandon,
    abandon_unread,
    begin_run,
    harmless_streams,
    prepare_streams,
    say_error,
    set_color,
    settle_streams,
    warn,
)
from mmsync.cli.signals import end_on_sigterm, handled_by
from mmsync.errors import MmsyncError
from mmsync.parallel import shortage
from mmsync.printable import printable

# Name → one-line help. The modules are imported when a command is called: ``mmsync --version`` must not wait for
# an HTTP library.
_COMMANDS = {
    "validate": "Check manifests and model files; contact no server.",
    "plan": "Show what apply would change; write nothing.",
    "apply": "Make the server hold what the manifest lists.",
    "watch": "Keep the server in step with a models folder, for ever.",
    "status": "Show what a watcher knows: what is live, what is wrong.",
    "init": "Write a first models.yaml for a folder of model files.",
    "add": "Add model files to a manifest, which stays as it is written.",
    "import": "Write a manifest and model files from what a server holds.",
    "list": "List the server's models.",
    "show": "Print one model of the server whole.",
    "check": "Say which server is meant, who says so, and whether it works; change nothing.",
    "pull": "Download model files from the server.",
    "serve": "Run the embedded Model Manager server.",
    "schema": "Print the JSON Schema of models.yaml.",
    "completion": "Print what lets a shell complete commands, models and profiles.",
    "ci": "Plans by pull request: for workflows on GitHub.",
    "help": "Explain a topic, or show the help of a command.",
    "explain": "Explain the code of a diagnostic.",
}


# What other programs call it, or what one looks for here.
_ELSEWHERE = {
    "version": "mmsync --version",
    "login": "there is none: the token comes from MMSYNC_TOKEN, --token-file or a profile; mmsync check says whether it does",
    "auth": "mmsync check says whether the token does",
    "destroy": "there is none: what the manifest no longer lists goes with mmsync apply --prune, inside its scope",
    "rm": "take the model out of the manifest, then mmsync apply --prune, inside its scope",
    "refresh": "every plan asks the server; mmsync plan --verify always reads all contents again",
    "diff": "mmsync plan",
    "preview": "mmsync plan",
    "push": "mmsync apply",
    "deploy": "mmsync apply",
    "up": "mmsync apply",
    "sync": "mmsync apply once, mmsync watch for ever",
    "reconcile": "mmsync apply once, mmsync watch for ever",
    "download": "mmsync pull",
    "get": "mmsync list, mmsync show NAME, mmsync pull NAME",
    "ls": "mmsync list",
    "describe": "mmsync show NAME",
    "export": "mmsync import",
    "undo": "mmsync apply -f DIR/RUN/models.yaml, of what apply --backup DIR kept",
    "rollback": "mmsync apply -f DIR/RUN/models.yaml, of what apply --backup DIR kept",
    "restore": "mmsync apply -f DIR/RUN/models.yaml, of what apply --backup DIR kept",
    "rename": "give the model its new name in the manifest; mmsync help manifest says what becomes of the old one",
    "upload": "mmsync add FILE lists it in the manifest, mmsync apply sends it",
    "copy": "mmsync import from one server, mmsync apply to the other",
    "state": "mmsync list, mmsync show NAME",
    "dry-run": "mmsync plan",
    "doctor": "mmsync check",
    "lint": "mmsync validate",
    "fmt": "there is none: a manifest is kept as you write it; mmsync validate checks it",
}
_ELSEWHERE |= dict.fromkeys(("delete", "remove", "prune"), _ELSEWHERE["rm"])
_OPTIONS_ELSEWHERE = {
    "json": "--format json",
    "auto-approve": "--yes (-y) applies without asking",
    "force": "apply replaces what differs by itself; --yes (-y) only answers the question",
    "check": "mmsync apply --dry-run, or mmsync plan",
    "destroy": _ELSEWHERE["destroy"],
    "refresh-only": _ELSEWHERE["refresh"],
    "delete": "--prune deletes what the manifest no longer lists, inside its scope",
}


def _set_color(_ctx: click.Context, _param: click.Parameter, when: str | None) -> None:
    if when:  # not given to a subcommand, that of the group stays
        set_color(when)


_color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    expose_value=False,
    is_eager=True,
    callback=_set_color,
    help="When to colour; auto heeds NO_COLOR, FORCE_COLOR and the terminal.",
)


class _Lazy(click.Group):
    """A group that knows its commands' names and imports a command's module only to run it or show its help."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        # `import` is a keyword and `list` a builtin: their modules and functions carry an underscore.
        name = f"{cmd_name}_" if cmd_name in ("import", "list") else cmd_name
        home = {"schema": "validate", "explain": "help"}.get(cmd_name, name)
        command: click.Command = getattr(importlib.import_module(f"mmsync.cli.{home}"), name)
        _give_color(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            import difflib  # noqa: PLC0415 - 3 ms, for a typing error alone

            word = args[0].lower()
            near = [word] if word in _COMMANDS else difflib.get_close_matches(word, _COMMANDS, 1)
            hint = _ELSEWHERE.get(word) or (f"did you mean {near[0]}?" if near else "")
            ctx.fail(f"no such command: {printable(args[0], 60)}" + (f" ({hint})" if hint else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:  # click would write a line's end first, which may wait for a reader
            raise click.Abort(*interrupt.args) from None

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _give_color(command: click.Command) -> None:
    """Let ``--color`` stand behind a command and behind those inside it too."""
    if all(param.name != "color" for param in command.params):
        _color_option(command)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _give_color(inner)


def _keep_verbosity(ctx: click.Context, _param: click.Parameter, verbosity: int) -> None:
    ctx.meta["mmsync.verbosity"] = verbosity  # for `mmsync.cli.request_log`, which the command starts


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@_color_option
@click.version_option(__version__, prog_name="mmsync")
@click.option(
    "-v",
    "--verbose",
    count=True,
    expose_value=False,
    callback=_keep_verbosity,
    help="As after the command: say what is done; -vv: every request.",
)
def cli() -> None:
    """GitOps for machine-learning models.

    models.yaml lists name, engine, file and description; mmsync makes a Model Manager server hold exactly those.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 done, 1 any failure (usage errors included), 2 changes with ``--detailed-exitcode``, 130 and 143
    interrupted.
    """
    end_on_sigterm()
    prepare_streams()
    start_collector()
    try:
        code = _run(args)
        settle_streams()
        stop_collector()
    except OSError:
        code = ExitCode.FAILURE  # what went wrong could not even be said: stderr is a full disk
        settle_streams()
    except KeyboardInterrupt as interrupt:
        code = _interrupted(interrupt)
    except SystemExit as request:  # SIGTERM while the last of the output waits for its reader
        code = _left(request)
    sys.exit(code)


def _run(args: Sequence[str] | None) -> int:
    with harmless_streams():
        try:
            code = _run_command(args)
            if shortage.is_set():
                shortage.clear()
                warn(
                    "fewer threads could be started than wanted: a limit on processes (in a container, pids) or memory"
                )
        except KeyboardInterrupt as interrupt:  # errors are still being printed, perhaps
            return _interrupted(interrupt)
        except SystemExit as request:  # SIGTERM; click's own way out where nobody reads our output
            return _left(request)
        return code


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    """Say that Ctrl-C has ended the run, and what it carries; unless nobody reads what was written before that."""
    # Another signal waits for nothing: the run is over, and only says so.
    with handled_by(lambda *_: os._exit(ExitCode.INTERRUPTED)):
        abandon_unread(sys.stdout)
        if not abandon_unread(sys.stderr, patience=1.0):
            # On a terminal ^C, and perhaps a question, stand on the line.
            said = " ".join(["Interrupted.", *map(str, interrupt.args)])
            click.echo(f"\n{said}" if sys.stderr.isatty() else said, err=True)
    return ExitCode.INTERRUPTED


def _left(request: SystemExit) -> int:
    for stream in (sys.stdout, sys.stderr):
        abandon_unread(stream)
    return int(request.code or 0)


def _hint(error: click.ClickException, words: Sequence[str]) -> str:
    """Return what is most likely meant by what is not understood, or an empty text."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    known = {option for param in context.command.params for option in param.opts} if context else set()
    if not isinstance(error, click.NoSuchOption):
        manifest = next((word for word in words if word.endswith((".yaml", ".yml"))), "")
        is_stray = "unexpected extra argument" in error.message and f"({manifest})" in error.message
        return f"manifests are named with -f: -f {printable(manifest, 300)}" if is_stray and "-f" in known else ""
    refused = error.option_name
    # Of -auto-approve the parser refuses the first letter; the word that it stands in tells what was meant.
    is_letter = len(refused) == len("-x")
    given = (word.partition("=")[0] for word in words)
    name = next((name for name in given if name == refused or (is_letter and name.startswith(refused))), refused)
    if hint := _OPTIONS_ELSEWHERE.get(name.lstrip("-")):
        return hint
    if f"-{name}" in known:  # other programs take long options with one dash
        return f"did you mean -{name}?"
    called = next((word for word in words if word in _COMMANDS), "")
    if context is not None and context.command is cli and called and (command := cli.get_command(context, called)):
        behind = {option for param in command.params for option in param.opts}
        return f"it stands behind the command: mmsync {called} {name}" if name in behind else ""
    return ""


def _run_command(args: Sequence[str] | None) -> int:
    words = sys.argv[1:] if args is None else list(args)
    begin_run()
    try:
        code = _call(words)
        sys.stdout.flush()
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.Abort as abort:
        raise KeyboardInterrupt(*abort.args) from None
    except click.ClickException as error:
        print_usage_error(error, _hint(error, words))
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): say nothing, and do not fail again at shutdown.
        abandon(sys.stdout)
    except MmsyncError as error:
        print_error(error)
    except OSError as error:
        if error.filename is None:
            abandon(sys.stdout)  # most likely click could not write its help there
        where = f"{error.filename}: " if error.filename else ""
        say_error(printable(f"{where}{error.strerror or error}", 1000))
    except Exception as bug:  # noqa: BLE001 - the boundary: a bug is reported with a trace in a file
        print_internal_error(bug)
    else:
        return code if isinstance(code, int) else ExitCode.DONE
    return ExitCode.FAILURE


def _call(words: Sequence[str]) -> object:
    """Run the command that is called and return what it returns."""
    if words == ["--version"]:  # asked for alone, it needs no translations: 1 ms of 35
        click.echo(f"mmsync, version {__version__}")
        return ExitCode.DONE
    if instruction := os.environ.get("_MMSYNC_COMPLETE"):  # a shell asks, at the press of a key
        from mmsync.cli.completion import complete  # noqa: PLC0415 - 15 ms, for shells alone

        return complete(cli, instruction)
    return cli.main(args=words, prog_name="mmsync", standalone_mode=False)
