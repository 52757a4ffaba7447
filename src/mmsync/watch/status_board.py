"""The board: what the watcher knows, collected by its worker and published as one value, `mmsync.status.Status`.

The worker alone writes. Whoever reads, from any thread, gets a value that never changes; a new one is published when
something did, and those who subscribed are told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsync._version import __version__
from mmsync.apply.outcome import Outcome
from mmsync.status import (
    Activity,
    ChangeRecord,
    ConditionStatus,
    EventBackend,
    Health,
    Reconcile,
    ReconcileResult,
    Status,
    Totals,
)
from mmsync.types import Desired, Diagnostic
from mmsync.watch.conditions import Condition
from mmsync.watch.model_board import ModelBoard

if TYPE_CHECKING:
    from mmsync.watch.reconciler import Reconciled

_MOST_RECONCILES = 100
_MOST_CHANGES = 100  # of one reconcile, so that a first apply of ten thousand models is no page of its own
_PROGRESS_EVERY = 0.5  # seconds between two publications of a reconcile under way
_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, float("inf"))


class StatusBoard:
    """The status as it comes about. ``wall`` returns seconds since the epoch, ``monotonic`` seconds for durations.

    ``keeps_models`` says whether anybody will ask for the models: for ten thousand of them that takes a few MB.
    """

    def __init__(
        self,
        manifests: Sequence[str],
        interval: float,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        keeps_models: bool = False,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._models = ModelBoard() if keeps_models else None
        now = wall()
        self._status = Status(__version__, now, now, 0, "starting", tuple(manifests), interval=interval)
        self._since: dict[tuple[str, str], tuple[Condition, float]] = {}  # conditions, by kind and subject
        self._history: deque[Reconcile] = deque(maxlen=_MOST_RECONCILES)
        self._diagnostics: tuple[Diagnostic, ...] = ()
        self._reconciles: Counter[ReconcileResult] = Counter()
        self._durations: Counter[float] = Counter()
        self._changes: Counter[tuple[str, str]] = Counter()
        self._seconds = 0.0
        self._uploaded = self._retries = self._drift = 0
        self._drifted: frozenset[str] = frozenset()
        self._began = (now, monotonic())
        self._shown_at = float("-inf")
        self._seen: object = None
        self._listed: object = None
        self._activity: Activity | None = None
        self._pending: dict[str, object] = {}  # what the next publication is to say besides
        self._reconciled = 0
        self._subscribers: tuple[Callable[[Status], object], ...] = ()

    @property
    def status(self) -> Status:
        """The latest value; may be read from any thread."""
        return self._status

    def subscribe(self, call: Callable[[Status], object]) -> Callable[[], None]:
        """Have ``call`` told each new value, from the worker's thread; return what ends that."""
        self._subscribers = (*self._subscribers, call)

        def end() -> None:
            self._subscribers = tuple(one for one in self._subscribers if one is not call)

        return end

    def begin(self) -> None:
        """Take note that a reconcile begins."""
        self._began = (self._wall(), self._monotonic())
        self._pending["activity"] = None
        self._shown_at = self._monotonic()
        self._activity = Activity(self._began[0], 0, 0)
        self._publish(activity=self._activity)

    def applying(self, total: int) -> None:
        """Take note that so many changes are carried out now."""
        self._activity = Activity(self._began[0], 0, total)
        self._publish(activity=self._activity)

    def finished(self) -> None:
        """Take note that one of them has its outcome."""
        if (activity := self._activity) is not None:
            self._activity = activity._replace(done=activity.done + 1)
            now = self._monotonic()
            if now - self._shown_at >= _PROGRESS_EVERY:
                self._shown_at = now
                self._publish(activity=self._activity)

    def interrupted(self) -> None:
        """Take note that the reconcile was given up: nothing was written."""
        self._pending["activity"] = None

    def failed(self, message: str) -> None:
        """Take note that the reconcile could not be made."""
        self._retries += 1
        self._enter("failed", message, ())
        self._pending |= {"activity": None, "is_ready": False}

    def reconciled(self, result: Reconciled, message: str, *, refused: bool) -> None:
        """Take note of what a reconcile came to; ``refused`` says that the server took the token no more."""
        outcomes, drift = result.outcomes, {one.subject for one in result.filtered.drift}
        self._drift += len(result.filtered.repaired) + len(drift - self._drifted)
        self._drifted = frozenset(drift)
        self._uploaded += sum(outcome.uploaded for outcome in outcomes)
        self._retries += sum(not outcome.ok and not outcome.permanent for outcome in outcomes)
        self._changes.update((one.change.action, "done" if one.ok else "not-done") for one in outcomes)
        self._diagnostics = result.plan.diagnostics
        if self._models:
            self._models.learn(result, self._wall())
        done = not refused and all(outcome.ok for outcome in outcomes)
        self._enter("failed" if refused else _result(outcomes), message, outcomes)
        self._pending |= {"activity": None, "is_ready": not refused, "server": result.plan.server}
        if done:
            self._pending["last_success_at"] = self._wall()

    def refresh(
        self,
        models: Callable[[], Iterable[Desired]],
        *,
        listed: object,
        unsettled: frozenset[str],
        conditions: tuple[Condition, ...],
        diagnostics: tuple[Diagnostic, ...],
        events: EventBackend,
    ) -> None:
        """Publish what is so now, if it is other than before.

        ``models`` returns the selected ones; they are other ones where ``listed`` is another object. ``unsettled`` are
        paths of files that still change; ``diagnostics`` are those of the manifest.
        """
        seen = (unsettled, conditions, diagnostics, events)
        is_other = listed is not self._listed or seen != self._seen
        if not is_other and not self._pending:
            return
        self._listed, self._seen = listed, seen
        pending, self._pending = self._pending, {}
        now = self._wall()
        told = tuple(self._told(conditions, now))
        if self._models and (is_other or self._models.has_learned):
            # At the start every file has to settle: that says nothing of any.
            changing = unsettled if self._reconciled else frozenset()
            pending["models"] = self._models.put_together(models(), changing, told, now)
        health: Health = "degraded" if any(one.level == "error" for one in told) else "ok"
        self._publish(
            health=health if self._reconciled or health == "degraded" else "starting",
            events=events,
            conditions=told,
            diagnostics=_diagnostics(diagnostics, self._diagnostics),
            **pending,
        )

    def _told(self, conditions: Iterable[Condition], now: float) -> Iterable[ConditionStatus]:
        """Return the conditions with when each began."""
        since = {}
        for one in conditions:
            key = one.kind, one.subject
            was = self._since.get(key)
            since[key] = (one, was[1] if was and was[0].code == one.code else now)
        self._since = since
        for one, began in since.values():
            message = f"{one.message}; {one.then}" if one.then else one.message
            yield ConditionStatus(one.kind, one.subject, one.level, one.code, message, one.hint, began)

    def _enter(self, result: ReconcileResult, message: str, outcomes: Sequence[Outcome]) -> None:
        """Put a reconcile into the history and the totals."""
        at, began = self._began
        seconds = self._monotonic() - began
        self._reconciles[result] += 1
        self._durations[_BOUNDS[bisect_left(_BOUNDS, seconds)]] += 1
        self._seconds += seconds
        self._reconciled += 1
        told = sorted(outcomes, key=lambda outcome: outcome.ok)[:_MOST_CHANGES]
        records = tuple(change_record(outcome) for outcome in told)
        self._history.appendleft(Reconcile(at, seconds, result, message, records, len(outcomes) - len(records)))

    def _publish(self, **changed: object) -> None:
        totals = Totals(
            dict(self._reconciles),
            {bound: self._durations[bound] for bound in _BOUNDS},
            self._seconds,
            dict(self._changes),
            self._uploaded,
            self._retries,
            self._drift,
        )
        self._status = status = replace(
            self._status,
            **{"history": tuple(self._history), **changed},  # type: ignore[arg-type]  # each caller names its fields
            at=self._wall(),
            revision=self._status.revision + 1,
            totals=totals,
        )
        for call in self._subscribers:
            call(status)


def change_record(outcome: Outcome) -> ChangeRecord:
    """Return what became of a change, as a status and a report show it."""
    change, after = outcome.change, outcome.change.after
    return ChangeRecord(
        name=change.name,
        action=change.action,
        reasons=change.reasons,
        status=outcome.status,
        code=outcome.code,
        message=outcome.message,
        sha256=after.sha256 if after else None,
        size=after.size if after else None,
        uploaded=outcome.uploaded,
    )


def _result(outcomes: Sequence[Outcome]) -> ReconcileResult:
    if not outcomes:
        return "unchanged"
    return "changed" if all(outcome.ok for outcome in outcomes) else "incomplete"


def _diagnostics(of_manifest: Sequence[Diagnostic], of_plan: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return both without what is only to be known, each once, errors first."""
    told = dict.fromkeys(one for one in (*of_manifest, *of_plan) if one.severity != "info")
    return tuple(sorted(told, key=lambda one: one.severity != "error"))
