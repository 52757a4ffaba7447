"""What is wrong at present, told once when it begins, once when it changes and once when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmsync.watch.log import Level, Log

__all__ = ["Health", "Kind", "Problem"]


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
