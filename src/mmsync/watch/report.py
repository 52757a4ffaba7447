"""The report another program gets: what a round changed and how we are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmsync.apply.outcome import Outcome
    from mmsync.plan import Plan
    from mmsync.watch.health import Problem

__all__ = ["FORMAT_VERSION", "report"]

FORMAT_VERSION = "1"


def report(
    plan: Plan | None,
    outcomes: Iterable[Outcome],
    *,
    health: str,
    before: str,
    problems: Sequence[Problem],
    manifests: Sequence[str],
) -> dict[str, Any]:
    """Return the report as JSON values; sizes in bytes. It holds no secrets and no times.

    Args:
        plan: The round's plan; None where none could be made.
        outcomes: What was attempted.
        health: ``ok`` or ``degraded``, now.
        before: The same as of the last report.
        problems: What is wrong now.
        manifests: The manifests' paths.
    """
    return {
        "format_version": FORMAT_VERSION,
        "event": "reconciled" if plan else "failed",
        "health": health,
        "previous_health": before,
        "manifests": [printable(path, 4096) for path in manifests],
        "server": {"url": plan.server.url, "domain": plan.server.domain} if plan else None,
        "summary": plan.summary._asdict() if plan else None,
        "changes": [
            {
                "name": outcome.change.name,
                "action": outcome.change.action,
                "reasons": list(outcome.change.reasons),
                "status": outcome.status,
                "code": outcome.code,
                "message": outcome.message,
                "sha256": outcome.change.after.sha256 if outcome.change.after else None,
                "size": outcome.change.after.size if outcome.change.after else None,
                "uploaded": outcome.uploaded,
            }
            for outcome in outcomes
        ],
        "problems": [
            {
                "kind": problem.kind,
                "subject": problem.subject,
                "code": problem.code,
                "level": problem.level,
                "message": problem.message,
            }
            for problem in problems
        ],
    }
