"""One reconcile: the settled files' contents, the plan, what of it may be done now, and what became of that.

Observing, planning and applying are those of ``mmsync.reconcile``; what the watcher adds is patience.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from mmsync.apply.outcome import Event, Outcome
from mmsync.connection import Connection
from mmsync.errors import AuditError, FileError
from mmsync.files.allowed_paths import AllowedPaths
from mmsync.files.digest import DigestCache, ToldOnly, digest_file, read_contents
from mmsync.manifest import Manifest, ServerSettings
from mmsync.plan import Plan
from mmsync.printable import printable
from mmsync.reconcile import apply_plan, make_plan
from mmsync.types import Content, Desired, FileKey, ServerName, file_key
from mmsync.watch.change_filter import ChangeFilter, FilteredChanges
from mmsync.watch.conditions import Condition, of_outcomes, of_plan, of_unsettled
from mmsync.watch.config import Dependencies, WatchOptions
from mmsync.watch.control import Interrupted
from mmsync.watch.current_manifest import CurrentManifest
from mmsync.watch.retry import Retries
from mmsync.watch.settle import Settler, state_of


class SettledContents(NamedTuple):
    """The contents of the settled files."""

    contents: dict[str, Content | FileError]  # by model name; a FileError says why there is none
    waiting: frozenset[str]  # names of models whose file has not settled: nothing is wrong with them
    has_changed: bool  # whether a file was no longer what the last scan had found settled


class ForcedRead:
    """The forced read: a file that is touched for ever has settled in its bytes if two readings agree."""

    def __init__(self, settle: float, every: float) -> None:
        self._settle = settle  # seconds that must lie between the two readings
        self._every = every  # seconds between two attempts on one file
        # By path, the digest to compare the next reading with, empty for none, and when it was read.
        self._first: dict[str, tuple[str, float]] = {}

    def content(self, path: str, found: os.stat_result | None, now: float) -> Content | None:
        """Return the content of an overdue file, ``found`` at its path, once two readings at their time agreed."""
        if now < self._due_at(path):
            return None
        before, _ = self._first.get(path, ("", 0.0))
        try:
            content = digest_file(path, same_as=found)
        except FileError:
            self._first[path] = ("", now)
            return None
        is_same = content.sha256 == before
        self._first[path] = (content.sha256 if is_same or not before else "", now)
        return content if is_same else None

    def _due_at(self, path: str) -> float:
        before, at = self._first.get(path, ("", float("-inf")))
        return at + (self._settle if before else self._every)

    def next_due(self, overdue: Iterable[str]) -> float | None:
        """Return when the first overdue file is to be read, ``-inf`` for at once; None where there is none."""
        return min(map(self._due_at, overdue), default=None)

    def keep(self, overdue: Collection[str]) -> None:
        """Forget the files that are no longer overdue."""
        self._first = {path: first for path, first in self._first.items() if path in overdue}


def read_settled(
    models: Iterable[Desired],
    settler: Settler,
    forced: ForcedRead,
    cache: DigestCache,
    admitted: Callable[[str], tuple[str, ...]],
    *,
    now: float,
    now_ns: int,
    on_progress: Callable[[str, int, int], None],
) -> SettledContents:
    """Read what the settled files hold, ``forced`` those that never settle; digests known by their key count as read.

    ``admitted`` returns the folders the files of a manifest may lie in, links resolved now. ``now`` is in monotonic
    seconds, ``now_ns`` since the epoch for the cache's racy rule. ``on_progress`` is called with a model's name, the
    bytes read and the bytes in all.
    """
    contents: dict[str, Content | FileError] = {}
    waiting: set[str] = set()
    ready: list[Desired] = []
    stats: dict[str, os.stat_result] = {}
    allowed: dict[str, AllowedPaths] = {}
    has_changed = False
    overdue = settler.overdue(now)
    forced.keep(overdue)
    for desired in models:
        manifest = desired.source.file
        if manifest not in allowed:
            allowed[manifest] = AllowedPaths(admitted(manifest), stats)
        settled = settler.settled_state(desired.path)
        refusal = allowed[manifest].check(desired.path)
        if settled is None:
            content = None
            if desired.path in overdue and not refusal:
                content = forced.content(desired.path, stats.get(desired.path), now)
            if content is None:
                waiting.add(desired.name)
            contents[desired.name] = content or FileError(desired.path, "it is still being written")
        elif refusal and state_of(desired.path) == settled:
            contents[desired.name] = FileError(desired.path, refusal.summary, refusal.detail)
        elif refusal or not isinstance(settled, FileKey) or file_key(stats[desired.path]) != settled:
            # It changed since the last scan: the next one finds that out and waits for it.
            waiting.add(desired.name)
            has_changed = True
            contents[desired.name] = FileError(desired.path, "it has just changed")
        else:
            ready.append(desired)
    read = read_contents(ready, stats, cache, now_ns=now_ns, on_progress=on_progress)
    for desired in ready:
        found = contents[desired.name] = read[desired.name]
        key = found.key if isinstance(found, Content) else state_of(desired.path)
        if key != settler.settled_state(desired.path):
            waiting.add(desired.name)
            has_changed = True
            contents[desired.name] = FileError(desired.path, "it changed while it was read")
    return SettledContents(contents, frozenset(waiting), has_changed)


@dataclass(frozen=True, slots=True)
class Server:
    """The server, opened for each reconcile."""

    # Opens the client and the ledger for the ``server`` part of a manifest; reads the token anew. The second argument
    # is told what the ledger has to say.
    connect: Callable[[ServerSettings, Callable[[str], None]], AbstractContextManager[Connection]]
    # holds the machine's lock for a server while changes are carried out
    lock: Callable[[ServerName], AbstractContextManager[None]]


class Reconciled(NamedTuple):
    """The result of a reconcile."""

    plan: Plan  # the plan, with only the changes that were attempted
    outcomes: tuple[Outcome, ...]  # what became of them
    filtered: FilteredChanges  # what was to be carried out, what not, and why
    conditions: tuple[Condition, ...]  # what is wrong with single models
    # names of models nothing new is known of: their file has not settled, their next attempt is not due
    waiting: frozenset[str]
    has_changed: bool  # whether a file was no longer what the last scan had found settled
    warnings: tuple[str, ...]  # what the ledger had to say
    audit_error: AuditError | None = None  # why the audit record is not whole
    undo: Path | None = None  # the manifest that undoes it, where something was replaced or deleted and backed up


class Reconciler:
    """Reconciles, and remembers in between what failed and what was in step."""

    def __init__(self, options: WatchOptions, dependencies: Dependencies) -> None:
        self._options = options.options
        self._dependencies = dependencies
        self._clock = dependencies.clock
        self.forced = ForcedRead(options.settle, options.force)
        guards = options.options.guards
        self.change_filter = ChangeFilter(guards, options.on_drift, options.interval, options.backoff)
        self.unread = Retries(options.backoff)  # when to come back to files and contents that could not be read

    def run(
        self,
        manifest: Manifest,
        settler: Settler,
        current: CurrentManifest,
        *,
        unknown_roots: Collection[str],
        may_delete: bool,
        on_event: Callable[[Event], None],
    ) -> Reconciled:
        """Observe, plan, and apply what is to be done now.

        Files missing from ``unknown_roots`` mean nothing. ``may_delete`` says whether orphans may be deleted at all,
        ``--prune`` and its guards provided. ``on_event`` is told what happens while changes are carried out, from this
        thread. Raises `Interrupted` where the end was asked for before anything was written, `MmsyncError` or OSError
        where no plan could be made; nothing was written then.
        """
        control = self._dependencies.control

        def planning(*_: object) -> None:
            if control.is_set():
                raise Interrupted
            self._dependencies.service.ping()

        now = self._clock()
        selected = self.selected(manifest)
        options = replace(self._options, prune=self._options.prune and may_delete)
        warnings: list[str] = []
        with self._dependencies.server.connect(manifest.server, warnings.append) as connection:
            with control.interruptible():
                read = read_settled(
                    selected,
                    settler,
                    self.forced,
                    ToldOnly(connection.ledger) if self._options.verify == "always" else connection.ledger,
                    current.admitted,
                    now=now,
                    now_ns=self._dependencies.wall(),
                    on_progress=planning,
                )
                clashes = {name: clash for name, clash in current.clashes.items() if name in read.contents}
                contents = {**read.contents, **clashes}
                plan = make_plan(manifest, connection, options, contents=contents, on_event=planning)
            # What is protected is remembered whether or not anything is to be changed.
            connection.ledger.learn_protected(plan.server, plan.manifests, plan.protected, plan.unprotected)
            filtered = self.change_filter.select(plan, now, listed=len(manifest.models))
            plan = replace(plan, changes=filtered.changes, refusals=())  # what a guard forbids is not among them
            outcomes: tuple[Outcome, ...] = ()
            audit = self._dependencies.audit
            make_backup = self._dependencies.backup
            backup = make_backup(manifest.server) if make_backup else None
            if plan.changes and not control.is_set():
                self._dependencies.board.applying(len(plan.changes))
                with self._dependencies.server.lock(connection.server):
                    outcomes = apply_plan(
                        plan,
                        connection,
                        jobs=self._options.jobs,
                        stop=control,
                        on_event=on_event,
                        audit=audit,
                        backup=backup,
                    )
        self.change_filter.remember(plan, outcomes, self._clock(), names=(desired.name for desired in selected))
        unread = (desired for desired in selected if isinstance(read.contents[desired.name], FileError))
        waiting = read.waiting | {desired.name for desired in unread if _is_under(desired.path, unknown_roots)}
        self._ask_again(plan, read.contents, waiting | current.clashes.keys())
        return Reconciled(
            plan=plan,
            outcomes=outcomes,
            filtered=filtered,
            conditions=(
                *of_plan(plan, waiting={printable(name) for name in waiting} | waiting),
                *of_outcomes(outcomes),
                *of_unsettled(selected, read.waiting, settler.overdue(now)),
            ),
            waiting=waiting | filtered.waiting,
            has_changed=read.has_changed,
            warnings=tuple(warnings),
            audit_error=audit.error if audit and outcomes else None,
            undo=backup.undo if backup else None,
        )

    def selected(self, manifest: Manifest) -> list[Desired]:
        """Return the selected models of a manifest."""
        selection = self._options.selection.among({desired.name for desired in manifest.models})
        return [desired for desired in manifest.models if desired.name in selection]

    def hurry(self) -> None:
        """Let everything that waits for time alone be tried at once."""
        self.change_filter.retries.hurry()
        self.unread.hurry()

    def next_due(self) -> float | None:
        """Return when something that failed is to be tried again."""
        times = (self.change_filter.retries.next_due(), self.unread.next_due())
        return min((due for due in times if due is not None), default=None)

    def _ask_again(self, plan: Plan, contents: Mapping[str, Content | FileError], waiting: Collection[str]) -> None:
        """Come back to files that could not be read and contents that could not be found out."""
        now = self._clock()
        broken = {name for name, content in contents.items() if isinstance(content, FileError) and name not in waiting}
        again = broken | (set(plan.unknown) if self._options.verify != "never" else set())
        self.unread.keep(again)
        for name in again:
            if self.unread.may_try(name, None, now):
                self.unread.failed(name, None, now)


def _is_under(path: str, folders: Collection[str]) -> bool:
    here = not path.startswith("/")
    return any(path.startswith(f"{folder.rstrip('/')}/") or (here and folder in ("", ".")) for folder in folders)
