"""When to try again. Pure: time and chance are arguments."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Backoff", "Retries", "Timer"]

FIRST_DELAY = 5.0
LONGEST_DELAY = 180.0

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double.

    Attributes:
        first: The first delay, in seconds.
        longest: What no delay exceeds, in seconds.
    """

    first: float = FIRST_DELAY
    longest: float = LONGEST_DELAY

    def delay(self, failures: int) -> float:
        """Return how long to wait after the given number of failures in a row (1 or more), in seconds."""
        # The exponent is capped as well: 2.0 ** 1100 does not exist, and months of failures come to that.
        return min(self.first * 2.0 ** min(failures - 1, 60), self.longest)


class Timer:
    """The moment of the next full reconcile: every ``interval`` seconds, give or take a tenth.

    The jitter keeps a fleet of watchers that were started together from asking the server together for ever.

    Args:
        interval: Seconds between two reconciles.
        chance: Returns a number from 0 up to 1, ``random.random`` for example.
    """

    def __init__(self, interval: float, chance: Callable[[], float]) -> None:
        self.interval = interval
        self._chance = chance
        self.due_at = float("-inf")

    def start(self, now: float) -> None:
        """Count from now."""
        self.due_at = now + self.interval * (0.9 + 0.2 * self._chance())


@dataclass(frozen=True, slots=True)
class _Failure:
    wish: object
    permanent: bool
    count: int
    due_at: float


class Retries(Generic[Key]):
    """What failed, when it may be tried again, and what it is waiting for.

    A failure belongs to a *wish*: anything that compares equal as long as trying again would be trying the same
    (a model's file and its manifest entry). Another wish is always tried at once.
    """

    def __init__(self, backoff: Backoff = Backoff()) -> None:
        self._backoff = backoff
        self._failures: dict[Key, _Failure] = {}

    def failed(self, key: Key, wish: object, now: float, *, permanent: bool = False) -> float:
        """Record a failure of ``wish``; return the seconds until it may be tried again (infinite if permanent)."""
        before = self._failures.get(key)
        count = before.count + 1 if before is not None and before.wish == wish else 1
        delay = float("inf") if permanent else self._backoff.delay(count)
        self._failures[key] = _Failure(wish, permanent, count, now + delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget the failures of ``key``."""
        self._failures.pop(key, None)

    def may_try(self, key: Key, wish: object, now: float) -> bool:
        """Whether ``wish`` may be tried now."""
        failure = self._failures.get(key)
        return failure is None or failure.wish != wish or now >= failure.due_at

    def failed_for_good(self, key: Key, wish: object) -> bool:
        """Whether ``wish`` failed and trying it again would be pointless."""
        failure = self._failures.get(key)
        return failure is not None and failure.permanent and failure.wish == wish

    def hurry(self, key: Key | None = None) -> None:
        """Let a failure (or all of them) be tried again at once; permanent ones still wait for another wish."""
        for one in [key] if key is not None else list(self._failures):
            failure = self._failures.get(one)
            if failure is not None and not failure.permanent:
                self._failures[one] = _Failure(failure.wish, failure.permanent, failure.count, float("-inf"))

    def postpone(self, now: float) -> None:
        """Put off whatever is due and was not tried, or it would be due for ever."""
        for key, failure in self._failures.items():
            if not failure.permanent and failure.due_at <= now:
                due_at = now + self._backoff.delay(failure.count)
                self._failures[key] = _Failure(failure.wish, failure.permanent, failure.count, due_at)

    def keep(self, keys: set[Key]) -> None:
        """Forget everything but ``keys``."""
        self._failures = {key: failure for key, failure in self._failures.items() if key in keys}

    def next_due(self) -> float | None:
        """Return when the first retry is due; None where nothing waits for time alone."""
        return min((one.due_at for one in self._failures.values() if not one.permanent), default=None)
