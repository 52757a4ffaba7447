"""``mmsync plan``: show what apply would change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mmsync._version import __version__
from mmsync.cli import options as opt
from mmsync.cli.exits import ExitCode
from mmsync.cli.output import answer, colour, columns, complain
from mmsync.cli.saving import refuse_other, save

if TYPE_CHECKING:
    from mmsync.plan import Plan

__all__ = ["plan", "show"]


@click.command("plan")
@opt.manifest_options
@opt.selection_options
@opt.guard_options
@opt.planning_options
@click.option("--out", metavar="FILE", help="Save the plan document for `mmsync apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where there are changes.")
@click.option("--all", "show_all", is_flag=True, help="Show unchanged models too.")
@opt.format_option("text", "json", "markdown")
@opt.quiet_option
@opt.server_options
def plan(**given: Any) -> int:
    """Show what apply would change; write nothing."""
    from mmsync.cli.run import replan  # noqa: PLC0415 - imports the HTTP library

    server = opt.take_server(given)
    if given["out"]:
        refuse_other(given["out"])  # before anything is asked of a server
    with replan(given, server) as (made, _):
        pass
    if given["out"]:
        save(made, given["out"])
    show(made, given["output_format"], show_all=given["show_all"])
    if made.has_errors:
        return ExitCode.FAILURE
    return ExitCode.CHANGES if made.changes and given["detailed_exitcode"] else ExitCode.DONE


def show(made: Plan, output_format: str, *, show_all: bool = False) -> None:
    """Write the plan to stdout in the format asked for, and tell GitHub Actions."""
    from mmsync.cli.github import publish  # noqa: PLC0415 - after the plan is made
    from mmsync.plan import dump, plan_digest, plan_document  # noqa: PLC0415 - the same

    match output_format:
        case "json":
            answer(dump(plan_document(made, version=__version__, show_all=show_all)))
        case "markdown":
            from mmsync.report.markdown import render  # noqa: PLC0415 - only for this format

            answer(render(made, digest=plan_digest(made)))
        case _:
            from mmsync.report.text import render_plan  # noqa: PLC0415 - only for this format

            out = sys.stdout
            answer(
                render_plan(made, digest=plan_digest(made), width=columns(out), colour=colour(out), show_all=show_all)
            )
    if output_format != "text":
        # What is wrong stands in the document, which may well go to a file: a person is told here.
        complain([note for note in made.diagnostics if note.severity == "error"], annotated=True)
    publish(made)
