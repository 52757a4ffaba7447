"""Filter of the changes that watch may carry out now: the limits on deletes over time, drift, and what waits for a retry.

Pure: time is an argument. The guards themselves are ``plan/guards.py``'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.plan import Change, Guards, Plan
from mmsync.plan.guards import check_guards
from mmsync.types import Diagnostic, Source
from mmsync.watch.conditions import Condition, of_drift
from mmsync.watch.retry import Backoff, Retries

OnDrift = Literal["fix", "report"]


class FilteredChanges(NamedTuple):
    """The part of a plan to be carried out now."""

    changes: tuple[Change, ...]  # what to carry out now
    refusals: tuple[Diagnostic, ...]  # the guards that forbid the deletes
    undeleted: tuple[str, ...]  # names of the models that are not deleted for it
    drift: tuple[Condition, ...]  # what was changed outside mmsync and is left alone until somebody decides
    repaired: tuple[Condition, ...]  # what was changed outside mmsync and is set right
    waiting: frozenset[str]  # names of models whose change is not for now
    stuck: int  # how many changes failed for good before, and wait until their file or entry is another


class ChangeFilter:
    """Selects the changes to carry out now, and remembers what it takes to select."""

    def __init__(self, guards: Guards, on_drift: OnDrift, count_deletes_for: float, backoff: Backoff) -> None:
        self._guards = guards
        self._on_drift = on_drift
        self._count_deletes_for = count_deletes_for  # seconds for which they count together towards the guards
        self.retries = Retries(backoff)
        self._in_step: dict[str, int] = {}
        self._ever_ours: set[str] = set()
        self._deleted_at: list[float] = []
        self._first = True

    def select(self, plan: Plan, now: float, *, listed: int) -> FilteredChanges:
        """Pick the changes to carry out now; ``listed`` is how many models the manifests list.

        A guard that forbids the deletes holds them back, all of them, and nothing else: adds and changes do not
        depend on them, and a dropped model must not wait for somebody to lift a guard. (In CI a plan is one thing
        that somebody agreed to, and is refused whole.)
        """
        changes: list[Change] = []
        drift: list[Condition] = []
        repaired: list[Condition] = []
        waiting: set[str] = set()
        undeleted: list[str] = []
        stuck = 0
        refused = self._too_many(plan, now, listed) or plan.refusals
        for change in plan.changes:
            stuck += self.retries.failed_for_good(change.name, _target(change))
            if refused and change.action == "delete":
                undeleted.append(change.name)
                waiting.add(change.name)
            elif self._is_drift(change) and self._on_drift == "report":
                drift.append(of_drift(change, repair=False))
            elif not self.retries.may_try(change.name, _target(change), now):
                waiting.add(change.name)
            else:
                changes.append(change)
                if self._is_drift(change):
                    repaired.append(of_drift(change, repair=True))
        return FilteredChanges(
            tuple(changes), refused, tuple(undeleted), tuple(drift), tuple(repaired), frozenset(waiting), stuck
        )

    def remember(self, plan: Plan, outcomes: Iterable[Outcome], now: float, *, names: Iterable[str]) -> None:
        """Take note of what became of a plan that has only the changes that were attempted.

        Failures of models other than those of these ``names`` (the selected ones) and the orphans are forgotten.
        """
        for outcome in outcomes:
            change = outcome.change
            if outcome.ok:
                self.retries.succeeded(change.name)
                self._in_step[change.name] = _content_hash(change)
                if change.action == "delete":
                    self._deleted_at.append(now)
            elif outcome.code not in ("interrupted", "audit"):
                self.retries.failed(change.name, _target(change), now, permanent=outcome.permanent)
        for change in plan.unchanged:
            self.retries.succeeded(change.name)
            self._in_step[change.name] = _content_hash(change)
            self._ever_ours.add(change.name)
        self._ever_ours.update(change.name for change in plan.changes if change.action != "delete")
        # What was due and not tried (its file is unsettled, the plan is refused) waits its time once more.
        self.retries.keep({*names, *plan.orphans})
        self.retries.postpone(now)
        if self._first:
            self._ever_ours.update(plan.orphans)
        self._first = False

    def _too_many(self, plan: Plan, now: float, listed: int) -> tuple[Diagnostic, ...]:
        """Apply the guards to the deletes of the last while together."""
        self._deleted_at = [at for at in self._deleted_at if now - at < self._count_deletes_for]
        before = len(self._deleted_at)
        deletes = sum(change.action == "delete" for change in plan.changes)
        if not deletes or not before:
            return ()
        there = len(plan.unchanged) + sum(change.action != "add" for change in plan.changes)
        found = check_guards(self._guards, deletes=deletes + before, owned=there + before, listed=listed)
        why = f"{before} deleted in the last {self._count_deletes_for:g} s included"
        return tuple(replace(one, summary=f"{one.summary} ({why})") for one in found)

    def _is_drift(self, change: Change) -> bool:
        """Return whether the server, not the target, is what changed since they were in step.

        What differs when the watch begins cannot be told apart and counts as changed in the target.
        """
        if change.action == "delete":
            return not self._first and change.name not in self._ever_ours
        return self._in_step.get(change.name) == _content_hash(change)


def _target(change: Change) -> object:
    """Return what a failure belongs to: the entry without its place in the manifest, and the very file."""
    if change.desired is None:
        return change.before
    return change.desired._replace(source=Source("", 0)), change.content.key if change.content else None


def _content_hash(change: Change) -> int:
    """Return what being in step means, as a hash: ten thousand are kept."""
    after = change.after
    return hash((after.engine, after.description, after.sha256) if after else None)
