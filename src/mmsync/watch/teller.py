"""Telling what a round came to: the log, the problems, the command for changes, the service manager."""

from __future__ import annotations

import traceback
from collections import Counter
from typing import TYPE_CHECKING

from mmsync.printable import printable
from mmsync.watch import trouble
from mmsync.watch.health import Problem
from mmsync.watch.report import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmsync.apply.outcome import Outcome
    from mmsync.plan import Plan
    from mmsync.states import Diagnostic, ServerName
    from mmsync.watch.health import Health
    from mmsync.watch.round import Result
    from mmsync.watch.watching import Outside

__all__ = ["Teller"]

_WAY = ("disk", "internal", "server", "token")
_DONE = {"add": "model_added", "change": "model_changed", "delete": "model_deleted"}
_PAST = {"add": "added", "change": "changed", "delete": "deleted"}


class Teller:
    """Tells each thing once.

    Args:
        outside: The log, the service manager and the command for changes.
        health: The problems of now.
        manifests: The manifests' paths, for reports.
    """

    def __init__(self, outside: Outside, health: Health, manifests: Sequence[str]) -> None:
        self._outside = outside
        self._log = outside.log
        self._health = health
        self._manifests = manifests
        self._reported = "ok"
        self._server: ServerName | None = None
        self._first = True

    def failed(self, error: Exception) -> None:
        """Tell that a round could not be made."""
        problem = trouble.of_pass(error)
        for kind in _WAY:
            self._health.set(kind, problem if kind == problem.kind else None)
        if problem.kind == "internal" and self._health.changing:
            self._log("notice", "where the defect showed", trace=traceback.format_exc(limit=-8))
        self._tell(None, ())

    def reconciled(self, result: Result, notes: Iterable[Diagnostic]) -> None:
        """Tell a round."""
        plan, outcomes = result.plan, result.outcomes
        was_away = any(self._health.has(kind) for kind in _WAY)
        refused = next((outcome for outcome in outcomes if outcome.code == "token"), None)
        for kind in _WAY:
            problem = (
                Problem("token", "", refused.message, "token", "the server accepts the token again")
                if refused
                else None
            )
            self._health.set(kind, problem if kind == "token" else None)
        self._health.set("ledger", trouble.of_ledger(result.warnings))
        if self._server != plan.server:
            self._server = plan.server
            domain = f", domain {plan.server.domain}" if plan.server.domain else ""
            self._log("server_reached", f"the server is {plan.server.url}{domain}", url=plan.server.url)
        self._health.set("plan", trouble.of_refusals(result.refusals, result.undeleted))
        self._health.set("orphans", trouble.of_orphans(plan))
        for problem in result.repaired:
            self._log("drift_found", problem.message, level="warning", model=problem.subject)
        self._health.update("drift", result.drift)
        held = {printable(name) for name in result.held}
        kept = [one for one in self._health.problems if one.kind == "model" and one.subject in held]
        self._health.update("model", {one.subject: one for one in (*kept, *result.problems)}.values())
        self._health.update("notice", trouble.of_notes((*notes, *plan.diagnostics), result.refusals))
        for outcome in outcomes:
            if outcome.ok:
                self._tell_done(outcome)
        if outcomes or was_away or self._first:
            self._first = False
            self._log.record("reconciled", _summary(result), "info", _figures(result))
        self._tell(plan, outcomes)

    def tell_change(self) -> None:
        """Tell what changed outside a round: a manifest, a folder."""
        if self._health.changing:
            self._tell(None, ())

    def _tell(self, plan: Plan | None, outcomes: tuple[Outcome, ...]) -> None:
        health, problems = self._health.state, self._health.problems
        self._outside.service.status(_status(health, problems))
        changed = self._health.take_change()
        if self._outside.on_change is not None and (changed or any(outcome.ok for outcome in outcomes)):
            before, self._reported = self._reported, health
            self._outside.on_change(
                report(plan, outcomes, health=health, before=before, problems=problems, manifests=self._manifests)
            )

    def _tell_done(self, outcome: Outcome) -> None:
        change = outcome.change
        name = printable(change.name)
        reasons = f" ({', '.join(change.reasons)})" if change.reasons else ""
        after = change.after
        self._log(
            _DONE[change.action],
            f"{name} {_PAST[change.action]}{reasons}" + (f": {outcome.message}" if outcome.message else ""),
            model=name,
            reasons=list(change.reasons) or None,
            sha256=after.sha256 if after else None,
            size=after.size if after else None,
            uploaded=outcome.uploaded,
            seconds=round(outcome.seconds, 3),
        )


def _status(health: str, problems: Sequence[Problem]) -> str:
    """Return the line for the service manager; what is only to be known is no problem."""
    count = sum(problem.level != "info" for problem in problems)
    if not count:
        return health
    counted = f"{count} problem{'' if count == 1 else 's'}"
    return counted if health == "ok" else f"{health}, {counted}"


def _summary(result: Result) -> str:
    plan, outcomes = result.plan, result.outcomes
    done = Counter(_PAST[outcome.change.action] for outcome in outcomes if outcome.ok)
    failed = sum(not outcome.ok for outcome in outcomes)
    parts = [f"{done[word]} {word}" for word in _PAST.values() if done[word]]
    parts += [f"{failed} not done"] if failed else []
    parts += [f"{len(result.undeleted)} not deleted, which a guard forbids"] if result.undeleted else []
    stuck = f", {result.stuck} waiting for another file or entry" if result.stuck else ""
    return f"{', '.join(parts) or 'nothing to change'}; {len(plan.unchanged)} unchanged{stuck}"


def _figures(result: Result) -> dict[str, object]:
    plan, outcomes = result.plan, result.outcomes
    done = Counter(outcome.change.action for outcome in outcomes if outcome.ok)
    return {
        "added": done["add"],
        "changed": done["change"],
        "deleted": done["delete"],
        "failed": sum(not outcome.ok for outcome in outcomes),
        "unchanged": len(plan.unchanged),
        "waiting": result.stuck or None,
        "unmanaged": plan.unmanaged,
        "orphans": len(plan.orphans),
        "uploaded": sum(outcome.uploaded for outcome in outcomes),
    }
