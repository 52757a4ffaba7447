"""From what a pass met to problems: what the reader has to know of it, the same as long as it is the same."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from mmsync.client.error import ModelManagerError, TokenError, TransportError
from mmsync.errors import LockTimeout, MmsyncError, SettingsError
from mmsync.printable import few, printable

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from mmsync.apply.outcome import Outcome
    from mmsync.plan import Change, Plan
    from mmsync.types import Desired, Diagnostic
    from mmsync.watch.reporting import Level, Log

__all__ = [
    "Health",
    "Kind",
    "Problem",
    "of_drift",
    "of_ledger",
    "of_notes",
    "of_orphans",
    "of_outcomes",
    "of_pass",
    "of_plan",
    "of_refusals",
    "of_restless",
    "of_roots",
    "of_strangers",
]


class Kind(NamedTuple):
    """A sort of problem: the event that begins it, and the one that ends it."""

    begins: str
    ends: str


KINDS = {
    "manifest": Kind("manifest_failed", "manifest_recovered"),
    "server": Kind("server_failed", "server_recovered"),
    "token": Kind("token_failed", "token_recovered"),
    "plan": Kind("plan_refused", "plan_allowed"),
    "disk": Kind("disk_failed", "disk_recovered"),
    "ledger": Kind("ledger_failed", "ledger_recovered"),
    "root": Kind("root_failed", "root_recovered"),
    "trust": Kind("root_replaced", "root_trusted"),
    "events": Kind("events_failed", "events_recovered"),
    "model": Kind("model_failed", "model_recovered"),
    "orphans": Kind("orphans_found", "orphans_gone"),
    "drift": Kind("drift_found", "drift_gone"),
    "notice": Kind("notice", "notice_gone"),
    "internal": Kind("internal_failed", "internal_recovered"),
}


class Problem(NamedTuple):
    """Something that is not as it should be.

    Attributes:
        kind: A key of KINDS.
        subject: What it is about: a model, a folder; empty where there is only one.
        message: One sentence for a person, with the way on; the same as long as the situation is.
        code: A stable word for programs.
        recovered: What to say when it is over.
        level: ``error`` unless the watcher does all it should in spite of it.
    """

    kind: str
    subject: str
    message: str
    code: str = ""
    recovered: str = "it is as it should be again"
    level: Level = "error"


class Health:
    """The problems of now, and the telling of what changed."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._problems: dict[tuple[str, str], Problem] = {}
        self._changed = False

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems, by kind and subject."""
        return tuple(self._problems[key] for key in sorted(self._problems))

    @property
    def state(self) -> str:
        """``ok``, or ``degraded`` where something is wrong that stops at least one model."""
        return "degraded" if any(problem.level == "error" for problem in self._problems.values()) else "ok"

    @property
    def changing(self) -> bool:
        """Whether anything changed since ``take_change`` was called last."""
        return self._changed

    def take_change(self) -> bool:
        """Whether anything changed since this was asked last."""
        changed, self._changed = self._changed, False
        return changed

    def update(self, kind: str, problems: Iterable[Problem]) -> None:
        """Replace all problems of one kind; log those that began, changed or ended."""
        now = {problem.subject: problem for problem in problems}
        before = {subject: problem for (its, subject), problem in self._problems.items() if its == kind}
        for subject in sorted(now.keys() | before.keys()):
            was, current = before.get(subject), now.get(subject)
            if current == was:
                continue
            self._changed = True
            if current is not None:
                self._problems[kind, subject] = current
                self._tell(current)
            elif was is not None:
                del self._problems[kind, subject]
                self._log.record(KINDS[kind].ends, was.recovered, "info", _subject(was))

    def set(self, kind: str, problem: Problem | None) -> None:
        """Replace the one problem of a kind, or end it."""
        self.update(kind, [problem] if problem else [])

    def has(self, kind: str, subject: str = "") -> Problem | None:
        """Return a present problem, or None."""
        return self._problems.get((kind, subject))

    def _tell(self, problem: Problem) -> None:
        fields = {"code": problem.code or None, **_subject(problem)}
        self._log.record(KINDS[problem.kind].begins, problem.message, problem.level, fields)


def _subject(problem: Problem) -> dict[str, str]:
    word = {"model": "model", "drift": "model", "root": "folder", "trust": "folder"}.get(problem.kind, "subject")
    return {word: problem.subject} if problem.subject else {}


_RECOVERED = {
    "token": "the server accepts the token again",
    "server": "the server answers again",
    "disk": "the disk works again",
}
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def of_pass(error: Exception) -> Problem:
    """Return the problem of a pass that could not be made at all; it will be tried again."""
    match error:
        case TokenError():
            kind, code, message = "token", "token", _sentence(error)
        case TransportError():
            # The wording of a network error varies from attempt to attempt; that it is one does not.
            kind, code, message = "server", "server-too-slow" if error.timed_out else "network", _sentence(error)
        case ModelManagerError():
            kind, code, message = "server", "server", _sentence(error)
        case SettingsError():
            kind, code, message = "token" if "token" in str(error) else "server", "settings", _sentence(error)
        case LockTimeout():
            kind, code, message = "server", "lock", _sentence(error)
        case MmsyncError():
            kind, code, message = "internal", "error", _sentence(error)
        case OSError():
            kind = "disk" if error.errno in _DISK else "server"
            code, message = errno.errorcode.get(error.errno or 0, "os"), error.strerror or type(error).__name__
        case _:
            text = printable(str(error), 300)
            return Problem("internal", "", f"a defect of mmsync: {type(error).__name__}: {text}", type(error).__name__)
    message += "; it is tried again until it works"
    return Problem(kind, "", message, code, _RECOVERED.get(kind, "it did not come again"))


def of_roots(unknown: Mapping[str, str]) -> Iterator[Problem]:
    """Return a problem for each root of which nothing is known."""
    for folder, why in unknown.items():
        message = f"{printable(folder)}: {why}; nothing of it is changed or deleted until it returns"
        yield Problem("root", folder, message, "unknown", f"{printable(folder)} is there again")


def of_strangers(replaced: Mapping[str, str]) -> Iterator[Problem]:
    """Return a warning for each root that is not the folder it was, and not trusted as that yet."""
    for folder, why in replaced.items():
        message = f"{printable(folder)}: {why}; what it holds is taken, what it lacks is not deleted for now"
        yield Problem("trust", folder, message, "replaced", f"{printable(folder)} is trusted again", "warning")


def of_plan(plan: Plan, *, waiting: Container[str]) -> Iterator[Problem]:
    """Return what the plan says against single models, those that only wait aside."""
    told: set[str] = set()
    for note in plan.diagnostics:
        if not note.model or note.severity == "info" or note.model in told or note.model in waiting:
            continue
        told.add(note.model)  # the first is the gravest: they are ordered
        name = printable(note.model)
        is_incomplete = note.code == "file/incomplete"
        message = f"incomplete, waiting: {note.summary}" if is_incomplete else str(note)
        if note.code == "file/misfit":
            message += "; it waits until its file or its entry changes"
        severity = "warning" if is_incomplete else note.severity
        yield Problem("model", name, message, note.code, f"{name} is as it should be", severity)


def of_notes(notes: Iterable[Diagnostic], besides: Container[Diagnostic]) -> Iterator[Problem]:
    """Return what is to be told of files and rows that are no model's, refusals aside; an empty drop folder is fine."""
    for note in notes:
        if note.severity == "info" or (note.model and not note.code.startswith("manifest/")) or note in besides:
            continue
        if note.code not in ("manifest/discover-empty", "manifest/duplicate-name"):
            yield Problem("notice", str(note), str(note), note.code, f"no longer: {note.summary}", note.severity)


def of_ledger(warnings: Sequence[str]) -> Problem | None:
    """Return what the ledger had to say in a round; it costs time only."""
    if not warnings:
        return None
    return Problem("ledger", "", "; ".join(warnings), "ledger", "the ledger can be used again", "warning")


def of_refusals(refusals: Sequence[Diagnostic], names: Sequence[str]) -> Problem | None:
    """Return why the models of these names are not deleted, or None where no guard forbids it."""
    if not refusals:
        return None
    why = "; ".join(str(refusal) for refusal in refusals)
    message = f"nothing is deleted, {few(names)} would be: {why}"
    return Problem("plan", "", message, refusals[0].code, "no guard forbids deleting any more")


def of_orphans(plan: Plan) -> Problem | None:
    """Return which models on the server nothing lists, to be known only; None where there are none."""
    going = {change.name for change in plan.changes if change.action == "delete"}
    names = [name for name in plan.orphans if name not in going]
    if not names or plan.prune:
        return None
    them = "it is" if len(names) == 1 else "they are"
    message = f"inside scope and listed by nothing: {few(names)}; without --prune {them} left alone"
    return Problem("orphans", "", message, "orphans", "everything inside scope is listed", "info")


def of_outcomes(outcomes: Iterable[Outcome]) -> Iterator[Problem]:
    """Return a problem for each change that was not done, those that a signal ended aside."""
    for outcome in outcomes:
        # A refused token is a problem of the token, a file that changed meanwhile is none: it is waited for.
        if outcome.ok or outcome.code in ("interrupted", "token", "file-changed"):
            continue
        name = printable(outcome.change.name)
        message = f"{name}: {outcome.message or outcome.code}"
        if outcome.permanent:
            message += "; it waits until its file or its entry changes"
        yield Problem("model", name, message, outcome.code, f"{name} is as it should be")


def of_restless(models: Iterable[Desired], waiting: Container[str], overdue: Container[str]) -> Iterator[Problem]:
    """Return a warning for each model whose file has not come to rest for long."""
    for desired in models:
        if desired.name in waiting and desired.path in overdue:
            name = printable(desired.name)
            message = f"{name}: {printable(desired.file)} keeps changing; it is taken once it rests"
            yield Problem("model", name, message, "restless", f"{name} is as it should be", "warning")


def of_drift(change: Change, *, repair: bool) -> Problem:
    """Return what other hands changed."""
    name = printable(change.name)
    match change.action:
        case "add":
            what = "was deleted on the server by other hands"
        case "delete":
            what = "was added on the server by other hands, inside the scope"
        case _:
            what = f"was changed on the server by other hands ({', '.join(change.reasons)})"
    then = "it is set right" if repair else "it is left alone (--on-drift report)"
    return Problem("drift", name, f"{name} {what}; {then}", "drift", f"{name} is in step again", "warning")


def _sentence(error: MmsyncError) -> str:
    text = str(error)
    for place in getattr(error, "__notes__", ()):
        text = text if place in text else f"{place}: {text}"
    return f"{text} ({error.hint})" if error.hint else text
