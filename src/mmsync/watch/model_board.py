"""The models' part of the status board: what the reconciles told of each, and what is so besides now.

Ten thousand models are kept: what did not change is the same object as before, and nothing is made anew for it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from mmsync.plan import Plan
from mmsync.plan.model import Unchanged
from mmsync.printable import printable
from mmsync.status import ConditionStatus, ModelState, ModelStatus
from mmsync.types import Content, Desired

if TYPE_CHECKING:
    from mmsync.watch.reconciler import Reconciled

# What became of a change through no fault of the model's.
_NOT_OF_THE_MODEL = ("interrupted", "token", "audit", "file-changed")

_ON_ITS_WAY = 600.0  # seconds for which a file that is cut off counts as being copied
_ABANDONED = "nobody goes on writing it: copy or export it again, or remove it"


class ModelBoard:
    """The states of the models. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self.has_learned = False  # since they were put together last
        self._known: dict[str, ModelStatus] = {}  # as the reconciles left them
        self._over: dict[str, ModelStatus] = {}  # those of which there is more to say now

    def learn(self, result: Reconciled, now: float) -> None:
        """Take in what a reconcile told of single models."""
        plan = result.plan
        for name, content in _unchanged(plan):
            self._in_sync(name, content.sha256, content.size, now)
        gone = set()
        for outcome in result.outcomes:
            change = outcome.change
            if not outcome.ok:
                failed: ModelState = "blocked" if outcome.permanent else "failed"
                self._set(change.name, "pending" if outcome.code in _NOT_OF_THE_MODEL else failed, now)
            elif change.after:
                self._in_sync(change.name, change.after.sha256, change.after.size, now)
            else:
                gone.add(change.name)
        for name in {*plan.blocked, *plan.unknown} - result.waiting:
            self._set(name, "blocked" if name in plan.blocked else "pending", now)
        drifted = {one.subject for one in result.filtered.drift}
        for name in [name for name in self._known if printable(name) in drifted] if drifted else ():
            self._set(name, "drifted", now)
        self._learn_unlisted(plan, gone, now)

    def put_together(
        self, models: Iterable[Desired], unsettled: Container[str], conditions: Iterable[ConditionStatus], now: float
    ) -> tuple[ModelStatus, ...]:
        """Return every model with its state now, by name.

        ``models`` are those listed and selected, ``unsettled`` the paths of files that still change.
        """
        self.has_learned = False
        wrong = {one.subject: one for one in conditions if one.kind in ("model", "drift")}
        known: dict[str, ModelStatus] = {}
        over: dict[str, ModelStatus] = {}
        for desired in models:
            name = desired.name
            one = self._known.get(name)
            if one is None or one.state == "unmanaged":
                one = ModelStatus(name, desired.engine, "pending", None, None, now, None)
            known[name] = one = one if one.engine == desired.engine else one._replace(engine=desired.engine)
            about = wrong.get(printable(name)) if wrong else None
            is_unsettled = desired.path in unsettled
            if about or is_unsettled:
                is_abandoned = _is_abandoned(about, now) and not is_unsettled
                state = "blocked" if is_abandoned else _state(one.state, about, is_unsettled=is_unsettled)
                was = self._over.get(name, one)
                over[name] = one._replace(
                    state=state,
                    since=was.since if was.state == state else now,
                    code=about.code if about else "",
                    message=about.message if about else "",
                    hint=_ABANDONED if is_abandoned else about.hint if about else "",
                )
        for name, one in self._known.items():
            if one.state == "unmanaged":
                known.setdefault(name, one)
        self._known, self._over = known, over
        return tuple(over.get(name) or known[name] for name in sorted(known))

    def _in_sync(self, name: str, sha256: str, size: int, now: float) -> None:
        was = self._known.get(name)
        if was is None or was.state != "synced" or was.sha256 != sha256:
            self._set(name, "synced", now)
            self._known[name] = self._known[name]._replace(sha256=sha256, size=size, synced_at=now)

    def _set(self, name: str, state: ModelState, now: float) -> None:
        was = self._known.get(name)
        if was is None or was.state != state:
            one = was or ModelStatus(name, None, state, None, None, now, None)
            self._known[name] = one._replace(state=state, since=now)
            self.has_learned = True

    def _learn_unlisted(self, plan: Plan, gone: Container[str], now: float) -> None:
        """Take in what is on the server and listed by nothing."""
        there = {row.name: row.engine for row in plan.unlisted if row.name not in gone}
        known = self._known
        for name in [name for name, one in known.items() if one.state == "unmanaged" and name not in there]:
            del known[name]
            self.has_learned = True
        for name, engine in there.items():
            self._set(name, "unmanaged", now)
            if known[name].engine != engine:
                known[name] = known[name]._replace(engine=engine)


def _unchanged(plan: Plan) -> Iterable[tuple[str, Content]]:
    if isinstance(plan.unchanged, Unchanged):
        return plan.unchanged.contents()
    return ((change.name, change.content) for change in plan.unchanged if change.content)


def _is_abandoned(condition: ConditionStatus | None, now: float) -> bool:
    """Return whether a file has been cut off for so long that somebody has to look."""
    return condition is not None and condition.code == "file/incomplete" and now - condition.since >= _ON_ITS_WAY


def _state(known: ModelState, condition: ConditionStatus | None, *, is_unsettled: bool) -> ModelState:
    """Return the state of a model now, from that after the last reconcile and its condition."""
    if is_unsettled or (condition and condition.code in ("file/incomplete", "restless")):
        return "settling"
    if condition and condition.level == "error" and known in ("synced", "pending"):
        return "failed"
    return known
