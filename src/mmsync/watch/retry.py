"""Retry policy, and which changes of a plan are to be carried out now. Pure: time and chance are arguments.

There are three `Retries`. ``ChangeFilter.retries`` is for changes of single models that failed when they were applied.
``Reconciler.unread`` is for files that could not be read and contents on the server that could not be found out.
``Watcher._failures``, with one key, is for reconciles that failed as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.plan import Change, Guards, Plan
from mmsync.plan.guards import check_guards
from mmsync.types import Diagnostic, Source
from mmsync.watch.conditions import Condition, of_drift


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double."""

    first: float = 5.0  # the first delay, in seconds
    longest: float = 180.0  # what no delay exceeds, in seconds

    def delay(self, failures: int) -> float:
        """Return how long to wait after the given number of failures in a row (1 or more), in seconds."""
        # The exponent is capped as well: 2.0 ** 1100 does not exist, and months of failures come to that.
        return min(self.first * 2.0 ** min(failures - 1, 60), self.longest)


class Timer:
    """The moment of the next full reconcile: every ``interval`` seconds, give or take a tenth.

    The jitter keeps a fleet of watchers that were started together from asking the server together for ever.
    """

    def __init__(self, interval: float, chance: Callable[[], float]) -> None:
        self._interval = interval
        self._chance = chance  # a number from 0 up to 1, by ``random.random`` for example
        self.due_at = float("-inf")

    def start(self, now: float) -> None:
        """Count from now."""
        self.due_at = now + self._interval * (0.9 + 0.2 * self._chance())


@dataclass(frozen=True, slots=True)
class _Failure:
    target: object
    permanent: bool
    count: int
    due_at: float


class Retries:
    """Failures, with when each may be tried again and what it is waiting for.

    A failure belongs to a *target*: anything that compares equal as long as trying again would be trying the same
    (a model's file and its manifest entry). Another target is always tried at once.
    """

    def __init__(self, backoff: Backoff = Backoff()) -> None:
        self._backoff = backoff
        self._failures: dict[str, _Failure] = {}

    def failed(self, key: str, target: object, now: float, *, permanent: bool = False) -> float:
        """Record a failure of ``target``; return the seconds until it may be tried again (infinite if permanent)."""
        before = self._failures.get(key)
        count = before.count + 1 if before is not None and before.target == target else 1
        delay = float("inf") if permanent else self._backoff.delay(count)
        self._failures[key] = _Failure(target, permanent, count, now + delay)
        return delay

    def succeeded(self, key: str) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)

    def may_try(self, key: str, target: object, now: float) -> bool:
        """Return whether ``target`` may be tried now."""
        failure = self._failures.get(key)
        return failure is None or failure.target != target or now >= failure.due_at

    def failed_for_good(self, key: str, target: object) -> bool:
        """Return whether ``target`` failed and trying it again would be pointless."""
        failure = self._failures.get(key)
        return failure is not None and failure.permanent and failure.target == target

    def hurry(self) -> None:
        """Let all be tried again at once; permanent failures still wait for another target."""
        for key, failure in self._failures.items():
            if not failure.permanent:
                self._failures[key] = replace(failure, due_at=float("-inf"))

    def postpone(self, now: float) -> None:
        """Put off whatever is due and was not tried, or it would be due for ever."""
        for key, failure in self._failures.items():
            if not failure.permanent and failure.due_at <= now:
                self._failures[key] = replace(failure, due_at=now + self._backoff.delay(failure.count))

    def keep(self, keys: set[str]) -> None:
        """Forget everything but ``keys``."""
        self._failures = {key: failure for key, failure in self._failures.items() if key in keys}

    def next_due(self) -> float | None:
        """Return when the first retry is due; None where nothing waits for time alone."""
        return min((one.due_at for one in self._failures.values() if not one.permanent), default=None)


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

    def __init__(self, guards: Guards, on_drift: OnDrift, memory: float, backoff: Backoff) -> None:
        self._guards = guards
        self._on_drift = on_drift
        self._memory = memory  # seconds for which deletes count together towards the guards
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
            elif outcome.code != "interrupted":
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
        self._deleted_at = [at for at in self._deleted_at if now - at < self._memory]
        before = len(self._deleted_at)
        deletes = sum(change.action == "delete" for change in plan.changes)
        if not deletes or not before:
            return ()
        there = len(plan.unchanged) + sum(change.action != "add" for change in plan.changes)
        found = check_guards(self._guards, deletes=deletes + before, owned=there + before, listed=listed)
        why = f"{before} deleted in the last {self._memory:g} s included"
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
