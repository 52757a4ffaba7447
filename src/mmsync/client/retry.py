"""Retry policy for requests."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from mmsync.client._request_log import LOG, LONG_WAIT, NOTICE, current
from mmsync.client.error import ModelManagerError, TransportError
from mmsync.printable import printable
from mmsync.quantities import human_seconds

__all__ = ["RetryPolicy"]

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The policy for requests that may be repeated: reads, uploads, and writes that were read back first.

    Repeated are lost connections and the statuses 429, 502, 503 and 504. A 500 never is.

    Attributes:
        attempts: How often a request is sent at most; 1 never repeats.
        connect_attempts: How often at most where no connection could be made at all: a server that is down
            should be reported in seconds.
        first_wait: Seconds before the second attempt; doubled for each further one, then jittered down to a half.
        longest_wait: The limit of that doubling, in seconds.
        longest_retry_after: The most seconds waited because a server asked for it with ``Retry-After``.
        deadline: No attempt starts later than this many seconds after the first failure, a time-out counting from
            when its attempt began.
        connect_deadline: The same where no connection could be made: with long time-outs one attempt is enough.
        sleep: Waits so many seconds. May raise to end the wait and the request.
        monotonic: Reads a clock, in seconds.
        now: Reads the time of day, in seconds since the epoch, for a ``Retry-After`` that is a date.
        random: Returns a number in [0, 1).
    """

    attempts: int = 5
    connect_attempts: int = 3
    first_wait: float = 0.25
    longest_wait: float = 8.0
    longest_retry_after: float = 30.0
    deadline: float = 60.0
    connect_deadline: float = 10.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    now: Callable[[], float] = field(default=time.time, repr=False)
    random: Callable[[], float] = field(default=random.random, repr=False)

    def wait_before(self, attempt: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait before the attempt of that number, the first being 1."""
        if retry_after is not None:
            return min(max(retry_after, 0.0), self.longest_retry_after)
        doubled = min(self.first_wait * 2.0 ** (attempt - 2), self.longest_wait)
        return doubled * (0.5 + self.random() / 2)

    def retry_after(self, header: str | None) -> float | None:
        """Return the seconds a ``Retry-After`` header asks for (RFC 9110: seconds or a date); None where unreadable."""
        text = (header or "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return max(parsedate_to_datetime(text).timestamp() - self.now(), 0.0)
        except (ValueError, TypeError, OverflowError):
            return None

    def run(
        self, attempt: Callable[[], _Answer], settled: Callable[[ModelManagerError], _Answer | None] | None = None
    ) -> _Answer:
        """Return what ``attempt`` returns, calling it again after transient errors.

        Args:
            attempt: Sends the request once; raises `ModelManagerError`.
            settled: For writes, called before each further attempt, and before giving up, unless the server
                certainly never had the last one. It reads the server and returns the answer if the write is there,
                or None if it is not.

        Raises:
            ModelManagerError: That of the last attempt, or one raised by ``settled``.
        """
        tried = 0
        failed: float | None = None
        while True:
            began = self.monotonic()
            try:
                current.attempt = tried + 1
                try:
                    return attempt()
                finally:
                    current.attempt = 1
            except ModelManagerError as error:
                tried += 1
                lost = error if isinstance(error, TransportError) else None
                unconnected = lost is not None and not lost.connected
                # Time spent on a long upload is not time spent on failing; time spent waiting in vain is.
                if failed is None:
                    failed = began if lost and (unconnected or lost.timed_out) else self.monotonic()
                wait = self.wait_before(tried + 1, error.retry_after)
                limit = min(self.connect_attempts, self.attempts) if unconnected else self.attempts
                late = self.monotonic() + wait - failed > (self.connect_deadline if unconnected else self.deadline)
                again = tried < limit and not late
                # Too many requests: the server turned this one away without looking into it (RFC 6585).
                may_have_arrived = lost.sent if lost else error.status != HTTPStatus.TOO_MANY_REQUESTS
                if not error.transient or not (again or (settled and may_have_arrived)):
                    raise
                last = error
            if again:
                _log_wait(wait, f"attempt {tried + 1} of {limit}", last)
                self.sleep(wait)
            if settled and may_have_arrived and (answer := settled(last)) is not None:
                return answer
            if not again:
                raise last


def _log_wait(seconds: float, attempt: str, error: ModelManagerError) -> None:
    """Log a wait before a further attempt: one that is felt for everybody, a short one for those who ask."""
    level = NOTICE if seconds >= LONG_WAIT else logging.INFO
    if not LOG.isEnabledFor(level):
        return
    why = str(error)
    if error.retry_after is not None:  # more than a policy waits is not waited for
        asked = "it" if error.retry_after <= seconds else human_seconds(error.retry_after)
        why = f"the server asks for {asked} ({error.status}, Retry-After)"
    LOG.log(level, "waiting %s before %s: %s …", human_seconds(seconds), attempt, printable(why, 300))
