"""The steps of ``mmsync ci plan|apply|drift|digest|comment``: commands run in order, and GitHub told of them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

import click

from mmsync.ci.comment_body import Content, compose
from mmsync.ci.decisions import Approval, NotApproved, approval, merged_pull_request, missing_label
from mmsync.ci.github_api import GitHubError
from mmsync.ci.header import State
from mmsync.ci.living_comment import close_issue, find_comment, find_issue, write_issue
from mmsync.cli.apply import apply as apply_command, read_saved
from mmsync.cli.ci_child import Done, read_report, run_command
from mmsync.cli.ci_inputs import SHARD_VARIABLES, Inputs
from mmsync.cli.ci_job import Job, notice
from mmsync.cli.errors import ExitCode
from mmsync.cli.output import answer
from mmsync.cli.plan import plan as plan_command
from mmsync.errors import MmsyncError
from mmsync.report.github import code

_NO_SECRETS = (
    "There is no plan: a pull request of a fork or of Dependabot gets no secrets of this repository, so the server "
    "cannot be asked. Manifests and model files are valid."
)
_AGAIN = "Plan again to see what is left; an apply that is not bound to this plan does it."
_POLL = 2.0  # seconds


def plan_pull_request(inputs: Inputs, out: str, delete_label: str) -> int:
    """Validate and plan; return the exit code."""
    with Job(inputs) as job:
        checked = run_command(["validate", *inputs.files()])
        if checked.code:
            return _not_planned(job, checked, "invalid-manifest", "the manifests or the model files are not valid")
        if job.run.has_no_secrets and not inputs.has_credentials():
            notice(_NO_SECRETS)
            job.summary(f"### mmsync: not planned ({job.subject})\n\n{_NO_SECRETS}\n")
            job.outputs["has-changes"] = ""
            return ExitCode.DONE
        made = _plan(job, out)
        if made.code not in (ExitCode.DONE, ExitCode.CHANGES):
            return _not_planned(job, made, "plan-failed", "the plan failed")
        job.summary(made.report)
        why = _label_missing(job, delete_label, made.deletes, job.pull_request)
        reason = f"**Not to be merged so:** {why}." if why else ""
        job.comment("planned", reason=reason, plan=made)
        if why:
            job.fail("delete-label-missing", why)
        return _code(job, failed=bool(why))


def _plan(job: Job, out: str) -> Done:
    inputs = job.inputs
    words = ["plan", *inputs.files(), *inputs.server(), *inputs.more(plan_command), "--detailed-exitcode"]
    made = run_command(words, out=out)
    if made.document is not None:
        _tell_plan(job, made, out)
    return made


def _tell_plan(job: Job, plan: Done, path: str) -> None:
    job.outputs |= {
        "digest": plan.digest,
        "changes": str(plan.changes),
        "has-changes": "true" if plan.changes else "false",
        "plan-file": path,
    }


def _not_planned(job: Job, done: Done, reason: str, sentence: str) -> int:
    """Say that there is no plan; return the exit code."""
    link = f"[the run]({job.run.url})" if job.run.url else "the run"
    if done.stopped_by is not None:
        job.fail("cancelled", "the plan was cancelled")
        job.comment("cancelled", reason=f"The run was cancelled before there was a plan; see {link}.")
        return done.failure
    job.fail(reason, sentence)
    # What is wrong with the plan as it was made stands in its report.
    explained = f"**{sentence[:1].upper()}{sentence[1:]}**: its log has what is wrong; see {link}."
    job.summary(done.report or f"### mmsync: no plan ({job.subject})\n\n{explained}\n")
    job.comment("failed", reason=explained, plan=done if done.report else None)
    return done.failure


def _label_missing(job: Job, label: str, deletes: int, pull_request: int | None) -> str:
    """Return why a plan may not delete, or ""; raises nothing: labels that cannot be read are none."""
    if not label or not deletes:
        return ""
    labels: list[object] = []
    if pull_request is not None:
        with job.reporting("whether the pull request has the label that allows deleting"):
            found = job.pull(pull_request).get("labels")
            labels = [each.get("name") for each in found or [] if isinstance(each, dict)]
    return missing_label(label, labels, deletes)


class _How(NamedTuple):
    """The way to apply: the plan that was approved, and which pull request is told."""

    approved: Approval | None
    pull_request: int | None


def apply_merge(
    inputs: Inputs, out: str, *, delete_label: str, bind: bool, saved: str, check: bool, wait: float
) -> int:
    """Apply what was reviewed, or refuse; return the exit code."""
    with Job(inputs) as job:
        how = _how(job, bind=bind, wait=wait)
        if isinstance(how, NotApproved):
            job.refuse(how)
            return ExitCode.FAILURE
        if how.pull_request is not None:
            job.outputs["pull-request"] = str(how.pull_request)
        if saved:
            plan = Done(ExitCode.CHANGES, document=read_saved(saved))
            _tell_plan(job, plan, saved)
        else:
            plan = _plan(job, out)
        if plan.code not in (ExitCode.DONE, ExitCode.CHANGES):
            _stop(job, how, plan)
            return plan.failure
        if (why := _differs(how, plan)) is not None:
            _refuse_beside(job, how, why, plan)
            return ExitCode.FAILURE
        if sentence := _label_missing(job, delete_label, plan.deletes, how.pull_request):
            job.refuse(NotApproved("delete-label-missing", sentence, how.pull_request))
            return ExitCode.FAILURE
        if check and plan.changes:
            job.summary(plan.report)
            return ExitCode.DONE
        if not plan.changes:
            job.summary(plan.report)
            job.comment("applied", reason="Nothing was left to change.", pull_request=how.pull_request)
            return _code(job)
        return _apply(job, how, plan, saved, out)


def _how(job: Job, *, bind: bool, wait: float) -> _How | NotApproved:
    if bind:
        found = _approved(job, wait)
        return found if isinstance(found, NotApproved) else _How(found, found.pull_request)
    number = job.pull_request
    if number is None and job.inputs.comment and job.commit:
        # Only to tell it there: an apply by hand or on a schedule merges none.
        try:
            pull = merged_pull_request(_pulls(job), job.commit, job.run.branch)
        except MmsyncError:
            return _How(None, None)
        number = None if isinstance(pull, NotApproved) else int(pull["number"])
    return _How(None, number)


def _pulls(job: Job) -> list[dict[str, object]]:
    found = job.api().pages(f"/repos/{job.run.repository}/commits/{job.commit}/pulls")
    return [pull for pull in found if isinstance(pull, dict)]


def _approved(job: Job, wait: float) -> Approval | NotApproved:
    """Return what was reviewed of the commit's pull request."""
    if not job.commit:
        return NotApproved("no-pull-request", "which commit was merged is not known: GITHUB_SHA is not set")
    try:
        end = time.monotonic() + wait
        # Just after a merge, GitHub may not have associated the commit yet.
        while isinstance(pull := merged_pull_request(_pulls(job), job.commit, job.run.branch), NotApproved):
            if pull.reason != "no-pull-request" or time.monotonic() + _POLL > end:
                return pull
            time.sleep(_POLL)
        there = find_comment(job.api(), job.run.repository, int(pull["number"]), job.key, job.author())
    except GitHubError as error:
        return NotApproved("github-unavailable", f"what was reviewed cannot be read from GitHub: {error}")
    return approval(pull, there.header if there else None, there.body if there else "")


def _differs(how: _How, plan: Done) -> NotApproved | None:
    if how.approved is None or plan.digest == how.approved.digest or not plan.changes:
        return None
    why = f"the plan that was reviewed has the digest {how.approved.digest}, and the plan of now {plan.digest}"
    return NotApproved("digest-differs", why, how.pull_request)


def _stop(job: Job, how: _How, plan: Done) -> None:
    """Say that there was no plan to apply."""
    if plan.stopped_by is not None:
        job.refuse(NotApproved("cancelled", "the run was cancelled", how.pull_request))
        return
    why = NotApproved("plan-failed", "the plan failed, and its log has what is wrong", how.pull_request)
    _refuse_beside(job, how, why, plan)


def _refuse_beside(job: Job, how: _How, why: NotApproved, plan: Done) -> None:
    """Refuse, and show the plan that was reviewed beside the one of now."""
    approved = how.approved.report if how.approved else ""
    job.refuse(why, approved=approved, result=plan.report, result_title="What would be done now")


def _apply(job: Job, how: _How, plan: Done, saved: str, out: str) -> int:
    inputs = job.inputs
    job.comment("applying", pull_request=how.pull_request)
    words = ["apply", *inputs.files(), *inputs.server(), *inputs.more(apply_command, beside_saved_plan=bool(saved))]
    if saved:
        done = run_command([*words, saved], withheld=SHARD_VARIABLES)  # the plan brings its selection
    else:
        done = run_command([*words, f"--expect={plan.digest}"])
    title = "What was done"
    if done.code == ExitCode.DONE:
        job.summary(done.report)
        job.comment("applied", pull_request=how.pull_request, result=done.report, result_title=title)
        return _code(job)
    if done.stopped_by is not None or done.report.startswith("## mmsync apply"):
        reason, sentence = "apply-failed", "not all of the plan was applied"
        if done.stopped_by is not None:
            reason, sentence = "cancelled", "the apply was cancelled before all of the plan was applied"
        why = NotApproved(reason, sentence, how.pull_request)
        job.refuse(why, result=done.report, result_title=title, detail=_AGAIN)
        return done.failure
    now = done if done.report else _plan(job, out)
    if now is not done and now.digest in (plan.digest, ""):
        why = NotApproved("apply-failed", "the apply failed, and its log has what is wrong", how.pull_request)
        job.refuse(why, detail=_AGAIN)
        return done.failure
    # Refused before anything was written: the server is no longer what the plan was made from.
    why = NotApproved("digest-differs", "the server is no longer what the plan was made from", how.pull_request)
    _refuse_beside(job, how, why, now)
    return done.failure


def print_digest(inputs: Inputs, wait: float) -> int:
    """Print the digest that was reviewed; return the exit code."""
    with Job(inputs) as job:
        found = _approved(job, wait)
        if isinstance(found, NotApproved):
            job.fail(found.reason, found.sentence)
            return ExitCode.FAILURE
        job.outputs |= {"digest": found.digest, "pull-request": str(found.pull_request)}
        answer(f"{found.digest}\n")
        return ExitCode.DONE


def plan_drift(inputs: Inputs, out: str) -> int:
    """Plan, and keep the issue; return the exit code."""
    with Job(inputs, "drift") as job:
        made = _plan(job, out)
        job.summary(made.report)
        if made.stopped_by is not None:
            job.fail("cancelled", "the plan was cancelled")
            return made.failure
        if made.code not in (ExitCode.DONE, ExitCode.CHANGES):
            job.fail("plan-failed", "the plan failed: whether the server differs is not known")
            return made.failure
        if inputs.comment:
            with job.reporting("the issue about drift"):
                _keep_issue(job, made)
        return _code(job)


def _keep_issue(job: Job, made: Done) -> None:
    api, repository = job.api(), job.run.repository
    there = find_issue(api, repository, job.key, job.author())
    if not made.changes:
        if there is not None:
            content = Content(job.header("in-sync", since=there.header.since), job.run.url, job.subject)
            close_issue(api, repository, there, compose(content))
            job.outputs["comment-url"] = there.url
        return
    header = job.header("drift", digest=made.digest)
    header = replace(header, since=there.header.since if there else header.time)
    reason = (
        "The server does not hold what the manifests list: it was changed outside mmsync, or a merge was not applied. "
        "Applying does what the plan says; this issue is closed when nothing is left."
    )
    content = Content(header, job.run.url, job.subject, reason, made.report)
    title = f"Drift: the server differs from the manifests ({job.key[:8]})"
    job.outputs["comment-url"] = write_issue(api, repository, there, title, compose(content))


def write_state(inputs: Inputs, state: State, *, saved: str, report: str, reason: str) -> int:
    """Keep the comment; return the exit code."""
    if state == "planned" and not saved:
        raise click.UsageError("--state planned needs the plan: give --plan FILE")
    with Job(inputs) as job:
        text = read_report(report) if report else ""
        why = code(reason, 1000) if reason else ""
        if state in ("planned", "failed"):
            made = Done(ExitCode.DONE, text, read_saved(saved) if saved else None)
            job.comment(state, reason=why, plan=made if saved or text else None)
        else:
            job.comment(state, reason=why, result=text, result_title="What was done" if text else "")
        if job.pull_request is None:
            notice("the event is about no pull request, so there is no comment to keep")
        return _code(job)


def _code(job: Job, *, failed: bool = False) -> int:
    return ExitCode.FAILURE if failed or (job.inputs.strict and not job.is_told) else ExitCode.DONE
