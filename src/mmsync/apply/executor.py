"""The executor of a plan: several changes at a time, stoppable, each failure its own.

It says when each change has its turn and tells what became of it. It sends nothing itself: ``change.py`` does, through
``client.add_model``, ``update_description`` and ``delete_model``.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from mmsync.apply.change import History, carry_out
from mmsync.apply.outcome import Attempt, Event, Finished, Outcome, Progress, Started, Verified
from mmsync.apply.reread import Rereader
from mmsync.apply.verify import read_back
from mmsync.client import Client, ModelDetail
from mmsync.errors import MmsyncError
from mmsync.ledger import Ledger, VerifiedContent
from mmsync.parallel import start
from mmsync.plan import Change, Plan
from mmsync.printable import printable

if TYPE_CHECKING:
    from mmsync.apply.backup import Backup

_TICK = 0.2  # seconds between looks at the stop signal while nothing happens
_FAREWELL = 2.0  # seconds for uploads broken off to come to their end
_PROGRESS_EVERY = 0.2  # seconds between two progress events of one model

# A server that so many changes on end could not connect to, for so many seconds, is gone: the others are not tried. One
# that is being restarted is back sooner.
_GONE_CHANGES = 8
_GONE_AFTER = 10.0


class Stop(Protocol):
    """Anything that can say whether to stop: ``threading.Event`` does."""

    def is_set(self) -> bool:
        """Return whether to start nothing new."""


class Aborted(BaseException):
    """An upload is broken off before its last bytes. No Exception: nothing on the way may swallow it."""


@dataclass(eq=False)
class Executor:
    """The workers of one apply and what they have done so far."""

    changes: tuple[Change, ...]
    client: Client
    jobs: int
    stop: Stop | None
    clock: Callable[[], float]
    history: History
    fail_fast: bool
    record: Callable[[Attempt], bool] | None = None
    excluded: Mapping[str, Attempt] = field(default_factory=dict)  # by name, changes that may not be begun, and why
    # whether the run was stopped and its grace passed while the server had yet to answer
    is_cut_short: bool = False
    _ended: bool = False
    _is_unrecorded: bool = False
    _halt: threading.Event = field(default_factory=threading.Event)
    _abort: threading.Event = field(default_factory=threading.Event)
    _events: queue.SimpleQueue[Event | None] = field(default_factory=queue.SimpleQueue)
    _attempts: dict[str, Attempt] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _unconnected: list[float] = field(default_factory=list)  # when changes on end failed to connect
    _is_gone: bool = False

    def __post_init__(self) -> None:
        # Deletes come last: what replaces an orphan is there before it goes.
        waiting = [change for change in self.changes if change.name not in self.excluded]
        self._waiting = deque(sorted(waiting, key=lambda change: (change.action == "delete", change.name)))
        self._attempts.update(self.excluded)
        if self.excluded and (self.fail_fast or any(each.outcome.code == "token" for each in self.excluded.values())):
            self._halt.set()
        self._sending = threading.Semaphore(self.jobs)
        self._rereader = Rereader(self.client, self.clock, len(self.changes), self._knows_signature)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """One for each change, in the plan's order."""
        return tuple(self._attempts.get(change.name) or self._unfinished(change) for change in self.changes)

    def events(self, grace: float) -> Iterator[Event]:
        """Start, and yield what happens until all is done or ``grace`` seconds and a little are over since a stop."""
        workers = [
            # Daemons: a worker stuck in a dead connection must not keep the process after its grace.
            threading.Thread(target=self._work, name=f"apply-{n}", daemon=True)
            for n in range(min(4 * self.jobs if self.jobs > 1 else 1, len(self.changes)))
        ]
        working = len(start(workers))
        if workers and not working:
            raise MmsyncError("this machine lets no thread start; nothing was written")
        last_call: float | None = None
        try:
            # A little after the uploads were broken off, nothing is waited for any more.
            while working and not (last_call and self.clock() > last_call + _FAREWELL):
                with contextlib.suppress(queue.Empty):
                    if (event := self._events.get(timeout=_TICK)) is None:
                        working -= 1
                    else:
                        yield event
                if last_call is None and self._stopping():
                    last_call = self.clock() + grace
                if last_call and self.clock() > last_call:
                    self._abort.set()
        finally:
            self._halt.set()
            self._ended = True
            if working:
                self._abort.set()
                self.is_cut_short = True

    def _knows_signature(self, change: Change) -> bool:
        """Return whether the signature of what was last verified under the name is known."""
        return any(each.displayed.is_known or each.declared.is_known for each in self.history(change)[0])

    def _stopping(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def _work(self) -> None:
        try:
            while self._next():
                pass
        finally:
            self._events.put(None)

    def _next(self) -> bool:
        """Carry out the next change; False where there is none, or none may begin."""
        if self._halt.is_set() or self._stopping():
            return False
        try:
            change = self._waiting.popleft()
        except IndexError:
            return False
        reread = self._rereader.prefetch(change)  # before it is this one's turn to send
        with contextlib.ExitStack() as turn:
            turn.enter_context(self._sending)
            if self._halt.is_set() or self._stopping():
                return False
            self._begun.add(change.name)
            self._events.put(Started(change))
            attempt = self._one(change, reread, turn.close)
        if not self._ended:
            self._attempts[change.name] = attempt
        outcome = attempt.outcome
        if outcome.code == "token" or (self.fail_fast and not outcome.ok) or self._has_lost_server(attempt):
            self._halt.set()
        if self.record is not None and not self.record(attempt):
            self._is_unrecorded = True
            self._halt.set()
        self._events.put(Finished(outcome))
        return True

    def _has_lost_server(self, attempt: Attempt) -> bool:
        """Note whether a change could connect; return whether the server is gone."""
        with self._lock:
            if not attempt.is_unconnected:
                self._unconnected.clear()
                return False
            times = self._unconnected
            times.append(self.clock())
            self._is_gone = self._is_gone or (len(times) >= _GONE_CHANGES and times[-1] - times[0] >= _GONE_AFTER)
            return self._is_gone

    def _one(self, change: Change, reread: Callable[[], ModelDetail | None], on_sent: Callable[[], None]) -> Attempt:
        """Carry out one change; ``on_sent`` is called, perhaps more than once, as soon as the file is on its way."""
        told = began = self.clock()

        def on_progress(done: int, total: int) -> None:
            nonlocal told
            if self._abort.is_set():
                raise Aborted
            now = self.clock()
            # Of what is sent at once, its end is all there is to tell.
            if now - told >= _PROGRESS_EVERY or (done == total and told > began):
                told = now
                self._events.put(Progress(change.name, "uploading", done, total))
            if done == total:
                on_sent()

        try:
            attempt = carry_out(change, self.client, reread, on_progress, self.history, self.clock)
        except Aborted:
            why = "the upload was broken off before its end; the server's model is as it was"
            attempt = Attempt(Outcome(change, "failed", "interrupted", why))
        except Exception as bug:  # noqa: BLE001 - one model's surprise must not take the others with it
            attempt = Attempt(Outcome(change, "failed", "internal", f"{type(bug).__name__}: {bug}"))
        return attempt._replace(outcome=replace(attempt.outcome, seconds=self.clock() - began))

    def _unfinished(self, change: Change) -> Attempt:
        if change.name in self._begun:
            why = "the run ended before the server answered; the next run finds out what it holds"
            return Attempt(Outcome(change, "failed", "interrupted", why))
        if self._is_unrecorded:
            return Attempt(Outcome(change, "not-attempted", "audit", "the audit record could not be written"))
        ends = [attempt.outcome for attempt in self._attempts.values() if not attempt.outcome.ok]
        if any(outcome.code == "token" for outcome in ends):
            return Attempt(Outcome(change, "not-attempted", "token", "the server refused the token"))
        if self._is_gone and not self._stopping():
            return Attempt(
                Outcome(change, "not-attempted", "network", "no connection to the server could be made any more")
            )
        if self.fail_fast and ends and not self._stopping():
            why = f"the run ends at the first failure (--fail-fast): {printable(ends[0].change.name, 80)}"
            return Attempt(Outcome(change, "not-attempted", "fail-fast", why))
        return Attempt(Outcome(change, "not-attempted", "interrupted", "the run was stopped first"))


def apply_changes(
    plan: Plan,
    client: Client,
    ledger: Ledger,
    *,
    jobs: int = 8,
    stop: Stop | None = None,
    fail_fast: bool = False,
    record: Callable[[Attempt], bool] | None = None,
    backup: Backup | None = None,
    grace: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Event]:
    """Carry out a plan's changes and yield what happens; the last event is ``Verified`` with every outcome.

    A failure stops no other change, unless for ten seconds no connection can be made at all. When ``stop`` is set, nothing new begins, changes in flight have ``grace``
    seconds to finish, then their uploads are broken off; what was not begun is ``not-attempted``. A refused
    token ends the run the same way, since every other change would be refused as well.

    The plan's refusals are the caller's to respect. The client's pool should hold four connections a job; the ledger
    learns what the server was seen to hold afterwards. ``jobs`` says how many files to send at a time: while the server
    looks at a file it has, or saves it, the next one is sent, and those after that are read on the server, so that up
    to four times as many changes are under way; with 1, one after another. ``stop`` is asked before each change, and a
    few times a second. With ``fail_fast`` the first failure ends the run. ``record`` is called with each attempt, from
    its worker and before that begins another; where it returns False, no other change begins. ``backup`` gets what is
    replaced or deleted before anything is; what it cannot take is left alone. ``clock`` tells monotonic seconds; ``sleep`` waits some, for a server whose list is behind.
    """
    images = ledger.images(plan.server)
    known = {(model, image): content[0] for (model, _, image), content in images.items()}

    def history(change: Change) -> tuple[Sequence[VerifiedContent], str | None]:
        there = change.before
        present = there.sha256 or known.get((str(there.id), str(there.image_id))) if there else None
        return ledger.verified(plan.server, change.name), present

    excluded: dict[str, Attempt] = {}
    if backup is not None:
        is_stopping = stop.is_set if stop else lambda: False
        excluded = yield from backup.take(plan, client, images, jobs=max(1, jobs), is_stopping=is_stopping)
    run = Executor(
        plan.changes, client, max(1, jobs), stop, clock, history, fail_fast=fail_fast, record=record, excluded=excluded
    )
    yield from run.events(grace)
    attempts = run.attempts
    # A file skipped as changed may be one whose remembered digest is wrong: the next run must read it anew.
    changed = [attempt.outcome.change.content for attempt in attempts if attempt.outcome.code == "file-changed"]
    ledger.forget([content.key for content in changed if content])
    if run.is_cut_short:
        # A server that did not answer within the grace is not asked once more: whoever stopped us is waiting.
        why = "the server did not answer in time, so the changes were not read back"
        yield Verified(tuple(attempt.outcome for attempt in attempts), why)
        return

    def wait(seconds: float) -> None:
        if not (stop and stop.is_set()):  # whoever stopped us is waiting
            sleep(seconds)

    outcomes, unverified = read_back(plan, attempts, client, ledger, jobs=jobs, wait=wait)
    yield Verified(outcomes, unverified)
