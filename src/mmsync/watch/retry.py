"""Retry policy: what failed, and when it may be tried again. Pure: time and chance are arguments.

There are three `Retries`. ``ChangeFilter.retries`` is for changes of single models that failed when they were applied.
``Reconciler.unread`` is for files that could not be read and contents on the server that could not be found out.
``Watcher._failures``, with one key, is for reconciles that failed as a whole. (`event_source` rebuilds its listener by a
`Backoff` of its own; requests are repeated by ``client/retry.py``.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double."""

    first: float = 5.0  # the first delay, in seconds
    longest: float = 180.0  # what no delay exceeds, in seconds

    def delay(self, failures: int) -> float:
        """Return how long to wait after the given number of failures in a row (1 or more), in seconds."""
        # The exponent is capped as well: 2.0 ** 1100 does not exist, and months of failures come to that.
        return min(self.first * 2.0 ** min(failures - 1, 60), self.longest)


class Timer:
    """The moment of the next full reconcile: every ``interval`` seconds, give or take a tenth.

    The jitter keeps a fleet of watchers that were started together from asking the server together for ever.
    """

    def __init__(self, interval: float, chance: Callable[[], float]) -> None:
        self._interval = interval
        self._chance = chance  # a number from 0 up to 1, by ``random.random`` for example
        self.due_at = float("-inf")

    def start(self, now: float) -> None:
        """Count from now."""
        self.due_at = now + self._interval * (0.9 + 0.2 * self._chance())


@dataclass(frozen=True, slots=True)
class _Failure:
    target: object
    permanent: bool
    count: int
    due_at: float


class Retries:
    """Failures, with when each may be tried again and what it is waiting for.

    A failure belongs to a *target*: anything that compares equal as long as trying again would be trying the same
    (a model's file and its manifest entry). Another target is always tried at once.
    """

    def __init__(self, backoff: Backoff = Backoff()) -> None:
        self._backoff = backoff
        self._failures: dict[str, _Failure] = {}

    def failed(self, key: str, target: object, now: float, *, permanent: bool = False) -> float:
        """Record a failure of ``target``; return the seconds until it may be tried again (infinite if permanent)."""
        before = self._failures.get(key)
        count = before.count + 1 if before is not None and before.target == target else 1
        delay = float("inf") if permanent else self._backoff.delay(count)
        self._failures[key] = _Failure(target, permanent, count, now + delay)
        return delay

    def succeeded(self, key: str) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)

    def may_try(self, key: str, target: object, now: float) -> bool:
        """Return whether ``target`` may be tried now."""
        failure = self._failures.get(key)
        return failure is None or failure.target != target or now >= failure.due_at

    def failed_for_good(self, key: str, target: object) -> bool:
        """Return whether ``target`` failed and trying it again would be pointless."""
        failure = self._failures.get(key)
        return failure is not None and failure.permanent and failure.target == target

    def hurry(self) -> None:
        """Let all be tried again at once; permanent failures still wait for another target."""
        for key, failure in self._failures.items():
            if not failure.permanent:
                self._failures[key] = replace(failure, due_at=float("-inf"))

    def postpone(self, now: float) -> None:
        """Put off whatever is due and was not tried, or it would be due for ever."""
        for key, failure in self._failures.items():
            if not failure.permanent and failure.due_at <= now:
                self._failures[key] = replace(failure, due_at=now + self._backoff.delay(failure.count))

    def keep(self, keys: set[str]) -> None:
        """Forget everything but ``keys``."""
        self._failures = {key: failure for key, failure in self._failures.items() if key in keys}

    def next_due(self) -> float | None:
        """Return when the first retry is due; None where nothing waits for time alone."""
        return min((one.due_at for one in self._failures.values() if not one.permanent), default=None)
