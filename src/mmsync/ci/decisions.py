"""Who may write a comment, and what was approved: decided from what was read, without asking anybody.

A refusal names its reason by a word that workflows can compare, the output ``failure-reason``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mmsync.ci.comment_body import plan_report
from mmsync.ci.header import BEFORE_MERGE, Header
from mmsync.ci.run import as_commit


class NotApproved(NamedTuple):
    """Why a commit may not be applied."""

    reason: str  # a word for ``failure-reason``
    sentence: str
    pull_request: int | None = None  # where it is known


class Approval(NamedTuple):
    """The plan that was reviewed in the pull request which a commit merged."""

    pull_request: int
    digest: str
    commit: str  # the head of the pull request that was planned and merged
    report: str = ""  # the plan's report, Markdown


def may_write(there: Header | None, mine: Header, head: str = "") -> bool:
    """Return whether a run may put its header in the place of the one that is there.

    Runs may end in another order than they began in: what a newer one wrote about a newer commit stays.

    Args:
        there: The header that is there, or None.
        mine: The header to write.
        head: The head of the pull request as it is now, or "" where it is not known.
    """
    if there is None or not there.run or not mine.run:
        return True
    is_plan = mine.state in BEFORE_MERGE
    if is_plan and head and there.commit == head != mine.commit and there.state in BEFORE_MERGE:
        return False
    if mine.run == there.run:
        return mine.attempt >= there.attempt
    if mine.run > there.run:
        return True
    # A run that is run again keeps its number, and is newer than it seems.
    is_same = mine.commit == there.commit and there.state in BEFORE_MERGE
    return mine.attempt > 1 and (is_same or not is_plan)


def merged_pull_request(
    pulls: Iterable[Mapping[str, Any]], commit: str, branch: str = ""
) -> Mapping[str, Any] | NotApproved:
    """Return the one pull request whose merge is ``commit``, by a merge, a squash or a rebase.

    Args:
        pulls: The pull requests that GitHub associates with the commit.
        commit: The commit that was pushed by the merge.
        branch: The branch it was merged into; "" takes any.
    """
    short = commit[:12]
    merged = [pull for pull in pulls if pull.get("merged_at") and isinstance(pull.get("number"), int)]
    if branch:
        merged = [pull for pull in merged if (pull.get("base") or {}).get("ref") == branch]
    # Others have the commit as well: one that was merged into the branch of this one.
    exact = [pull for pull in merged if commit in (pull.get("merge_commit_sha"), head_of(pull))]
    if not exact:
        why = f"no pull request was merged as commit {short}: nobody has reviewed a plan of it"
        return NotApproved("no-pull-request", why)
    if len(exact) > 1:
        numbers = ", ".join(f"#{pull['number']}" for pull in sorted(exact, key=lambda pull: int(pull["number"])))
        return NotApproved("several-pull-requests", f"several pull requests were merged as commit {short}: {numbers}")
    return exact[0]


def approval(pull: Mapping[str, Any], header: Header | None, body: str) -> Approval | NotApproved:
    """Return the plan that the merge of a pull request approves, as its comment says.

    Args:
        pull: The pull request that was merged.
        header: The header of our comment, or None where there is none.
        body: The whole comment.
    """
    number, head = int(pull["number"]), head_of(pull)
    if header is None:
        why = (
            f"pull request #{number} has no comment of mmsync for these manifests and this server: no plan was reviewed"
        )
        return NotApproved("no-plan", why, number)
    if header.state in ("failed", "cancelled"):
        why = f"the last plan in pull request #{number} {'failed' if header.state == 'failed' else 'was cancelled'}"
        return NotApproved("plan-failed", f"{why}: there was nothing to approve", number)
    if not header.digest:
        return NotApproved("no-plan", f"no plan was reviewed in pull request #{number}", number)
    if not head or header.plan_commit != head:
        why = f"the plan in pull request #{number} is of commit {header.plan_commit[:12]}, and {head[:12]} was merged"
        return NotApproved("plan-outdated", f"{why}: what was merged was not reviewed", number)
    return Approval(number, header.digest, head, plan_report(body))


def head_of(pull: Mapping[str, Any]) -> str:
    """Return the commit that a pull request proposes, or "" where it is not told."""
    return as_commit((pull.get("head") or {}).get("sha"))


def missing_label(label: str, labels: Iterable[object], deletes: int) -> str:
    """Return why a plan that deletes may not be applied, or "" where it may.

    Args:
        label: The label that allows deleting; "" where none is asked for.
        labels: The names of the pull request's labels.
        deletes: How many models the plan deletes.
    """
    if not label or not deletes or label.lower() in {str(name).lower() for name in labels}:
        return ""
    return (
        f"the plan deletes {deletes:,} model{'s' * (deletes != 1)}, and the pull request lacks the label that allows it"
    )
