"""Reporting what a reconcile came to: the log, the conditions, the command for changes, the service manager."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from mmsync.apply.outcome import Outcome
from mmsync.plan import Plan
from mmsync.printable import printable
from mmsync.status import Status
from mmsync.types import Diagnostic, ServerName
from mmsync.watch.conditions import Condition, Conditions, of_diagnostics, of_error, of_guards, of_ledger, of_orphans
from mmsync.watch.status_board import change_record

if TYPE_CHECKING:
    from mmsync.watch.config import Dependencies
    from mmsync.watch.reconciler import Reconciled


_OF_RECONCILE = ("disk", "internal", "server", "token")
_PAST = {"add": "added", "change": "changed", "delete": "deleted"}


class Reporter:
    """Tells each thing once: to the log, the service manager and the command for changes."""

    def __init__(self, dependencies: Dependencies, conditions: Conditions, status: Callable[[], Status]) -> None:
        self._dependencies = dependencies
        self._log = dependencies.log
        self._conditions = conditions
        self._status = status  # publishes and returns the status of now
        self._reported = "ok"  # the health in the last report
        self._server: ServerName | None = None

    def failed(self, error: Exception) -> None:
        """Tell that a reconcile could not be made."""
        condition = of_error(error)
        self._set_of_reconcile(condition)
        self._dependencies.board.failed(condition.message)
        if condition.kind == "internal" and self._conditions.has_changed:
            self._log("notice", "where the internal error showed", trace=traceback.format_exc(limit=-8))
        self._publish(None, ())

    def reconciled(self, result: Reconciled, diagnostics: Iterable[Diagnostic]) -> None:
        """Tell what a reconcile came to."""
        plan, outcomes, filtered = result.plan, result.outcomes, result.filtered
        was_away = self._server is None or any(self._conditions.get(kind) for kind in _OF_RECONCILE)
        refused = next((outcome for outcome in outcomes if outcome.code == "token"), None)
        again = "the server accepts the token again"
        failed = of_error(result.audit_error) if result.audit_error else None
        self._set_of_reconcile(Condition("token", "", refused.message, "token", again) if refused else failed)
        self._conditions.set("ledger", of_ledger(result.warnings))
        if self._server != plan.server:
            self._server = plan.server
            domain = f", domain {plan.server.domain}" if plan.server.domain else ""
            self._log("server_reached", f"the server is {plan.server.url}{domain}", url=plan.server.url)
        self._conditions.set("plan", of_guards(filtered.refusals, filtered.undeleted))
        self._conditions.set("orphans", of_orphans(plan))
        for condition in filtered.repaired:
            self._log("drift_found", condition.sentence, level="warning", model=condition.subject)
        self._conditions.update("drift", filtered.drift)
        waiting = {printable(name) for name in result.waiting}
        kept = [one for one in self._conditions.present if one.kind == "model" and one.subject in waiting]
        self._conditions.update("model", {one.subject: one for one in (*kept, *result.conditions)}.values())
        self._conditions.update("notice", of_diagnostics((*diagnostics, *plan.diagnostics), filtered.refusals))
        for outcome in outcomes:
            if outcome.ok:
                self._log_done(outcome)
        if result.undo:
            undo = printable(str(result.undo), 4096)
            self._log("backup_kept", f"what was replaced or deleted is kept; undo: mmsync apply -f {undo}", undo=undo)
        sentence, figures = _summary(result)
        self._dependencies.board.reconciled(result, sentence, refused=refused is not None)
        if outcomes or was_away:
            self._log("reconciled", sentence, level="info", **figures)
        self._publish(plan, outcomes)

    def report_change(self) -> None:
        """Tell what changed outside a reconcile: a manifest, a folder."""
        if self._conditions.has_changed:
            self._publish(None, ())

    def _set_of_reconcile(self, condition: Condition | None) -> None:
        """Make this the only condition of reconciling as a whole."""
        for kind in _OF_RECONCILE:
            self._conditions.set(kind, condition if condition and kind == condition.kind else None)

    def _publish(self, plan: Plan | None, outcomes: tuple[Outcome, ...]) -> None:
        health = self._conditions.state
        status = self._status()
        self._dependencies.service.status(_status(health, self._conditions.present))
        changed = self._conditions.take_change()
        if self._dependencies.on_change is not None and (changed or any(outcome.ok for outcome in outcomes)):
            self._dependencies.on_change(self._report(status, plan, outcomes, health))
            self._reported = health

    def _report(self, status: Status, plan: Plan | None, outcomes: Iterable[Outcome], health: str) -> dict[str, Any]:
        """Return the report as JSON values; sizes in bytes. It holds no secrets and no times.

        ``plan`` is None where none could be made; ``health`` is ``ok`` or ``degraded``.
        """
        return {
            "format_version": "1",
            "event": "reconciled" if plan else "failed",
            "health": health,
            "previous_health": self._reported,
            "manifests": [printable(path, 4096) for path in status.manifests],
            "server": {"url": plan.server.url, "domain": plan.server.domain} if plan else None,
            "summary": plan.summary._asdict() if plan else None,
            "changes": [{**change_record(one)._asdict(), "reasons": list(one.change.reasons)} for one in outcomes],
            "problems": [
                {field: getattr(one, field) for field in ("kind", "subject", "code", "level")}
                | {"message": f"{one.message} ({one.hint})" if one.hint else one.message}
                for one in status.conditions
            ],
        }

    def _log_done(self, outcome: Outcome) -> None:
        change = outcome.change
        name = printable(change.name)
        done = _PAST[change.action]
        reasons = f" ({', '.join(change.reasons)})" if change.reasons else ""
        after = change.after
        self._log(
            f"model_{done}",
            f"{name} {done}{reasons}" + (f": {outcome.message}" if outcome.message else ""),
            model=name,
            reasons=list(change.reasons) or None,
            sha256=after.sha256 if after else None,
            size=after.size if after else None,
            uploaded=outcome.uploaded,
            seconds=round(outcome.seconds, 3),
        )


def _status(health: str, conditions: Sequence[Condition]) -> str:
    """Return the line for the service manager; what is only to be known does not count."""
    count = sum(condition.level != "info" for condition in conditions)
    if not count:
        return health
    counted = f"{count} problem{'' if count == 1 else 's'}"
    return counted if health == "ok" else f"{health}, {counted}"


def _summary(result: Reconciled) -> tuple[str, dict[str, object]]:
    """Return what a reconcile did, as a sentence and in figures."""
    plan, outcomes, undeleted, stuck = result.plan, result.outcomes, result.filtered.undeleted, result.filtered.stuck
    done = Counter(_PAST[outcome.change.action] for outcome in outcomes if outcome.ok)
    failed = sum(not outcome.ok for outcome in outcomes)
    parts = [f"{done[word]} {word}" for word in _PAST.values() if done[word]]
    parts += [f"{failed} not done"] if failed else []
    parts += [f"{len(undeleted)} not deleted, which a guard forbids"] if undeleted else []
    waiting = f", {stuck} waiting for another file or entry" if stuck else ""
    figures: dict[str, object] = {
        **{word: done[word] for word in _PAST.values()},
        "failed": failed,
        "unchanged": len(plan.unchanged),
        "waiting": stuck or None,
        "unmanaged": plan.unmanaged,
        "orphans": len(plan.orphans),
        "uploaded": sum(outcome.uploaded for outcome in outcomes),
    }
    return f"{', '.join(parts) or 'nothing to change'}; {len(plan.unchanged)} unchanged{waiting}", figures


Level = Literal["info", "warning", "error"]

EVENTS = {
    "watch_started": "the watcher runs",
    "watch_stopping": "a signal asked it to end; what is in flight finishes",
    "watch_stopped": "it has ended",
    "watch_listening": "where models are looked for, and how changes become known",
    "listening": "the status is shown at an address",
    "server_reached": "the server that is kept in step",
    "reconcile_asked": "SIGHUP: everything is looked at and tried anew",
    "request_log": "a request, retry or wait; only where -v or MMSYNC_LOG asks for it",
    "model_unlisted": "a model's file is gone, so nothing lists it any more",
    "model_listed": "a file was found that makes a model",
    "reconciled": "the server was changed, or looked at anew after trouble",
    "model_added": "a model was added",
    "model_changed": "a model was changed",
    "model_deleted": "a model was deleted",
    "backup_kept": "what was replaced or deleted is in the backup, with the manifest that puts it back",
    "model_failed": "a model could not be applied, or its file cannot be used",
    "model_recovered": "nothing is wrong any more with a model that had failed: it was done, or nothing lists it",
    "drift_found": "the server was changed outside mmsync",
    "orphans_found": "models on the server inside scope that nothing lists, and that are not deleted",
    "orphans_gone": "there are none any more",
    "drift_gone": "drift was repaired, or went away",
    "manifest_failed": "the manifest has errors; the last good one stays in force",
    "manifest_recovered": "the manifest is good again",
    "manifest_loaded": "a new manifest is in force",
    "server_failed": "the server cannot be reached or refuses us",
    "server_recovered": "the server answers again",
    "token_failed": "the token is refused or cannot be read",
    "token_recovered": "the token is accepted again",
    "plan_refused": "a guard forbids deleting; all else goes on",
    "plan_allowed": "no guard forbids deleting any more",
    "disk_failed": "a disk on this machine is full or fails",
    "disk_recovered": "the disk works again",
    "ledger_failed": "the local cache cannot be used or kept; rounds take longer",
    "ledger_recovered": "the local cache can be used again",
    "root_failed": "a folder of models vanished, is empty or cannot be listed",
    "root_recovered": "the folder is there again",
    "root_replaced": "a folder of models returned or is another one: what it lacks is not deleted for now",
    "root_trusted": "it has stayed: what it lacks counts as removed again",
    "events_failed": "file events are not (all) available; files are looked at on a timer",
    "events_recovered": "file events are complete again",
    "notice": "something to know",
    "notice_gone": "it no longer applies",
    "command_failed": "the --on-change command failed",
    "internal_failed": "an internal error of mmsync; the watcher carries on",
    "internal_recovered": "the internal error did not come again",
}
"""Every event name, with what it means. Names are never renamed; new ones may come."""


class Log:
    """Writes records, one line each: text, or JSON objects.

    ``write`` takes a line with its line end. What it raises as OSError is dropped: a full disk under the log must not
    end the watch. ``now`` returns seconds since the epoch.
    """

    def __init__(self, write: Callable[[str], object], now: Callable[[], float], *, as_json: bool = False) -> None:
        self._write = write
        self._now = now
        self._as_json = as_json

    def __call__(self, event: str, message: str, *, level: Level = "info", **fields: object) -> None:
        """Write one record. ``fields`` are figures and names; None is left out.

        ``message`` is one sentence, the same for the same situation: no durations, no counts of attempts.
        """
        if event not in EVENTS:
            raise ValueError(f"not an event: {event}")
        moment = datetime.fromtimestamp(self._now(), UTC)
        kept = {key: value for key, value in fields.items() if value is not None}
        if self._as_json:
            record = {"time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
            record |= {"level": level, "event": event, "message": printable(message, 2000)}
            # ASCII: a name that is not UTF-8 comes out as its escapes, and no terminal is at risk.
            line = json.dumps(record | kept, default=str)
        else:
            mark = {"info": "", "warning": "warning: ", "error": "error: "}[level]
            code = f" [{printable(str(kept['code']))}]" if "code" in kept else ""
            line = f"{moment:%Y-%m-%d %H:%M:%SZ} {event}: {mark}{printable(message, 2000)}{code}"
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
            self._write(line + "\n")
