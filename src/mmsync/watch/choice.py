"""Which changes of a plan are carried out now: what the watcher remembers from round to round.

A change that failed waits its time, one that cannot succeed waits for another wish, drift may be reported instead of
repaired, and many small rounds must not delete what one round may not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from mmsync.plan.guards import refusals
from mmsync.states import Source
from mmsync.watch import trouble
from mmsync.watch.schedule import Retries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmsync.apply.outcome import Outcome
    from mmsync.plan import Change, Guards, Plan
    from mmsync.states import Diagnostic
    from mmsync.watch.health import Problem
    from mmsync.watch.schedule import Backoff

__all__ = ["Choice", "Choices", "OnDrift"]

OnDrift = Literal["fix", "report"]

_NOWHERE = Source("", 0)


class Choice(NamedTuple):
    """What is made of a plan.

    Attributes:
        changes: What to carry out now.
        refusals: The guards that forbid the deletes.
        undeleted: Names of the models that are not deleted for it.
        drift: What other hands changed and is left alone.
        repaired: What other hands changed and is set right.
        held: Names of models whose change is not for now.
        stuck: How many changes failed for good before, and wait until their file or entry is another.
    """

    changes: tuple[Change, ...]
    refusals: tuple[Diagnostic, ...]
    undeleted: tuple[str, ...]
    drift: tuple[Problem, ...]
    repaired: tuple[Problem, ...]
    held: frozenset[str]
    stuck: int


class Choices:
    """Chooses, and remembers what it takes to choose.

    Args:
        guards: The limits on deleting.
        on_drift: Whether what other hands changed is set right, or reported and left.
        memory: Seconds for which deletes count together towards the guards.
        backoff: The pauses after failures.
    """

    def __init__(self, guards: Guards, on_drift: OnDrift, memory: float, backoff: Backoff) -> None:
        self._guards = guards
        self._on_drift = on_drift
        self._memory = memory
        self.retries: Retries[str] = Retries(backoff)
        self._in_step: dict[str, int] = {}
        self._ever_ours: set[str] = set()
        self._deleted_at: list[float] = []
        self._first = True

    def choose(self, plan: Plan, now: float, *, listed: int) -> Choice:
        """Pick the changes to carry out now.

        A guard that forbids the deletes holds them back, all of them, and nothing else: adds and changes do not
        depend on them, and a dropped model must not wait for somebody to lift a guard. (In CI a plan is one thing
        that somebody agreed to, and is refused whole.)

        Args:
            plan: The plan, whole.
            now: Monotonic seconds.
            listed: How many models the manifests list.
        """
        changes: list[Change] = []
        drift: list[Problem] = []
        repaired: list[Problem] = []
        held: set[str] = set()
        undeleted: list[str] = []
        stuck = 0
        refused = self._too_many(plan, now, listed) or plan.refusals
        for change in plan.changes:
            stuck += self.retries.failed_for_good(change.name, _wish(change))
            if refused and change.action == "delete":
                undeleted.append(change.name)
                held.add(change.name)
            elif self._is_drift(change) and self._on_drift == "report":
                drift.append(trouble.of_drift(change, repair=False))
            elif not self.retries.may_try(change.name, _wish(change), now):
                held.add(change.name)
            else:
                changes.append(change)
                if self._is_drift(change):
                    repaired.append(trouble.of_drift(change, repair=True))
        return Choice(tuple(changes), refused, tuple(undeleted), tuple(drift), tuple(repaired), frozenset(held), stuck)

    def remember(self, plan: Plan, outcomes: Iterable[Outcome], now: float, *, names: Iterable[str]) -> None:
        """Take note of what became of a round.

        Args:
            plan: The plan, with only the changes that were attempted.
            outcomes: What became of them.
            now: Monotonic seconds.
            names: Every model the manifests list; failures of others are forgotten.
        """
        for outcome in outcomes:
            change = outcome.change
            if outcome.ok:
                self.retries.succeeded(change.name)
                self._in_step[change.name] = _content_wish(change)
                if change.action == "delete":
                    self._deleted_at.append(now)
            elif outcome.code != "interrupted":
                self.retries.failed(change.name, _wish(change), now, permanent=outcome.permanent)
        for change in plan.unchanged:
            self.retries.succeeded(change.name)
            self._in_step[change.name] = _content_wish(change)
            self._ever_ours.add(change.name)
        self._ever_ours.update(change.name for change in plan.changes if change.action != "delete")
        # What was due and not tried (its file is restless, the plan is refused) waits its time once more.
        self.retries.keep({*names, *plan.orphans})
        self.retries.postpone(now)
        if self._first:
            self._ever_ours.update(plan.orphans)
        self._first = False

    def _too_many(self, plan: Plan, now: float, listed: int) -> tuple[Diagnostic, ...]:
        """Apply the guards to the deletes of the last while together."""
        self._deleted_at = [at for at in self._deleted_at if now - at < self._memory]
        before = len(self._deleted_at)
        deletes = sum(change.action == "delete" for change in plan.changes)
        if not deletes or not before:
            return ()
        there = len(plan.unchanged) + sum(change.action != "add" for change in plan.changes)
        found = refusals(self._guards, deletes=deletes + before, owned=there + before, listed=listed)
        why = f"{before} deleted in the last {self._memory:g} s included"
        return tuple(replace(one, summary=f"{one.summary} ({why})") for one in found)

    def _is_drift(self, change: Change) -> bool:
        """Whether the server, not the wish, is what changed since they were in step.

        What differs when the watch begins cannot be told apart and counts as wished for.
        """
        if change.action == "delete":
            return not self._first and change.name not in self._ever_ours
        return self._in_step.get(change.name) == _content_wish(change)


def _wish(change: Change) -> object:
    """What a failure belongs to: the entry without its place in the manifest, and the very file."""
    if change.desired is None:
        return change.before
    return change.desired._replace(source=_NOWHERE), change.content.key if change.content else None


def _content_wish(change: Change) -> int:
    """What being in step means, as a hash: ten thousand are kept."""
    after = change.after
    return hash((after.engine, after.description, after.sha256) if after else None)
