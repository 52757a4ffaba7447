"""Looking: which paths matter, what lies there, which of it is at rest, where to listen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmsync.watch.inforce import manifest_files
from mmsync.watch.links import cover
from mmsync.watch.roots import see
from mmsync.watch.scan import look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmsync.states import Diagnostic
    from mmsync.watch.coverage import Coverage
    from mmsync.watch.health import Health
    from mmsync.watch.inforce import InForce
    from mmsync.watch.log import Log
    from mmsync.watch.roots import Roots, Sight
    from mmsync.watch.settle import FileState, Settling

__all__ = ["Sights"]


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
        self._covered: object = None
        self._root_sights: dict[str, Sight] = {}
        self.crosses_links = False
        self.notes: tuple[Diagnostic, ...] = ()
        self.urgent = False

    def look(self, clock: Callable[[], float]) -> bool:
        """Look at every path; return whether anything came to rest, left, or is wanted anew."""
        manifests = manifest_files(self._inforce.paths)
        seen = look([*manifests, *self._extra])
        ahead = self._inforce.draft({path: seen[path] for path in manifests})
        seen |= look({wanted.path for wanted in self._inforce.models}.union(ahead))
        news = self._settling.look(clock(), seen)
        self._root_sights = {root: see(root) for root in self._inforce.roots}
        self._roots.look(clock(), self._root_sights)
        states = {path: self._settling.at_rest(path) for path in manifests}
        if all(state is not None for state in states.values()):
            news |= self._take_manifest({path: state for path, state in states.items() if state is not None})
        before = self._inforce.manifest
        self.notes = self._inforce.find(self._settling.at_rest, whole=self._roots.may_delete())
        if self._inforce.manifest is not before:
            # What was just found is looked at in the same breath, so that its time of rest begins now.
            fresh = [wanted.path for wanted in self._inforce.models if wanted.path not in seen]
            self._settling.look(clock(), look(fresh), whole=False)
            news = True
        extra_states = {path: state for path in self._extra if (state := self._settling.at_rest(path)) is not None}
        if extra_states.items() - self._extra_states.items():
            self._extra_states |= extra_states
            self.urgent = True
        return news

    def glance(self, clock: Callable[[], float]) -> bool:
        """Look at the model files alone; return whether one came to rest."""
        return self._settling.look(clock(), look(wanted.path for wanted in self._inforce.models), whole=False)

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
        if not anew and self._covered is self._inforce.manifest:
            return
        self._covered = self._inforce.manifest
        paths = [*manifest_files(self._inforce.paths), *self._extra]
        paths += [wanted.path for wanted in self._inforce.models]
        folders_of_manifests = [path for path in self._inforce.paths if os.path.isdir(path)]  # noqa: PTH112  # strings
        folders, self.crosses_links = cover(
            paths, self._inforce.roots, [*folders_of_manifests, *self._inforce.found_in]
        )
        self._coverage.follow(folders, now)

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
