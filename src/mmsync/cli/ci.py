"""``mmsync ci``: what a workflow on GitHub runs on pull requests, on merges and on a schedule."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import click

from mmsync.cli.ci_flows import apply_merge, plan_drift, plan_pull_request, print_digest, write_state
from mmsync.cli.ci_inputs import Inputs, ci_options, env_input
from mmsync.cli.errors import ExitCode

_OUT_HELP = "Where to save the plan; if not given, a file in the runner's temporary folder."
_LABEL_HELP = "A plan that deletes needs this label on the pull request."

label_option = env_input("--delete-label", "delete_label", metavar="LABEL", default="", help=_LABEL_HELP)
out_option = env_input("--out", metavar="FILE", default="", help=_OUT_HELP)
wait_option = env_input(
    "--wait",
    type=click.FloatRange(0, 300),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="For GitHub to know which pull request a commit merged.",
)


@click.group("ci", context_settings={"max_content_width": 100})
def ci() -> None:
    """Plans by pull request: for workflows on GitHub.

    They read what a workflow's runner sets: GITHUB_REPOSITORY, GITHUB_SHA,
    GITHUB_EVENT_PATH, GITHUB_RUN_ID, GITHUB_API_URL. GITHUB_TOKEN (or
    GH_TOKEN) writes the comment, and goes to that API only. The server's
    token comes from MMSYNC_TOKEN. Every option may come from the variable
    shown beside it.

    \b
    Outputs, for the steps that follow:
      digest          of the plan
      changes         how many it has
      has-changes     true or false
      plan-file       where it is saved
      comment-url     of the comment on the pull request
      pull-request    whose plan is applied
      failure-reason  a word, where a command fails
    """  # noqa: D301 - \b is click's mark for lines to keep as they are


@ci.command("plan")
@ci_options
@out_option
@label_option
def plan(inputs: Inputs, out: str, delete_label: str) -> int:
    """Plan on a pull request, and keep one comment.

    Manifests and model files are validated, then planned; the comment says
    what merging would change. It is found again by a hidden line that names manifests, server,
    domain, selection and environment, and only if its author is the token's
    own user. A plan that fails or is cancelled marks the comment; the plan
    before stays in it, folded, as outdated. What a newer run wrote stays.

    A pull request of a fork or of Dependabot without a server's token is
    only validated, which a notice says. A comment that may not be written
    is a notice, other trouble with GitHub a warning; neither fails a plan.

    failure-reason: invalid-manifest, plan-failed, cancelled,
    delete-label-missing.
    """
    return plan_pull_request(inputs, _out(out, inputs), delete_label)


@ci.command("apply")
@ci_options
@out_option
@label_option
@env_input("--bind/--no-bind", default=True, show_default=True, help="Apply only the plan that was reviewed.")
@env_input("--plan", "saved", metavar="FILE", default="", help="Apply this saved plan, which was approved.")
@env_input("--check", is_flag=True, help="Do everything but apply: save the plan, or refuse.")
@wait_option
def apply(inputs: Inputs, *, out: str, delete_label: str, bind: bool, saved: str, check: bool, wait: float) -> int:
    """Apply on a merge what was reviewed, or refuse.

    The digest is that of the comment on the pull request which the commit
    merged, by a merge, squash or rebase. Where the plan made now has another
    digest, nothing is written: summary and comment show both plans. Where
    nothing is left to change, all is well whatever was reviewed.

    A job that waits for an environment's approval is told with --check what
    to approve, and applies that file with --plan.

    failure-reason: no-pull-request, several-pull-requests, no-plan,
    plan-failed, plan-outdated, digest-differs, delete-label-missing,
    apply-failed, cancelled, github-unavailable.
    """
    return apply_merge(
        inputs, _out(out, inputs), delete_label=delete_label, bind=bind, saved=saved, check=check, wait=wait
    )


@ci.command("drift")
@ci_options
@out_option
def drift(inputs: Inputs, out: str) -> int:
    """Plan on a schedule, and keep one issue.

    The issue is open while the server differs. It holds the plan and since when the server differs; it is closed
    with a comment when the server is in sync again. Exit 0 with drift too:
    has-changes tells. A plan that fails leaves the issue as it is.

    failure-reason: plan-failed, cancelled.
    """
    return plan_drift(inputs, _out(out, inputs))


@ci.command("digest")
@ci_options
@wait_option
def digest(inputs: Inputs, wait: float) -> int:
    """Print the digest of what was reviewed.

    The plan is that of the pull request which the commit merged. Exit 1
    where the commit merged no pull request or several, where its
    comment holds no plan, one that failed, or one of another commit than was
    merged. A comment that others wrote is none, whatever is in it.

    failure-reason: as of apply.
    """
    return print_digest(inputs, wait)


@ci.command("comment")
@ci_options
@env_input(
    "--state",
    type=click.Choice(["planned", "failed", "cancelled", "applying", "applied", "not-applied"]),
    required=True,
    help="What to say of the plan.",
)
@env_input("--plan", "saved", metavar="FILE", default="", help="The saved plan; with --state planned.")
@env_input("--report", metavar="FILE", default="", help="A report in Markdown, of plan or apply --format markdown.")
@env_input("--reason", metavar="TEXT", default="", help="Why, in a sentence.")
def comment(inputs: Inputs, *, state: Any, saved: str, report: str, reason: str) -> int:
    """Keep the comment, where other steps plan.

    Exit 0 also where it cannot be written, unless --strict.
    """
    return write_state(inputs, state, saved=saved, report=report, reason=reason)


@ci.command("run")
@env_input("--command", required=True, metavar="NAME", help="plan, apply, drift, digest or comment.")
def run(command: str) -> int:
    """Run the command that MMSYNC_CI_COMMAND names.

    Its options come from the environment: an action passes its inputs so, and no input is ever part of a script.
    """
    found = ci.commands.get(command)
    if found is None or command == "run":
        raise click.UsageError(f"{command!r} is none of the commands of mmsync ci")
    code: object = found.main(args=[], prog_name=f"mmsync ci {command}", standalone_mode=False)
    return code if isinstance(code, int) else ExitCode.DONE


def _out(out: str, inputs: Inputs) -> str:
    """Return where to save the plan: another file for every environment that one job plans for."""
    if out.startswith("-"):
        raise click.UsageError(f"out {out!r}: it may not begin with -")
    name = "".join(char if char.isalnum() else "-" for char in inputs.environment)[:60]
    folder = os.environ.get("RUNNER_TEMP") or tempfile.gettempdir()
    path = Path(out or Path(folder, f"mmsync-plan{f'-{name}' if name else ''}.json"))
    with contextlib.suppress(OSError):  # what saves it says what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)
