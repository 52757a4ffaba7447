"""The watcher: one worker that looks, waits for rest, reconciles, and sleeps until something calls.

Start-up, lost events, a rebuilt observer, a remount, the timer and a signal all take the same path: look at the truth,
compare, act. An event only shortens the sleep.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from mmsync.watch.conditions import Health
from mmsync.watch.control import Interrupted
from mmsync.watch.current_manifest import InForce
from mmsync.watch.reconciler import Rounds
from mmsync.watch.reporting import Teller
from mmsync.watch.retry import Retries, Timer
from mmsync.watch.roots import Roots
from mmsync.watch.scanner import Looker, Sights
from mmsync.watch.settle import Settling

if TYPE_CHECKING:
    from mmsync.apply.outcome import Event
    from mmsync.watch.config import Outside, Watching

__all__ = ["Watcher"]

_NOW, _NEVER = float("-inf"), float("inf")
_AFTER_DEFECT = 5.0  # seconds without a look after one that failed


class Watcher:
    """Keeps a server in step with a folder. ``run`` returns when a signal asks for it, or after one pass."""

    def __init__(self, watching: Watching, outside: Outside) -> None:
        self._watching = watching
        self._outside = outside
        self._clock = outside.clock
        self._health = Health(outside.log)
        self._settling = Settling(watching.settle, watching.force)
        self._inforce = InForce(watching.manifests, watching.models_dirs)
        self._roots = Roots(watching.interval)
        self._sights = Sights(
            self._inforce,
            self._settling,
            self._roots,
            outside.coverage,
            watching.extra_files,
            outside.log,
            self._health,
        )
        self._rounds = Rounds(
            outside.server,
            watching.options,
            on_drift=watching.on_drift,
            settle=watching.settle,
            force=watching.force,
            memory=watching.interval,
            backoff=watching.backoff,
            clock=outside.clock,
            wall=outside.wall,
        )
        self._timer = Timer(watching.interval, outside.chance)
        self._way: Retries[str] = Retries(watching.backoff)
        self._looker = Looker(watching, outside, self._sights, self._settling, self._roots, self._health)
        self._stopping = False
        self._teller = Teller(outside, self._health, watching.manifests)

    def run(self) -> bool:
        """Watch until asked to stop; with ``once``, until one pass over settled files was made.

        Returns:
            Whether all was well at the end.
        """
        outside = self._outside
        outside.log("watch_started", _purpose(self._watching), manifests=[*self._watching.manifests])
        began = self._clock()
        self._timer.due_at = began + self._watching.settle
        ready = False
        try:
            while not outside.orders.is_set():
                if self._step(began):
                    if self._watching.once:
                        break
                    # An error and the frames it passed, with all that the round read, refer to each other: a command
                    # that runs for months frees them at once, whenever the collector would have looked by itself.
                    gc.collect()
                self._teller.tell_change()
                if not ready and self._clock() >= began + self._watching.settle:
                    ready = True
                    outside.service.ready()
                outside.service.ping()
                if outside.bell.wait(self._patience(began)):
                    self._looker.called()
        finally:
            self._tell_stopping()
            outside.coverage.close()
            self._teller.tell_change()
        return self._health.state == "ok" and not self._settling.restless() and self._inforce.manifest is not None

    def _step(self, began: float) -> bool:
        """Look, and reconcile if it is time to; return whether a round was made or tried."""
        try:
            self._looker.look()
            if self._clock() < self._due_at(began):
                return False
            # The timer and the retries too act on the truth of now; what has changed comes to rest first.
            self._looker.refresh()
            self._reconcile()
        except Exception as error:  # noqa: BLE001  # as in a round
            self._way.failed("", None, self._clock())
            self._teller.failed(error)
            self._looker.rest(_AFTER_DEFECT)
            return self._watching.once
        return True

    def _due_at(self, began: float) -> float:
        """When the next round is to be made; a moment past means now."""
        if self._outside.orders.reconcile:
            self._outside.orders.reconcile = False
            self._outside.log("reconcile_asked", "SIGHUP: everything is looked at and tried anew")
            self._hurry()
        if self._sights.urgent:
            self._sights.urgent = False
            self._hurry()
        if self._watching.once:
            restless = self._settling.restless()
            return began + (self._watching.force if restless else self._watching.settle)
        if self._inforce.manifest is None:
            return _NEVER
        way = self._way.next_due()
        if way is not None:
            return way
        if self._looker.news:
            return _NOW
        overdue = self._settling.overdue(self._clock())
        if overdue:
            overdue &= {desired.path for desired in self._rounds.selected(self._inforce.manifest)}
        times = (self._timer.due_at, self._rounds.next_due(), self._rounds.forced.next_look(overdue))
        return min(time for time in times if time is not None)

    def _hurry(self) -> None:
        """Try everything anew, whatever waits for its time."""
        self._way.hurry()
        self._rounds.hurry()
        self._timer.due_at = _NOW

    def _patience(self, began: float) -> float:
        """Return how many seconds there is nothing to do but listen."""
        moments = [self._due_at(began), self._looker.next_at()]
        if self._outside.service.ping_every is not None:
            moments.append(self._clock() + self._outside.service.ping_every)
        return max(min(moments) - self._clock(), 0.0)

    def _reconcile(self) -> None:
        """Make a round; whatever happens in it is told and tried again, never fatal."""
        manifest = self._inforce.manifest
        if manifest is None:
            return
        self._looker.news = False
        try:
            result = self._rounds.run(
                manifest,
                self._settling,
                self._inforce.admitted,
                clashes=self._inforce.clashes,
                unknown_roots=self._roots.unknown(),
                may_delete=self._roots.may_delete() and not self._sights.is_incomplete(),
                orders=self._outside.orders,
                on_progress=self._outside.service.ping,
                on_event=self._on_event,
            )
        except Interrupted:
            self._looker.news = True
        except Exception as error:  # noqa: BLE001  # a watcher outlives whatever a round meets: told, tried again
            self._way.failed("", None, self._clock())
            self._teller.failed(error)
        else:
            self._way.succeeded("")
            if any(outcome.code == "token" for outcome in result.outcomes):
                self._way.failed("", None, self._clock())
            if result.has_moved:
                self._looker.called()
            self._timer.start(self._clock())
            self._teller.reconciled(result, self._sights.notes)

    def _on_event(self, _event: Event) -> None:
        # A long upload is a sign of life too, and other files come to rest meanwhile.
        self._outside.service.ping()
        self._tell_stopping()
        if self._outside.bell.wait(0):
            self._looker.glance()

    def _tell_stopping(self) -> None:
        if self._outside.orders.is_set() and not self._stopping:
            self._stopping = True
            self._outside.service.stopping()
            self._outside.log("watch_stopping", "what is in flight finishes, nothing new begins")


def _purpose(watching: Watching) -> str:
    """Say what is watched, for which server, and what becomes of what."""
    drift = "set right" if watching.on_drift == "fix" else "only reported"
    pruned = "deleted within the guards" if watching.options.prune else "left alone"
    end = "one pass" if watching.once else f"everything is looked at every {watching.interval:g} s"
    return (
        f"watching {', '.join(watching.manifests)} for {watching.server}: a file is taken once it rests for "
        f"{watching.settle:g} s, drift is {drift}, what nothing lists is {pruned}; {end}"
    )
