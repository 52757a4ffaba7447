"""Looking: which paths matter, what lies there, which of it is at rest, where to listen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmsync.printable import printable
from mmsync.watch import conditions
from mmsync.watch.current_manifest import manifest_files
from mmsync.watch.roots import see
from mmsync.watch.settle import look
from mmsync.watch.symlinks import cover

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mmsync.types import Desired, Diagnostic
    from mmsync.watch.conditions import Health
    from mmsync.watch.config import Outside, Watching
    from mmsync.watch.current_manifest import InForce
    from mmsync.watch.event_source import Coverage
    from mmsync.watch.reporting import Log
    from mmsync.watch.roots import Roots, Sight
    from mmsync.watch.settle import FileState, Settling

__all__ = ["Looker", "Sights"]

_MOST_TOLD = 20  # models in lines of their own that came or went at once


class Sights:
    """One look at everything, in the order in which one thing leads to the next.

    Args:
        inforce: The manifest in force.
        settling: What is at rest.
        roots: What is known of the folders.
        coverage: Where we listen.
        extra: Further files to look at: the token's.
        log: Told of a new manifest.
        health: Told of manifests with faults.

    Attributes:
        notes: What the discover rules said against single files.
        urgent: Whether the manifest or one of the further files is another; whoever acts on it clears it.
        crosses_links: Whether a link lies on the way to anything, so that it may lead elsewhere tomorrow.
    """

    def __init__(
        self,
        inforce: InForce,
        settling: Settling,
        roots: Roots,
        coverage: Coverage,
        extra: Sequence[str],
        log: Log,
        health: Health,
    ) -> None:
        self._inforce = inforce
        self._settling = settling
        self._roots = roots
        self._coverage = coverage
        self._extra = tuple(extra)
        self._extra_states = look(self._extra)
        self._log = log
        self._health = health
        self._covered: tuple[object, tuple[str, ...]] = (None, ())
        self._root_sights: dict[str, Sight] = {}
        self._told_roots: tuple[str, ...] = ()
        self.crosses_links = False
        self.notes: tuple[Diagnostic, ...] = ()
        self.urgent = False

    def look(self, clock: Callable[[], float]) -> bool:
        """Look at every path; return whether anything came to rest, left, or is wanted anew."""
        manifests = manifest_files(self._inforce.paths)
        seen = look([*manifests, *self._extra])
        ahead = self._inforce.draft({path: seen[path] for path in manifests})
        seen |= look({desired.path for desired in self._inforce.models}.union(ahead))
        news = self._settling.look(clock(), seen)
        self._root_sights = {root: see(root) for root in self._inforce.roots}
        self._roots.look(clock(), self._root_sights)
        states = {path: self._settling.at_rest(path) for path in manifests}
        taken = False
        if all(state is not None for state in states.values()):
            taken = self._take_manifest({path: state for path, state in states.items() if state is not None})
        news |= taken
        before, clashed = self._inforce.models, self._inforce.clashes.keys()
        self.notes = self._inforce.find(self._settling.at_rest, whole=self._roots.may_delete())
        if self._inforce.models is not before:
            if not taken:
                self._tell_found({desired.name: desired for desired in before})
            # What was just found is looked at in the same breath, so that its time of rest begins now.
            fresh = [desired.path for desired in self._inforce.models if desired.path not in seen]
            self._settling.look(clock(), look(fresh), whole=False)
            news = True
        news |= clashed != self._inforce.clashes.keys()
        extra_states = {path: state for path in self._extra if (state := self._settling.at_rest(path)) is not None}
        if extra_states.items() - self._extra_states.items():
            self._extra_states |= extra_states
            self.urgent = True
        return news

    def _tell_found(self, before: Mapping[str, Desired]) -> None:
        """Tell which models came and went with their files; many at once in one line."""
        now = {desired.name: desired for desired in self._inforce.models}
        for event, what, names in (
            ("model_unlisted", "is gone, so nothing lists", sorted(before.keys() - now.keys())),
            ("model_listed", "was found, which makes", sorted(now.keys() - before.keys())),
        ):
            for name in names[:_MOST_TOLD]:
                desired = now.get(name) or before[name]
                self._log(event, f"{printable(desired.file)} {what} {printable(name)}", model=printable(name))
            if len(names) > _MOST_TOLD:
                self._log(event, f"and so it is with {len(names) - _MOST_TOLD} more", models=len(names))

    def glance(self, clock: Callable[[], float]) -> bool:
        """Look at the model files alone; return whether one came to rest."""
        return self._settling.look(clock(), look(desired.path for desired in self._inforce.models), whole=False)

    def look_at_restless(self, clock: Callable[[], float]) -> bool:
        """Look at the paths not at rest only; return whether one came to rest."""
        return self._settling.look(clock(), look(self._settling.restless()), whole=False)

    def doubt_manifest(self) -> None:
        """Read the manifest anew at the next look, though its files are the same as before."""
        self._inforce.read_again()

    def roots_moved(self) -> bool:
        """Whether a root is not as it was at the last look."""
        return {root: see(root) for root in self._inforce.roots} != self._root_sights

    def is_incomplete(self) -> bool:
        """Whether the discover rules did not get to see all there is."""
        return any(note.severity == "error" for note in self.notes)

    def listen(self, now: float, *, anew: bool) -> None:
        """Listen where the paths lead, if they are others than before or ``anew`` is asked for."""
        leads_to = (self._inforce.manifest, self._inforce.folders)
        if not anew and self._covered[0] is leads_to[0] and self._covered[1] == leads_to[1]:
            return
        self._covered = leads_to
        paths = [*manifest_files(self._inforce.paths), *self._extra]
        paths += [desired.path for desired in self._inforce.models]
        folders_of_manifests = [path for path in self._inforce.paths if os.path.isdir(path)]  # noqa: PTH112  # strings
        folders, self.crosses_links = cover(
            paths, self._inforce.roots, [*folders_of_manifests, *self._inforce.found_in, *self._inforce.folders]
        )
        self._coverage.follow(folders, now)
        if self._inforce.manifest is not None and self._told_roots != self._inforce.roots:
            self._told_roots = self._inforce.roots
            how = "on a timer" if self._coverage.needs_polling else "by file events"
            shown = ", ".join(printable(root) for root in self._told_roots)
            self._log("watch_listening", f"models are looked for in {shown}; changes become known {how}")

    def _take_manifest(self, states: dict[str, FileState]) -> bool:
        """Read the manifest if its files, all at rest, are others than before; return whether a new one is in force."""
        outcome = self._inforce.refresh(states)
        if outcome is None:
            return False
        taken, problem = outcome
        self._health.set("manifest", problem)
        if taken:
            self.urgent = True
            models, rules = len(self._inforce.models), self._inforce.rules
            holds = f"{models} model{'' if models == 1 else 's'} listed"
            if rules:
                holds += f", {rules} discover rule{'' if rules == 1 else 's'}"
            self._log("manifest_loaded", f"the manifest is in force: {holds}", models=models, discover_rules=rules)
        return taken


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
        self._health.update("root", conditions.of_roots(self._roots.unknown()))
        self._health.update("trust", conditions.of_strangers(self._roots.replaced()))
