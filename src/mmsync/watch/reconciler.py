"""One reconcile: the settled files' contents, the plan, what of it may be done now, and what became of that.

Observing, planning and applying are those of ``mmsync.reconcile``; what the watcher adds is patience.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mmsync.errors import FileError
from mmsync.files import ToldOnly, digest_file, file_key, read_contents
from mmsync.files.allowed_paths import AllowedPaths
from mmsync.printable import printable
from mmsync.reconcile import Options, apply_plan, make_plan
from mmsync.types import Content, FileKey
from mmsync.watch import conditions
from mmsync.watch.control import Interrupted
from mmsync.watch.retry import Choices, Retries
from mmsync.watch.settle import state_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager

    from mmsync.apply.outcome import Event, Outcome
    from mmsync.connection import Connection
    from mmsync.files import DigestCache
    from mmsync.manifest import Manifest, ServerSettings
    from mmsync.plan import Plan
    from mmsync.types import Desired, Diagnostic, ServerName
    from mmsync.watch.conditions import Problem
    from mmsync.watch.control import Orders
    from mmsync.watch.retry import Backoff, OnDrift
    from mmsync.watch.settle import Settling

__all__ = ["Forced", "Read", "Result", "Rounds", "Server", "read_settled"]


class Read(NamedTuple):
    """What the files of a pass hold.

    Attributes:
        contents: By model name; a FileError says why there is none.
        waiting: Names of models whose file is not at rest: nothing is wrong with them.
        has_moved: Whether a file was no longer what the last look had found at rest.
    """

    contents: dict[str, Content | FileError]
    waiting: frozenset[str]
    has_moved: bool


class Forced:
    """The forced look: a file that is touched for ever is at rest in its bytes if two readings agree.

    Args:
        settle: Seconds that must lie between the two readings.
        every: Seconds between two attempts on one file.
    """

    def __init__(self, settle: float, every: float) -> None:
        self._settle = settle
        self._every = every
        self._first: dict[str, tuple[str, float]] = {}

    def content(self, path: str, found: os.stat_result | None, now: float) -> Content | None:
        """Read an overdue file, ``found`` at its path, if it is time to; return its content once two readings agreed."""
        sha256, at = self._first.get(path, ("", float("-inf")))
        if now - at < (self._settle if sha256 else self._every):
            return None
        try:
            content = digest_file(path, same_as=found)
        except FileError:
            self._first[path] = ("", now)
            return None
        if content.sha256 == sha256:
            self._first[path] = (sha256, now)
            return content
        self._first[path] = (content.sha256, now) if not sha256 else ("", now)
        return None

    def next_look(self, overdue: Iterable[str]) -> float | None:
        """Return when the first overdue file is to be read, ``-inf`` for at once; None where there is none."""
        times = []
        for path in overdue:
            sha256, at = self._first.get(path, ("", float("-inf")))
            times.append(at + (self._settle if sha256 else self._every))
        return min(times, default=None)

    def keep(self, overdue: Iterable[str]) -> None:
        """Forget the files that are no longer overdue."""
        desired = set(overdue)
        self._first = {path: first for path, first in self._first.items() if path in desired}


def read_settled(
    models: Iterable[Desired],
    settling: Settling,
    forced: Forced,
    cache: DigestCache,
    admitted: Callable[[str], tuple[str, ...]],
    *,
    now: float,
    now_ns: int,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Read:
    """Read what the settled files hold; digests known by their key are not read again.

    Args:
        models: The models to read.
        settling: Which files are at rest, and as what.
        forced: Looks at those that never are.
        cache: Digests known by key.
        admitted: The folders the files of a manifest may lie in, links resolved now.
        now: Monotonic seconds.
        now_ns: The time in ns since the epoch, for the cache's racy rule.
        on_progress: Called with a model's name, the bytes read and the bytes in all.
    """
    contents: dict[str, Content | FileError] = {}
    waiting: set[str] = set()
    ready: list[Desired] = []
    stats: dict[str, os.stat_result] = {}
    allowed: dict[str, AllowedPaths] = {}
    has_moved = False
    overdue = settling.overdue(now)
    forced.keep(overdue)
    for desired in models:
        manifest = desired.source.file
        if manifest not in allowed:
            allowed[manifest] = AllowedPaths(admitted(manifest), stats)
        rest = settling.at_rest(desired.path)
        refusal = allowed[manifest].check(desired.path)
        if rest is None:
            content = forced.content(desired.path, stats.get(desired.path), now) if desired.path in overdue else None
            if content is None or refusal:
                waiting.add(desired.name)
                content = None
            contents[desired.name] = content or FileError(desired.path, "it is still being written")
        elif refusal and state_of(desired.path) == rest:
            contents[desired.name] = FileError(desired.path, refusal.summary, refusal.detail)
        elif refusal or not isinstance(rest, FileKey) or file_key(stats[desired.path]) != rest:
            # It changed since the last look: the next one finds that out and waits for it.
            waiting.add(desired.name)
            has_moved = True
            contents[desired.name] = FileError(desired.path, "it has just changed")
        else:
            ready.append(desired)
    read = read_contents(ready, stats, cache, now_ns=now_ns, on_progress=on_progress)
    for desired in ready:
        content_or_fault = read[desired.name]
        key = content_or_fault.key if isinstance(content_or_fault, Content) else state_of(desired.path)
        if key != settling.at_rest(desired.path):
            waiting.add(desired.name)
            has_moved = True
            content_or_fault = FileError(desired.path, "it changed while it was read")
        contents[desired.name] = content_or_fault
    return Read(contents, frozenset(waiting), has_moved)


@dataclass(frozen=True, slots=True)
class Server:
    """The way to the server, opened for each round.

    Attributes:
        connect: Opens the client and the ledger for the ``server`` part of a manifest; reads the token anew. The
            second argument is told what the ledger has to say.
        turn: Holds the machine's lock for a server while changes are carried out.
    """

    connect: Callable[[ServerSettings, Callable[[str], None]], AbstractContextManager[Connection]]
    turn: Callable[[ServerName], AbstractContextManager[None]]


class Result(NamedTuple):
    """What a round came to.

    Attributes:
        plan: The plan, with only the changes that were attempted.
        outcomes: What became of them.
        refusals: The guards that forbid deleting.
        undeleted: Names of the models that are not deleted for it.
        problems: What is wrong with single models.
        drift: What other hands changed, in ``report`` mode: left alone until somebody decides.
        repaired: What other hands changed and this round set out to set right.
        held: Names of models nothing new is known of: their file is not at rest, their next attempt is not due.
        stuck: How many changes failed for good before, and wait until their file or entry is another.
        has_moved: Whether a file was no longer what the last look had found at rest.
        warnings: What the ledger had to say.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    refusals: tuple[Diagnostic, ...]
    undeleted: tuple[str, ...]
    problems: tuple[Problem, ...]
    drift: tuple[Problem, ...]
    repaired: tuple[Problem, ...]
    held: frozenset[str]
    stuck: int
    has_moved: bool
    warnings: tuple[str, ...]


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
        wall: Nanoseconds since the epoch, as files are stamped.

    Attributes:
        forced: The forced looks.
        choices: What is remembered of changes.
        questions: When to come back to files and contents that could not be read.
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
        wall: Callable[[], int],
    ) -> None:
        self._server = server
        self._options = options
        self._clock = clock
        self._wall = wall
        self.forced = Forced(settle, force)
        self.choices = Choices(options.guards, on_drift, memory, backoff)
        self.questions: Retries[str] = Retries(backoff)

    def run(
        self,
        manifest: Manifest,
        settling: Settling,
        admitted: Callable[[str], tuple[str, ...]],
        *,
        clashes: Mapping[str, FileError],
        unknown_roots: Collection[str],
        may_delete: bool,
        orders: Orders,
        on_progress: Callable[[], None],
        on_event: Callable[[Event], None],
    ) -> Result:
        """Make one round.

        Args:
            manifest: The manifest in force.
            settling: Which files are at rest.
            admitted: The folders the files of a manifest may lie in.
            clashes: By name, why two files that claim it are both left alone.
            unknown_roots: Folders whose missing files mean nothing.
            may_delete: Whether orphans may be deleted at all, ``--prune`` and its guards provided.
            orders: Whether to stop.
            on_progress: Called now and then while the plan is made, from any thread.
            on_event: Told what happens while changes are carried out, from this thread.

        Raises:
            Interrupted: The end was asked for before anything was written.
            MmsyncError, OSError: No plan could be made; nothing was written.
        """

        def planning(*_: object) -> None:
            if orders.is_set():
                raise Interrupted
            on_progress()

        now = self._clock()
        selected = self.selected(manifest)
        options = replace(self._options, prune=self._options.prune and may_delete)
        warnings: list[str] = []
        with self._server.connect(manifest.server, warnings.append) as connection:
            with orders.interruptible():
                read = read_settled(
                    selected,
                    settling,
                    self.forced,
                    ToldOnly(connection.ledger) if self._options.verify == "always" else connection.ledger,
                    admitted,
                    now=now,
                    now_ns=self._wall(),
                    on_progress=planning,
                )
                contents = {**read.contents, **{name: clashes[name] for name in clashes if name in read.contents}}
                plan = make_plan(manifest, connection, options, contents=contents, on_event=planning)
            choice = self.choices.choose(plan, now, listed=len(manifest.models))
            plan = replace(plan, changes=choice.changes, refusals=())  # what a guard forbids is not among them
            outcomes: tuple[Outcome, ...] = ()
            if plan.changes and not orders.is_set():
                with self._server.turn(connection.server):
                    outcomes = apply_plan(plan, connection, jobs=self._options.jobs, stop=orders, on_event=on_event)
        self.choices.remember(plan, outcomes, self._clock(), names=(desired.name for desired in selected))
        unreachable = {
            desired.name
            for desired in selected
            if isinstance(read.contents[desired.name], FileError) and _is_under(desired.path, unknown_roots)
        }
        waiting = read.waiting | unreachable
        self._ask_again(plan, read.contents, waiting | clashes.keys())
        problems = (
            *conditions.of_plan(plan, waiting={printable(name) for name in waiting} | waiting),
            *conditions.of_outcomes(outcomes),
            *conditions.of_restless(selected, read.waiting, settling.overdue(now)),
        )
        return Result(
            plan,
            outcomes,
            choice.refusals,
            choice.undeleted,
            problems,
            choice.drift,
            choice.repaired,
            waiting | choice.held,
            choice.stuck,
            read.has_moved,
            tuple(warnings),
        )

    def selected(self, manifest: Manifest) -> list[Desired]:
        """Return the models of a manifest that rounds look at."""
        selection = self._options.selection.among({desired.name for desired in manifest.models})
        return [desired for desired in manifest.models if desired.name in selection]

    def hurry(self) -> None:
        """Let everything that waits for time alone be tried at once."""
        self.choices.retries.hurry()
        self.questions.hurry()

    def next_due(self) -> float | None:
        """When something that failed is to be tried again."""
        times = [due for due in (self.choices.retries.next_due(), self.questions.next_due()) if due is not None]
        return min(times, default=None)

    def _ask_again(self, plan: Plan, contents: Mapping[str, Content | FileError], waiting: Collection[str]) -> None:
        """Come back to files that could not be read and contents that could not be found out."""
        now = self._clock()
        unread = {name for name, content in contents.items() if isinstance(content, FileError) and name not in waiting}
        open_questions = unread | (set(plan.unknown) if self._options.verify != "never" else set())
        self.questions.keep(open_questions)
        for name in open_questions:
            if self.questions.may_try(name, None, now):
                self.questions.failed(name, None, now)


def _is_under(path: str, folders: Collection[str]) -> bool:
    here = not path.startswith("/")
    return any(path.startswith(f"{folder.rstrip('/')}/") or (here and folder in ("", ".")) for folder in folders)
