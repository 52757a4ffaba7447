"""The workers of one apply: several changes at a time, stoppable, each failure its own."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from mmsync.apply.ahead import Ahead
from mmsync.apply.change import carry_out
from mmsync.apply.outcome import Attempt, Finished, Outcome, Progress, Started
from mmsync.errors import MmsyncError
from mmsync.printable import printable
from mmsync.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmsync.apply.change import Past
    from mmsync.apply.outcome import Event
    from mmsync.client import Client, LegacyClient
    from mmsync.plan import Change

__all__ = ["Aborted", "Stop", "Workers"]

_TICK = 0.2  # seconds between looks at the stop signal while nothing happens
_FAREWELL = 2.0  # seconds for uploads broken off to come to their end
_PROGRESS_EVERY = 0.2  # seconds between two progress events of one model


class Stop(Protocol):
    """Anything that can say whether to stop: ``threading.Event`` does."""

    def is_set(self) -> bool:
        """Whether to start nothing new."""


class Aborted(BaseException):
    """An upload is broken off before its last bytes. No Exception: nothing on the way may swallow it."""


class Workers:
    """The workers of one apply and what they have done so far.

    Attributes:
        is_cut_short: Whether the run was stopped and its grace passed while the server had yet to answer.
    """

    def __init__(
        self,
        changes: tuple[Change, ...],
        client: Client | LegacyClient,
        jobs: int,
        stop: Stop | None,
        clock: Callable[[], float],
        past: Past,
        *,
        fail_fast: bool,
    ) -> None:
        # Deletes come last: what replaces an orphan is there before it goes.
        ordered = sorted(changes, key=lambda change: (change.action == "delete", change.name))
        self._waiting = deque(ordered)
        self._client = client
        self._stop = stop
        self._clock = clock
        self._past = past
        self._fail_fast = fail_fast
        self._halt = threading.Event()
        self._abort = threading.Event()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._ahead = Ahead(client, [change.name for change in ordered], jobs, clock)
        self._attempts: dict[str, Attempt] = {}
        self._begun: dict[str, Change] = {}
        self._ended = False
        self.is_cut_short = False
        self._all = changes
        self._sending = threading.Semaphore(jobs)
        self._workers = [
            # Daemons: a worker stuck in a dead connection must not keep the process after its grace.
            threading.Thread(target=self._work, name=f"apply-{n}", daemon=True)
            for n in range(min(2 * jobs if jobs > 1 else 1, len(ordered)))
        ]

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """One for each change, in the plan's order."""
        return tuple(self._attempts.get(change.name) or self._unfinished(change) for change in self._all)

    def events(self, grace: float) -> Iterator[Event]:
        """Start, and yield what happens until all is done or ``grace`` seconds and a little have passed since a stop."""
        working = len(start(self._workers))
        if self._workers and not working:
            raise MmsyncError("this machine lets no thread start; nothing was written")
        last_call: float | None = None
        try:
            while working and not (last_call and self._is_over(last_call)):
                try:
                    event = self._events.get(timeout=_TICK)
                except queue.Empty:
                    pass
                else:
                    if event is None:
                        working -= 1
                    else:
                        yield event
                if last_call is None and self._stopping():
                    last_call = self._clock() + grace
        finally:
            self._halt.set()
            self._ended = True
            if working:
                self._abort.set()
                self.is_cut_short = True
            self._ahead.close()

    def _is_over(self, last_call: float) -> bool:
        """Past the grace uploads are broken off; a little later nothing is waited for any more."""
        if self._clock() > last_call:
            self._abort.set()
        return self._clock() > last_call + _FAREWELL

    def _stopping(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _work(self) -> None:
        try:
            while self._next():
                pass
        finally:
            self._events.put(None)

    def _next(self) -> bool:
        """Carry out the next change; False where there is none, or none may begin."""
        with contextlib.ExitStack() as turn:
            turn.enter_context(self._sending)
            if self._halt.is_set() or self._stopping():
                return False
            try:
                change = self._waiting.popleft()
            except IndexError:
                return False
            self._begun[change.name] = change
            self._events.put(Started(change))
            attempt = self._one(change, turn.close)
        if not self._ended:
            self._attempts[change.name] = attempt
        outcome = attempt.outcome
        if outcome.code == "token" or (self._fail_fast and not outcome.ok):
            self._halt.set()
        self._events.put(Finished(outcome))
        return True

    def _one(self, change: Change, on_sent: Callable[[], None]) -> Attempt:
        """Carry out one change; ``on_sent`` is called, perhaps more than once, as soon as the file is on its way."""
        began = self._clock()
        told = began - _PROGRESS_EVERY

        def on_progress(done: int, total: int) -> None:
            nonlocal told
            if self._abort.is_set():
                raise Aborted
            now = self._clock()
            if now - told >= _PROGRESS_EVERY or done == total:
                told = now
                self._events.put(Progress(change.name, "uploading", done, total))
            if done == total:
                on_sent()

        try:
            reader = self._ahead.reader(change.name)
            attempt = carry_out(change, self._client, reader, on_progress, past=self._past, clock=self._clock)
        except Aborted:
            why = "the upload was broken off before its end; the server's model is as it was"
            attempt = Attempt(Outcome(change, "failed", "interrupted", why))
        except Exception as bug:  # noqa: BLE001 - one model's surprise must not take the others with it
            attempt = Attempt(Outcome(change, "failed", "internal", f"{type(bug).__name__}: {bug}"))
        return replace(attempt, outcome=replace(attempt.outcome, seconds=self._clock() - began))

    def _unfinished(self, change: Change) -> Attempt:
        if change.name in self._begun:
            why = "the run ended before the server answered; the next run finds out what it holds"
            return Attempt(Outcome(change, "failed", "interrupted", why))
        ends = [attempt.outcome for attempt in self._attempts.values() if not attempt.outcome.ok]
        if any(outcome.code == "token" for outcome in ends):
            return Attempt(Outcome(change, "not-attempted", "token", "the server refused the token"))
        if self._fail_fast and ends and not self._stopping():
            why = f"the run ends at the first failure (--fail-fast): {printable(ends[0].change.name, 80)}"
            return Attempt(Outcome(change, "not-attempted", "fail-fast", why))
        return Attempt(Outcome(change, "not-attempted", "interrupted", "the run was stopped first"))
