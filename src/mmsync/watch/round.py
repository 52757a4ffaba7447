"""One reconcile: the settled files' contents, the plan, what of it may be done now, and what became of that.

Observing, planning and applying are those of ``mmsync.reconcile``; what the watcher adds is patience: a change that
failed waits its time, one that cannot succeed waits for another wish, and drift may be reported instead of repaired.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from mmsync.errors import FileFault
from mmsync.plan.guards import refusals
from mmsync.printable import printable
from mmsync.reconcile import Options, apply_plan, make_plan
from mmsync.states import Source
from mmsync.watch import trouble
from mmsync.watch.contents import Forced, read_settled
from mmsync.watch.schedule import Retries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager

    from mmsync.apply.engine import Stop
    from mmsync.apply.outcome import Event, Outcome
    from mmsync.connection import Connection
    from mmsync.manifest import Manifest, ServerSettings
    from mmsync.plan import Change, Plan
    from mmsync.states import Content, Desired, Diagnostic, ServerName
    from mmsync.watch.health import Problem
    from mmsync.watch.schedule import Backoff
    from mmsync.watch.settle import Settling

__all__ = ["Interrupted", "OnDrift", "Result", "Rounds", "Server"]

OnDrift = Literal["fix", "report"]


class Interrupted(Exception):
    """The plan is not made to its end: a signal asked to stop, and nothing was written yet."""


@dataclass(frozen=True, slots=True)
class Server:
    """The way to the server, opened for each round.

    Attributes:
        connect: Opens the client and the ledger for the ``server`` part of a manifest; reads the token anew.
        turn: Holds the machine's lock for a server while changes are carried out.
    """

    connect: Callable[[ServerSettings], AbstractContextManager[Connection]]
    turn: Callable[[ServerName], AbstractContextManager[None]]


class Result(NamedTuple):
    """What a round came to.

    Attributes:
        plan: The plan, with only the changes that were attempted.
        outcomes: What became of them.
        problems: What is wrong with single models.
        drift: What other hands changed, in ``report`` mode: left alone until somebody decides.
        repaired: What other hands changed and this round set out to set right.
        held: Names of models nothing new is known of: their file is not at rest, their next attempt is not due.
        has_moved: Whether a file was no longer what the last look had found at rest.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    problems: tuple[Problem, ...]
    drift: tuple[Problem, ...]
    repaired: tuple[Problem, ...]
    held: frozenset[str]
    has_moved: bool


class Rounds:
    """Makes rounds, and remembers between them what failed and what was in step.

    Args:
        server: The way to the server.
        options: How to plan.
        on_drift: Whether what other hands changed is set right, or reported and left.
        settle: Seconds, for the forced look.
        force: Seconds between two forced looks at one file.
        memory: Seconds for which deletes count together towards the guards.
        backoff: The pauses after failures.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        server: Server,
        options: Options,
        *,
        on_drift: OnDrift,
        settle: float,
        force: float,
        memory: float,
        backoff: Backoff,
        clock: Callable[[], float],
    ) -> None:
        self._server = server
        self._options = options
        self._on_drift = on_drift
        self._clock = clock
        self.forced = Forced(settle, force)
        self.retries: Retries[str] = Retries(backoff)
        self.questions: Retries[str] = Retries(backoff)
        self._in_step: dict[str, int] = {}
        self._ever_ours: set[str] = set()
        self._memory = memory
        self._deleted_at: list[float] = []
        self._first = True

    def run(
        self,
        manifest: Manifest,
        settling: Settling,
        admitted: Callable[[str], tuple[str, ...]],
        *,
        unknown_roots: Collection[str],
        may_delete: bool,
        stop: Stop,
        on_progress: Callable[[], None],
        on_event: Callable[[Event], None],
    ) -> Result:
        """Make one round.

        Args:
            manifest: The manifest in force.
            settling: Which files are at rest.
            admitted: The folders the files of a manifest may lie in.
            unknown_roots: Folders whose missing files mean nothing.
            may_delete: Whether orphans may be deleted at all, ``--prune`` and its guards provided.
            stop: Whether to stop.
            on_progress: Called now and then while the plan is made, from any thread.
            on_event: Told what happens while changes are carried out, from this thread.

        Raises:
            Interrupted: ``stop`` was set before anything was written.
            MmsyncError, OSError: No plan could be made; nothing was written.
        """

        def planning(*_: object) -> None:
            if stop.is_set():
                raise Interrupted
            on_progress()

        now = self._clock()
        selected = self.selected(manifest)
        with self._server.connect(manifest.server) as connection:
            read = read_settled(
                selected,
                settling,
                self.forced,
                connection.ledger,
                admitted,
                now=now,
                now_ns=time.time_ns(),
                on_progress=planning,
            )
            options = replace(self._options, prune=self._options.prune and may_delete)
            plan = make_plan(manifest, connection, options, contents=read.contents, on_event=planning)
            plan = replace(plan, refusals=plan.refusals or self._too_many(plan, now))
            choice = self._choose(plan, now)
            plan = replace(plan, changes=choice.changes)
            outcomes: tuple[Outcome, ...] = ()
            if plan.changes and not stop.is_set():
                with self._server.turn(connection.server):
                    outcomes = apply_plan(plan, connection, jobs=self._options.jobs, stop=stop, on_event=on_event)
        self._remember(plan, outcomes)
        unreachable = {
            wanted.name
            for wanted in selected
            if isinstance(read.contents[wanted.name], FileFault) and _is_under(wanted.path, unknown_roots)
        }
        waiting = read.waiting | unreachable
        self._ask_again(plan, read.contents, waiting)
        problems = (
            *trouble.of_plan(plan, waiting={printable(name) for name in waiting} | waiting),
            *trouble.of_outcomes(outcomes),
            *trouble.of_restless(selected, read.waiting, settling.overdue(now)),
        )
        return Result(plan, outcomes, problems, choice.drift, choice.repaired, waiting | choice.held, read.has_moved)

    def selected(self, manifest: Manifest) -> list[Desired]:
        """Return the models of a manifest that rounds look at."""
        return [wanted for wanted in manifest.models if wanted.name in self._options.selection]

    def hurry(self) -> None:
        """Let everything that waits for time alone be tried at once."""
        self.retries.hurry()
        self.questions.hurry()

    def next_due(self) -> float | None:
        """When something that failed is to be tried again."""
        times = [due for due in (self.retries.next_due(), self.questions.next_due()) if due is not None]
        return min(times, default=None)

    def _choose(self, plan: Plan, now: float) -> _Choice:
        """Pick the changes to carry out now. A plan a guard forbids is carried out in no part, as in CI."""
        changes: list[Change] = []
        drift: list[Problem] = []
        repaired: list[Problem] = []
        held: set[str] = set()
        refused = bool(plan.refusals)
        for change in plan.changes:
            if refused:
                held.add(change.name)
            elif self._is_drift(change) and self._on_drift == "report":
                drift.append(trouble.of_drift(change, repair=False))
            elif not self.retries.may_try(change.name, _wish(change), now):
                held.add(change.name)
            else:
                changes.append(change)
                if self._is_drift(change):
                    repaired.append(trouble.of_drift(change, repair=True))
        return _Choice(tuple(changes), tuple(drift), tuple(repaired), frozenset(held))

    def _too_many(self, plan: Plan, now: float) -> tuple[Diagnostic, ...]:
        """Apply the guards to the deletes of the last while together: many small rounds must not do what one may not."""
        deletes = sum(change.action == "delete" for change in plan.changes)
        self._deleted_at = [at for at in self._deleted_at if now - at < self._memory]
        if not deletes or not self._deleted_at:
            return ()
        there = len(plan.unchanged) + sum(change.action != "add" for change in plan.changes)
        before = len(self._deleted_at)
        found = refusals(self._options.guards, deletes=deletes + before, owned=there + before, listed=1)
        return tuple(
            replace(one, summary=f"{one.summary} ({before} were deleted in the last {self._memory:g} s)")
            for one in found
        )

    def _is_drift(self, change: Change) -> bool:
        """Whether the server, not the wish, is what changed since they were in step.

        What differs when the watch begins cannot be told apart and counts as wished for.
        """
        if change.action == "delete":
            return not self._first and change.name not in self._ever_ours
        return self._in_step.get(change.name) == _content_wish(change)

    def _remember(self, plan: Plan, outcomes: Iterable[Outcome]) -> None:
        now = self._clock()
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
        if self._first:
            self._ever_ours.update(plan.orphans)
        self._first = False

    def _ask_again(self, plan: Plan, contents: Mapping[str, Content | FileFault], waiting: Collection[str]) -> None:
        """Come back to files that could not be read and contents that could not be found out."""
        now = self._clock()
        unread = {name for name, content in contents.items() if isinstance(content, FileFault) and name not in waiting}
        open_questions = unread | set(plan.unknown)
        self.questions.keep(open_questions)
        for name in open_questions:
            if self.questions.may_try(name, None, now):
                self.questions.failed(name, None, now)


class _Choice(NamedTuple):
    changes: tuple[Change, ...]
    drift: tuple[Problem, ...]
    repaired: tuple[Problem, ...]
    held: frozenset[str]


def _wish(change: Change) -> object:
    """What a failure belongs to: the entry without its place in the manifest, and the very file."""
    if change.desired is None:
        return change.before
    return change.desired._replace(source=_NOWHERE), change.content.key if change.content else None


def _content_wish(change: Change) -> int:
    """What being in step means, as a hash: ten thousand are kept."""
    after = change.after
    return hash((after.engine, after.description, after.sha256) if after else None)


def _is_under(path: str, folders: Collection[str]) -> bool:
    return any(path.startswith(f"{folder.rstrip('/')}/") or folder in ("", ".") for folder in folders)


_NOWHERE = Source("", 0)
