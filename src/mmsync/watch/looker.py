"""When to look, and how much: everything after a call, the restless alone while they come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.watch import trouble

if TYPE_CHECKING:
    from mmsync.watch.health import Health
    from mmsync.watch.roots import Roots
    from mmsync.watch.settle import Settling
    from mmsync.watch.sights import Sights
    from mmsync.watch.watching import Outside, Watching

__all__ = ["Looker"]

_CHECK = 10.0  # seconds between two checks that events still come and folders are still themselves
_POLL_SHARE = 300  # between two looks without a call lies this many times the processor time of one …
_POLL_STRETCH = 6  # … but no more than this many polls
_FRESH = 0.05  # seconds
_CALL_SHARE = 4  # after a look, calls are not answered for this many times its processor time


class Looker:
    """Decides when to look.

    Attributes:
        news: Whether anything came to rest, went or is wanted anew since this was set to False.
    """

    def __init__(
        self, watching: Watching, outside: Outside, sights: Sights, settling: Settling, roots: Roots, health: Health
    ) -> None:
        self._poll = watching.poll
        self._check_every = min(_CHECK, watching.poll)
        self._outside = outside
        self._clock = outside.clock
        self._sights = sights
        self._settling = settling
        self._roots = roots
        self._health = health
        self._called = True
        self._deaf_until = float("-inf")
        self._polled_at = float("-inf")
        self._cost = 0.0
        self._check_at = float("-inf")
        self.news = False

    def called(self) -> None:
        """Take note that something may have changed."""
        self._called = True

    def look(self) -> None:
        """Look at whatever it is time to look at."""
        now = self._clock()
        anew = False
        if now >= self._check_at or self._outside.coverage.is_shaken:
            self._check_at = now + self._check_every
            problem = self._health.has("manifest")
            if problem is not None and problem.code.endswith("unreadable"):
                # A disk or a share that failed may work again without a trace in the file's stat.
                self._sights.doubt_manifest()
                self._called = True
            anew = self._outside.coverage.tick(now)
            self._called = self._called or anew or self._sights.roots_moved()
        elif (due := self._outside.coverage.next_due()) is not None and now >= due:
            anew = self._outside.coverage.tick(now)
            self._called = self._called or anew
        trust = self._roots.next_trust()
        if (self._called and now >= self._deaf_until) or now >= self._poll_at() or (trust is not None and now >= trust):
            self._look_at_all(now)
        else:
            restless = self._settling.next_look()
            if restless is not None and now >= restless and self._sights.look_at_restless(self._clock):
                # It may be a manifest, or decide whether a model found before is gone.
                self._look_at_all(now)
                self.news = True
        self._sights.listen(self._clock(), anew=anew or (self.news and self._sights.crosses_links))
        self._health.update("events", self._outside.coverage.problems())

    def glance(self) -> None:
        """Let the files' time of rest begin while a round is being made; the look itself comes after it."""
        self._called = True
        now = self._clock()
        if now >= self._deaf_until:
            effort = self._outside.effort()
            self.news |= self._sights.glance(self._clock)
            self._deaf_until = self._clock() + _CALL_SHARE * (self._outside.effort() - effort)

    def rest(self, seconds: float) -> None:
        """Do not look for a while: the last attempt failed in a way nobody foresaw."""
        self._called = True
        self._deaf_until = self._check_at = self._clock() + seconds
        self._polled_at = self._clock()

    def refresh(self) -> None:
        """Look at everything, unless that was done a moment ago."""
        if self._clock() - self._polled_at > _FRESH:
            self._look_at_all(self._clock())

    def next_at(self) -> float:
        """Return when to look next, if nothing calls before."""
        moments = [self._check_at, self._poll_at()]
        if self._called:
            moments.append(self._deaf_until)
        dues = (self._settling.next_look(), self._outside.coverage.next_due(), self._roots.next_trust())
        return min([*moments, *(due for due in dues if due is not None)])

    def _poll_at(self) -> float:
        if not self._outside.coverage.needs_polling:
            return float("inf")
        # Ten thousand files on a share cost what they cost: then they are looked at less often.
        return self._polled_at + max(self._poll, min(_POLL_SHARE * self._cost, _POLL_STRETCH * self._poll))

    def _look_at_all(self, now: float) -> None:
        self._called = False
        effort = self._outside.effort()
        could_delete = self._roots.may_delete()
        self.news |= self._sights.look(self._clock)
        self.news |= self._roots.may_delete() and not could_delete
        self._cost = self._outside.effort() - effort
        self._polled_at = now
        self._deaf_until = self._clock() + _CALL_SHARE * self._cost
        self._health.update("root", trouble.of_roots(self._roots.unknown()))
        self._health.update("trust", trouble.of_strangers(self._roots.replaced()))
