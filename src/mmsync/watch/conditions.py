"""Conditions: what is not as it should be, from when it begins until it ends (Kubernetes' word).

A condition is the same as long as what it is about is the same: it is logged when it begins, changes and ends.
"""

from __future__ import annotations

import errno
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.client.error import ModelManagerError, TokenError, TransportError
from mmsync.errors import AuditError, LockTimeout, MmsyncError, SettingsError, TokenSettingsError
from mmsync.plan import Change, Plan
from mmsync.printable import few, printable
from mmsync.types import Desired, Diagnostic

if TYPE_CHECKING:
    from mmsync.watch.reporting import Level, Log


# By the kind of a condition: the event that begins it, and the one that ends it.
KINDS = {
    "manifest": ("manifest_failed", "manifest_recovered"),
    "server": ("server_failed", "server_recovered"),
    "token": ("token_failed", "token_recovered"),
    "plan": ("plan_refused", "plan_allowed"),
    "disk": ("disk_failed", "disk_recovered"),
    "ledger": ("ledger_failed", "ledger_recovered"),
    "root": ("root_failed", "root_recovered"),
    "trust": ("root_replaced", "root_trusted"),
    "events": ("events_failed", "events_recovered"),
    "model": ("model_failed", "model_recovered"),
    "orphans": ("orphans_found", "orphans_gone"),
    "drift": ("drift_found", "drift_gone"),
    "notice": ("notice", "notice_gone"),
    "internal": ("internal_failed", "internal_recovered"),
}


class Condition(NamedTuple):
    """Something that is not as it should be."""

    kind: str  # a key of KINDS
    subject: str  # what it is about: a model, a folder; empty where there is only one
    message: str  # one sentence for a person; the same as long as the situation is
    code: str = ""  # a stable word for programs
    recovered: str = "it is as it should be again"  # what to say when it is over
    level: Level = "error"  # ``error`` unless the watcher does all it should in spite of it
    hint: str = ""  # what to do about it, where the message does not say
    then: str = ""  # what mmsync does about it, where the message does not say

    @property
    def sentence(self) -> str:
        """All of it for a log: the message, the hint, what mmsync does."""
        hint, then = f" ({self.hint})" if self.hint else "", f"; {self.then}" if self.then else ""
        return f"{self.message}{hint}{then}"


class Conditions:
    """The conditions of now; what begins, changes or ends is logged."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._present: dict[tuple[str, str], Condition] = {}
        self.has_changed = False  # since ``take_change`` was called last

    @property
    def present(self) -> tuple[Condition, ...]:
        """All of them, by kind and subject."""
        return tuple(self._present[key] for key in sorted(self._present))

    @property
    def state(self) -> str:
        """``ok``, or ``degraded`` where something is wrong that stops at least one model."""
        return "degraded" if any(condition.level == "error" for condition in self._present.values()) else "ok"

    def take_change(self) -> bool:
        """Return whether anything changed since this was asked last."""
        changed, self.has_changed = self.has_changed, False
        return changed

    def update(self, kind: str, conditions: Iterable[Condition]) -> None:
        """Replace all conditions of one kind; log those that began, changed or ended."""
        now = {condition.subject: condition for condition in conditions}
        before = {subject: condition for (its, subject), condition in self._present.items() if its == kind}
        for subject in sorted(now.keys() | before.keys()):
            was, current = before.get(subject), now.get(subject)
            if current == was:
                continue
            self.has_changed = True
            begins, ends = KINDS[kind]
            if current is not None:
                self._present[kind, subject] = current
                fields = {"code": current.code or None, **_subject(current)}
                self._log(begins, current.sentence, level=current.level, **fields)
            elif was is not None:
                del self._present[kind, subject]
                self._log(ends, was.recovered, level="info", **_subject(was))

    def set(self, kind: str, condition: Condition | None) -> None:
        """Replace the one condition of a kind, or end it."""
        self.update(kind, [condition] if condition else [])

    def get(self, kind: str) -> Condition | None:
        """Return the one condition of a kind, None where there is none now."""
        return self._present.get((kind, ""))


def _subject(condition: Condition) -> dict[str, str]:
    word = {"model": "model", "drift": "model", "root": "folder", "trust": "folder"}.get(condition.kind, "subject")
    return {word: condition.subject} if condition.subject else {}


_WAITS = "it waits until its file or its entry changes"
_RECOVERED = {
    "token": "the server accepts the token again",
    "server": "the server answers again",
    "disk": "the disk works again",
}
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def of_error(error: Exception) -> Condition:
    """Return the condition of a reconcile that could not be made at all; it will be tried again."""
    message, hint = (_message(error), error.hint) if isinstance(error, MmsyncError) else (type(error).__name__, "")
    match error:
        case TokenError():
            kind, code = "token", "token"
        case TransportError():
            # The wording of a network error varies from attempt to attempt; that it is one does not.
            kind, code = "server", "server-too-slow" if error.timed_out else "network"
        case ModelManagerError():
            kind, code = "server", "server"
        case TokenSettingsError():
            kind, code = "token", "settings"
        case SettingsError():
            kind, code = "server", "settings"
        case AuditError():
            kind, code = "disk", "audit"
        case LockTimeout():
            kind, code = "server", "lock"
        case MmsyncError():
            kind, code = "internal", "error"
        case OSError():
            kind = "disk" if error.errno in _DISK else "server"
            code, message = errno.errorcode.get(error.errno or 0, "os"), error.strerror or message
        case _:
            said = f"internal error of mmsync: {message}: {printable(str(error), 300)}"
            return Condition("internal", "", said, message)
    again = _RECOVERED.get(kind, "it did not come again")
    return Condition(kind, "", message, code, again, hint=hint, then="it is tried again until it works")


def of_unknown_roots(unknown: Mapping[str, str]) -> Iterator[Condition]:
    """Return a condition for each root of which nothing is known."""
    for folder, why in unknown.items():
        message = f"{printable(folder)}: {why}; nothing of it is changed or deleted until it returns"
        yield Condition("root", folder, message, "unknown", f"{printable(folder)} is there again")


def of_replaced_roots(replaced: Mapping[str, str]) -> Iterator[Condition]:
    """Return a warning for each root that is not the folder it was, and not trusted as that yet."""
    for folder, why in replaced.items():
        message = f"{printable(folder)}: {why}; what it holds is taken, what it lacks is not deleted for now"
        yield Condition("trust", folder, message, "replaced", f"{printable(folder)} is trusted again", "warning")


def of_plan(plan: Plan, *, waiting: Container[str]) -> Iterator[Condition]:
    """Return what the plan says against single models, those that only wait aside."""
    told: set[str] = set()
    for diagnostic in plan.diagnostics:
        model = diagnostic.model
        if not model or diagnostic.severity == "info" or model in told or model in waiting:
            continue
        told.add(model)  # the first is the gravest: they are ordered
        name = printable(model)
        is_incomplete = diagnostic.code == "file/incomplete"
        message = f"incomplete, waiting: {diagnostic.summary}" if is_incomplete else _located(diagnostic)
        then = _WAITS if diagnostic.code == "file/misfit" else ""
        severity = "warning" if is_incomplete else diagnostic.severity
        hint = "" if is_incomplete else diagnostic.detail
        yield Condition(
            "model", name, message, diagnostic.code, f"{name}: nothing is wrong any more", severity, hint, then
        )


def of_diagnostics(diagnostics: Iterable[Diagnostic], besides: Container[Diagnostic]) -> Iterator[Condition]:
    """Return what is to be told of files and rows that are no model's, ``besides`` aside; an empty folder is fine."""
    for diagnostic in diagnostics:
        code, severity, sentence = diagnostic.code, diagnostic.severity, _located(diagnostic)
        is_of_model = diagnostic.model and not code.startswith("manifest/")
        is_fine = severity == "info" or code in ("manifest/discover-empty", "manifest/duplicate-name")
        if not is_fine and not is_of_model and diagnostic not in besides:
            gone = f"no longer: {diagnostic.summary}"
            yield Condition("notice", sentence, sentence, code, gone, severity, diagnostic.detail)


def of_ledger(warnings: Sequence[str]) -> Condition | None:
    """Return what the ledger had to say in a reconcile; it costs time only."""
    if not warnings:
        return None
    return Condition("ledger", "", "; ".join(warnings), "ledger", "the ledger can be used again", "warning")


def of_guards(guards: Sequence[Diagnostic], names: Sequence[str]) -> Condition | None:
    """Return why the models of these names are not deleted, or None where no guard forbids it."""
    if not guards:
        return None
    why = "; ".join(str(refusal) for refusal in guards)
    message = f"nothing is deleted, {few(names)} would be: {why}"
    return Condition("plan", "", message, guards[0].code, "no guard forbids deleting any more")


def of_orphans(plan: Plan) -> Condition | None:
    """Return which models on the server nothing lists, to be known only; None where there are none."""
    names = plan.kept_orphans
    if not names or plan.prune:
        return None
    them = "it is" if len(names) == 1 else "they are"
    message = f"inside scope and listed by nothing: {few(names)}; without --prune {them} left alone"
    return Condition("orphans", "", message, "orphans", "everything inside scope is listed", "info")


def of_outcomes(outcomes: Iterable[Outcome]) -> Iterator[Condition]:
    """Return a condition for each change that was not done, those that a signal ended aside."""
    for outcome in outcomes:
        # A refused token is a condition of the token, an audit record that cannot be written one of the disk; a file
        # that changed meanwhile is none: it is waited for.
        if outcome.ok or outcome.code in ("interrupted", "token", "file-changed", "audit"):
            continue
        name = printable(outcome.change.name)
        message, then = f"{name}: {outcome.message or outcome.code}", _WAITS if outcome.permanent else ""
        yield Condition("model", name, message, outcome.code, f"{name}: nothing is wrong any more", then=then)


def of_unsettled(models: Iterable[Desired], waiting: Container[str], overdue: Container[str]) -> Iterator[Condition]:
    """Return a warning for each model whose file has not settled for long."""
    for desired in models:
        if desired.name in waiting and desired.path in overdue:
            name = printable(desired.name)
            message = f"{name}: {printable(desired.file)} keeps changing; it is taken once it rests"
            yield Condition("model", name, message, "restless", f"{name}: nothing is wrong any more", "warning")


def of_drift(change: Change, *, repair: bool) -> Condition:
    """Return what was changed outside mmsync."""
    name = printable(change.name)
    match change.action:
        case "add":
            what = "was deleted on the server, outside mmsync"
        case "delete":
            what = "was added on the server, outside mmsync and inside the scope"
        case _:
            what = f"was changed on the server, outside mmsync ({', '.join(change.reasons)})"
    then = "it is set right" if repair else "it is left alone (--on-drift report)"
    return Condition("drift", name, f"{name} {what}; {then}", "drift", f"{name} is in step again", "warning")


def _located(diagnostic: Diagnostic) -> str:
    return str(replace(diagnostic, detail=""))


def _message(error: MmsyncError) -> str:
    text = str(error)
    for place in getattr(error, "__notes__", ()):
        text = text if place in text else f"{place}: {text}"
    return text
