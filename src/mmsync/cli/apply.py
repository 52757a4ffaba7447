"""``mmsync apply``: make the server hold what the manifest lists."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmsync.cli import options as opt
from mmsync.cli.exits import ExitCode
from mmsync.cli.output import complain, warn
from mmsync.errors import PlanRefused, SettingsError

if TYPE_CHECKING:
    from mmsync.apply import Event
    from mmsync.cli.settings import ServerOptions
    from mmsync.connection import Connection
    from mmsync.manifest import ServerSettings
    from mmsync.plan import Plan
    from mmsync.reconcile import Options

__all__ = ["apply"]


@click.command("apply")
@click.argument("saved", metavar="[PLAN]", required=False)
@opt.manifest_options
@opt.selection_options
@opt.guard_options
@opt.planning_options
@click.option("--expect", metavar="DIGEST", help="Refuse unless the plan has this digest.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, even on a terminal.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another mmsync on this machine.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where something was changed.")
@opt.format_option("text", "json", "markdown")
@opt.quiet_option
@opt.server_options
def apply(**given: Any) -> int:
    """Make the server hold what the manifest lists, or do exactly what a saved PLAN says."""
    from mmsync.cli.run import planning, replan  # noqa: PLC0415 - imports the HTTP library

    server = opt.take_server(given)
    # What a script meant to hold the apply to must not be dropped because its variable is empty.
    for what, value in (("PLAN", given["saved"]), ("--expect", given["expect"])):
        if value is not None and not value.strip():
            raise click.UsageError(f"{what} is empty: give it a value, or leave it out")
    options = planning(given)
    document = settings = None
    if given["saved"]:
        document, options, settings = _saved(given, options, server)
    with replan(given, server, exclusive=True, options=options, settings=settings) as (made, connection):
        _check(made, given, document)
        return _carry_out(made, connection, given, options.jobs)


def _saved(
    given: dict[str, Any], options: Options, server: ServerOptions
) -> tuple[dict[str, Any], Options, ServerSettings | None]:
    """Read the saved plan and plan again the way it was planned."""
    from mmsync.manifest import ServerSettings  # noqa: PLC0415 - only with a saved plan
    from mmsync.plan import MAX_DOCUMENT, read_document, saved_options  # noqa: PLC0415 - the same
    from mmsync.states import Source  # noqa: PLC0415 - the same

    name = given["saved"]
    try:
        # What is no text is no plan either: read_document says so.
        with Path(name).open("rb") as file:
            content = file.read(MAX_DOCUMENT + 1)
        if len(content) > MAX_DOCUMENT:
            raise SettingsError(
                f"{name} is larger than any plan ({MAX_DOCUMENT // 2**20} MiB)", "is it the right file?"
            )
        document = read_document(content.decode("utf-8", "replace"), name)
    except OSError as fault:
        why = f"cannot read the plan {name}: {fault.strerror or fault}"
        raise SettingsError(
            why, "PLAN is a file made with: mmsync plan --out FILE; manifests are named with -f"
        ) from fault
    selection, prune = saved_options(document)
    if options.selection.is_partial or options.prune:
        raise click.UsageError("a saved plan brings its own selection and --prune: give none with it")
    source = click.get_current_context().get_parameter_source("manifests")
    if source == click.core.ParameterSource.DEFAULT:
        given["manifests"] = tuple(document["manifests"])
    settings = None
    if server.url is None and server.profile is None and not _names_a_server(given):
        at = document["server"]
        settings = ServerSettings(at["url"], domain=at.get("domain") or None, source=Source(name, 1, 1))
    return document, dataclasses.replace(options, selection=selection, prune=prune), settings


def _names_a_server(given: dict[str, Any]) -> bool:
    """Whether the manifest says which server: it also says with which token, and is not overruled by a file."""
    from mmsync.cli.settings import in_ci  # noqa: PLC0415 - only with a saved plan
    from mmsync.manifest import read_manifest  # noqa: PLC0415 - the same

    settings = read_manifest(given["manifests"], check_files=False, confined=in_ci()).server
    return settings.url is not None or settings.profile is not None


def _check(made: Plan, given: dict[str, Any], document: dict[str, Any] | None) -> None:
    """Refuse unless the plan is the one that was agreed on."""
    from mmsync.plan import plan_digest  # noqa: PLC0415 - loaded with the plan
    from mmsync.reconcile import check_saved  # noqa: PLC0415 - the same

    if document is not None:
        check_saved(made, document, given["saved"])
    expected = given["expect"]
    if expected and plan_digest(made) != expected.strip().lower():
        from mmsync.cli.plan import show  # noqa: PLC0415 - only to show what moved

        show(made, given["output_format"])
        raise PlanRefused(
            f"the plan's digest is {plan_digest(made)}, not the expected {expected}; nothing was written",
            hint="what would be done now is shown above: plan again, look at it, and expect that digest",
        )


def _carry_out(made: Plan, connection: Connection, given: dict[str, Any], jobs: int) -> int:
    """Show the plan, ask, apply it, report; return the exit code."""
    from mmsync.apply.outcome import Finished, Started, Verified  # noqa: PLC0415 - after the plan is made
    from mmsync.cli.github import publish  # noqa: PLC0415 - the same
    from mmsync.cli.progress import progress  # noqa: PLC0415 - the same
    from mmsync.cli.signals import stop_on_signals  # noqa: PLC0415 - the same
    from mmsync.cli.telling import Telling  # noqa: PLC0415 - the same
    from mmsync.reconcile import apply_plan  # noqa: PLC0415 - the same

    telling = Telling(made, given["output_format"])
    telling.plan()
    if made.refusals:
        publish(made)
        if given["output_format"] != "text":
            complain(made.refusals, annotated=True)  # stdout may well go to a file
        raise PlanRefused(
            "a guard forbids this plan; nothing was written",
            hint="above stands which guard, and the flag that lifts it",
        )
    if made.changes and _asks(given) and not click.confirm("Apply these changes?", default=False, err=True):
        click.echo("Nothing was written.", err=True)
        return ExitCode.FAILURE
    # Bars and events on the same terminal would write into each other.
    silent = given["quiet"] or (given["output_format"] == "json" and sys.stdout.isatty())
    with stop_on_signals() as stopping, progress(sys.stderr, quiet=silent) as sink:
        stopping.draw = sink.notice
        sink.expect("uploading", models=len(made.changes), total_bytes=made.summary.upload_bytes)

        def on_event(event: Event) -> None:
            if isinstance(event, Started):
                stopping.in_flight[event.change.name] = None
            elif isinstance(event, Finished):
                stopping.in_flight.pop(event.outcome.change.name, None)
            sink(event)
            telling.event(event)
            if isinstance(event, Verified) and event.note:
                warn(event.note)

        outcomes = apply_plan(
            made, connection, jobs=jobs, stop=stopping, fail_fast=given["fail_fast"], on_event=on_event
        )
    telling.outcomes(outcomes)
    publish(made, outcomes)
    telling.close()
    if stopping.exit_code is not None:
        return stopping.exit_code
    if made.has_errors or not all(outcome.ok for outcome in outcomes):
        return ExitCode.FAILURE
    return ExitCode.CHANGES if outcomes and given["detailed_exitcode"] else ExitCode.DONE


def _asks(given: dict[str, Any]) -> bool:
    """Only a person at a terminal is asked, wherever the answer goes; scripts and CI jobs are not kept waiting."""
    return not given["yes"] and sys.stdin.isatty()
