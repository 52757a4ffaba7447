"""The status as a value: the models and their states, what is wrong, what was done. Pure: it holds no clock.

Times are seconds since the epoch, sizes bytes, durations seconds. Texts are as they came (a model's name, a server's
error): whoever shows them makes them safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from mmsync.plan.model import Action
from mmsync.types import Diagnostic, ServerName

ModelState = Literal["failed", "blocked", "drifted", "settling", "pending", "synced", "unmanaged"]
"""The state of one model.

``synced``: the server holds what is listed. ``pending``: a change is due, or nothing was found out yet. ``settling``:
its file is still being written. ``failed``: the last attempt failed, another follows. ``blocked``: it waits until its
file or its entry is another. ``drifted``: the server was changed outside mmsync, and is left so (``--on-drift report``).
``unmanaged``: on the server, and listed by nothing.
"""

STATE_ORDER: tuple[ModelState, ...] = get_args(ModelState)
"""Every state, what needs a person first."""

Health = Literal["starting", "ok", "degraded"]
"""``starting`` until the first reconcile; ``degraded`` where something is wrong that stops at least one model."""

ReconcileResult = Literal["changed", "unchanged", "incomplete", "failed"]
"""What a reconcile came to.

``changed``: all that was to be done was done. ``unchanged``: nothing was. ``incomplete``: at least one change was not
done. ``failed``: no plan could be made, or the server refused the token.
"""


class ModelStatus(NamedTuple):
    """One model."""

    name: str
    engine: str | None  # None where only the server knows the model and does not say
    state: ModelState
    sha256: str | None  # of the content that the server is known to hold, 64 lower-case hex digits
    size: int | None  # of that content
    since: float  # when the state began, as far as this process knows
    synced_at: float | None  # when the server was last found or made to hold what is listed; None for never so far
    code: str = ""  # of the condition, where there is one: a stable word for programs
    message: str = ""  # the condition in one sentence, empty where nothing is wrong
    hint: str = ""  # what to do about it, or empty


class ConditionStatus(NamedTuple):
    """A condition of the whole or of one model: something not as it should be, until it ends."""

    kind: str  # a key of ``watch.conditions.KINDS``
    subject: str  # what it is about: a model, a folder; empty where there is only one
    level: Literal["info", "warning", "error"]  # ``error`` where it stops at least one model
    code: str  # a stable word for programs
    message: str  # one sentence
    hint: str  # what to do about it, or empty
    since: float  # when it began


class ChangeRecord(NamedTuple):
    """One change that was tried in a reconcile."""

    name: str
    action: Action
    reasons: tuple[str, ...]  # why: engine, content, description; empty for an add or a delete
    status: str  # what became of it, see ``apply.outcome.Status``
    code: str  # why it was not done, a stable word; empty where it was
    message: str  # what there is to say of it, or empty
    sha256: str | None  # of the content that was to be there, None for a delete
    size: int | None  # of that content
    uploaded: int  # bytes of the model that were sent


class Reconcile(NamedTuple):
    """One reconcile: when it was made, what it came to and what it did."""

    at: float  # when it began
    seconds: float  # how long it took
    result: ReconcileResult
    message: str  # what it did, or why it failed, in one sentence
    changes: tuple[ChangeRecord, ...] = ()  # the first hundred, those not done before the others
    more: int = 0  # how many changes there were beyond those


class Activity(NamedTuple):
    """The reconcile under way."""

    since: float  # when it began
    done: int  # how many changes have their outcome
    total: int  # how many it makes; 0 while that is being found out


@dataclass(frozen=True, slots=True)
class EventBackend:
    """The way in which changes of files become known."""

    name: Literal["events", "polling"] = "events"  # ``polling`` where at least one folder sends no events
    rebuilds: int = 0  # how often the listener was set up anew after it failed


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts since the watcher started; none ever falls."""

    reconciles: Mapping[ReconcileResult, int] = field(default_factory=dict)  # by result
    seconds: Mapping[float, int] = field(default_factory=dict)  # reconciles by the smallest bound they kept to, inf too
    seconds_sum: float = 0.0  # of all reconciles together
    changes: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by action and whether "done" or "not-done"
    uploaded: int = 0  # bytes
    retries: int = 0  # attempts, of a reconcile or of one change, that had to be made again
    drift: int = 0  # models found changed on the server outside mmsync


@dataclass(frozen=True, slots=True)
class Status:
    """All that the watcher knows at one moment."""

    version: str  # of mmsync
    started_at: float
    at: float  # when this value was made
    revision: int  # greater by one for each value that differs from the last
    health: Health
    manifests: tuple[str, ...] = ()  # as they were given on the command line
    server: ServerName | None = None  # None until it is known
    events: EventBackend = EventBackend()
    interval: float = 300.0  # seconds between two full reconciles
    models: tuple[ModelStatus, ...] = ()  # those selected, and what only the server has; by name
    conditions: tuple[ConditionStatus, ...] = ()  # of all kinds, by kind and subject
    diagnostics: tuple[Diagnostic, ...] = ()  # of the manifests and of the last plan, errors first
    history: tuple[Reconcile, ...] = ()  # the last hundred reconciles, the latest first
    activity: Activity | None = None  # None while nothing is under way
    last_success_at: float | None = None  # when a reconcile last ended with all that was to be done done
    is_ready: bool = False  # whether the last reconcile reached the server
    totals: Totals = Totals()
