"""The watcher: one worker that scans, waits for files to settle, reconciles, and sleeps until something wakes it.

Start-up, lost events, a rebuilt observer, a remount, the timer and a signal all take the same path: scan, compare,
act. An event only shortens the sleep.
"""

from __future__ import annotations

import gc

from mmsync.apply.outcome import Event, Finished
from mmsync.status import Status
from mmsync.watch.conditions import Conditions
from mmsync.watch.config import Dependencies, WatchOptions
from mmsync.watch.control import Interrupted
from mmsync.watch.current_manifest import CurrentManifest
from mmsync.watch.reconciler import Reconciler
from mmsync.watch.reporting import Reporter
from mmsync.watch.retry import Retries, Timer
from mmsync.watch.roots import Roots
from mmsync.watch.scanner import Scan, Scanner
from mmsync.watch.settle import Settler

_NOW, _NEVER = float("-inf"), float("inf")


class Watcher:
    """Keeps a server in step with a folder. ``run`` returns when a signal asks for it, or after one reconcile."""

    def __init__(self, options: WatchOptions, dependencies: Dependencies) -> None:
        self._options = options
        self._dependencies = dependencies
        self._clock = dependencies.clock
        self._conditions = Conditions(dependencies.log)
        self._settler = Settler(options.settle, options.force)
        self._current = CurrentManifest(options.manifests, options.models_dirs)
        self._roots = Roots(options.interval)
        self._scanner = Scanner(options, dependencies, self._current, self._settler, self._roots, self._conditions)
        self._reconciler = Reconciler(options, dependencies)
        self._reporter = Reporter(dependencies, self._conditions, self._status)
        self._timer = Timer(options.interval, dependencies.chance)
        self._failures = Retries(options.backoff)  # of whole reconciles
        self._found = Scan()  # since the last reconcile
        self._is_stopping = False
        self._began = self._clock()

    def run(self) -> bool:
        """Watch until asked to stop, with ``once`` until files were reconciled; return whether all was well."""
        dependencies = self._dependencies
        dependencies.log("watch_started", _purpose(self._options), manifests=[*self._options.manifests])
        self._timer.due_at = self._began + self._options.settle
        is_ready = False
        try:
            while not dependencies.control.is_set():
                if self._step():
                    if self._options.once:
                        break
                    # An error and the frames it passed, with all that was read, refer to each other: a command that
                    # runs for months frees them at once, whenever the collector would have looked by itself.
                    gc.collect()
                self._status()
                self._reporter.report_change()
                if not is_ready and self._clock() >= self._began + self._options.settle:
                    is_ready = True
                    dependencies.service.ready()
                dependencies.service.ping()
                if dependencies.trigger.wait(self._patience()):
                    self._scanner.request()
        finally:
            self._tell_stopping()
            dependencies.events.close()
            self._reporter.report_change()
        return self._conditions.state == "ok" and not self._settler.unsettled() and self._current.manifest is not None

    def _step(self) -> bool:
        """Scan, and reconcile if it is time to; return whether that was tried."""
        try:
            self._take(self._scanner.scan())
            if self._clock() < self._due_at():
                return False
            # The timer and the retries too act on the truth of now; what has changed settles first.
            self._take(self._scanner.refresh())
            self._reconcile()
        except Exception as error:  # noqa: BLE001  # as in a reconcile
            self._failures.failed("", None, self._clock())
            self._reporter.failed(error)
            self._scanner.pause(5.0)
            return self._options.once
        return True

    def _take(self, found: Scan) -> None:
        self._found |= found
        if found.urgent:
            self._hurry()

    def _due_at(self) -> float:
        """Return when the next reconcile is to be made; a moment past means now."""
        if self._dependencies.control.take_reconcile():
            self._dependencies.log("reconcile_asked", "SIGHUP: everything is looked at and tried anew")
            self._hurry()
        if self._options.once:
            return self._began + (self._options.force if self._settler.unsettled() else self._options.settle)
        if self._current.manifest is None:
            return _NEVER
        retry = self._failures.next_due()
        if retry is not None:
            return retry
        if self._found.changed:
            return _NOW
        if overdue := self._settler.overdue(self._clock()):
            overdue &= {desired.path for desired in self._reconciler.selected(self._current.manifest)}
        times = (self._timer.due_at, self._reconciler.next_due(), self._reconciler.forced.next_due(overdue))
        return min(time for time in times if time is not None)

    def _hurry(self) -> None:
        """Try everything anew, whatever waits for its time."""
        self._failures.hurry()
        self._reconciler.hurry()
        self._timer.due_at = _NOW

    def _patience(self) -> float:
        """Return how many seconds there is nothing to do but listen."""
        moments = [self._due_at(), self._scanner.next_due()]
        if self._dependencies.service.ping_every is not None:
            moments.append(self._clock() + self._dependencies.service.ping_every)
        return max(min(moments) - self._clock(), 0.0)

    def _reconcile(self) -> None:
        """Reconcile; whatever happens is told and tried again, never fatal."""
        manifest = self._current.manifest
        if manifest is None:
            return
        self._found = Scan()
        board = self._dependencies.board
        board.begin()
        try:
            result = self._reconciler.run(
                manifest,
                self._settler,
                self._current,
                unknown_roots=self._roots.unknown,
                may_delete=self._roots.may_delete() and not self._scanner.is_incomplete(),
                on_event=self._on_event,
            )
        except Interrupted:
            board.interrupted()
            self._found = Scan(changed=True)
        except Exception as error:  # noqa: BLE001  # a watcher outlives whatever it meets: told, tried again
            self._failures.failed("", None, self._clock())
            self._reporter.failed(error)
        else:
            self._failures.succeeded("")
            if result.audit_error or any(outcome.code == "token" for outcome in result.outcomes):
                self._failures.failed("", None, self._clock())
            if result.has_changed:
                self._scanner.request()
            self._timer.start(self._clock())
            self._reporter.reconciled(result, self._scanner.diagnostics)

    def _status(self) -> Status:
        """Publish what is so now; return it."""
        manifest, board = self._current.manifest, self._dependencies.board
        board.refresh(
            lambda: self._reconciler.selected(manifest) if manifest else (),
            listed=manifest,
            unsettled=self._settler.unsettled(),
            conditions=self._conditions.present,
            diagnostics=(*self._current.diagnostics, *self._scanner.diagnostics),
            events=self._dependencies.events.backend,
        )
        return board.status

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Finished):
            self._dependencies.board.finished()
        # A long upload is a sign of life too, and other files settle meanwhile.
        self._dependencies.service.ping()
        self._tell_stopping()
        if self._dependencies.trigger.wait(0):
            self._found |= self._scanner.scan_models()

    def _tell_stopping(self) -> None:
        if self._dependencies.control.is_set() and not self._is_stopping:
            self._is_stopping = True
            self._dependencies.service.stopping()
            self._dependencies.log("watch_stopping", "what is in flight finishes, nothing new begins")


def _purpose(options: WatchOptions) -> str:
    """Say what is watched, for which server, and what becomes of what."""
    drift = "set right" if options.on_drift == "fix" else "only reported"
    pruned = "deleted within the guards" if options.options.prune else "left alone"
    end = "one pass" if options.once else f"everything is looked at every {options.interval:g} s"
    return (
        f"watching {', '.join(options.manifests)} for {options.server}: a file is taken once it rests for "
        f"{options.settle:g} s, drift is {drift}, what nothing lists is {pruned}; {end}"
    )
