"""Looking: which paths matter, what lies there, which of it is at rest, where to listen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmsync.printable import printable
from mmsync.watch.inforce import manifest_files
from mmsync.watch.links import cover
from mmsync.watch.roots import see
from mmsync.watch.scan import look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mmsync.states import Desired, Diagnostic
    from mmsync.watch.coverage import Coverage
    from mmsync.watch.health import Health
    from mmsync.watch.inforce import InForce
    from mmsync.watch.log import Log
    from mmsync.watch.roots import Roots, Sight
    from mmsync.watch.settle import FileState, Settling

__all__ = ["Sights"]

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
        seen |= look({wanted.path for wanted in self._inforce.models}.union(ahead))
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
                self._tell_found({wanted.name: wanted for wanted in before})
            # What was just found is looked at in the same breath, so that its time of rest begins now.
            fresh = [wanted.path for wanted in self._inforce.models if wanted.path not in seen]
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
        now = {wanted.name: wanted for wanted in self._inforce.models}
        for event, what, names in (
            ("model_unlisted", "is gone, so nothing lists", sorted(before.keys() - now.keys())),
            ("model_listed", "was found, which makes", sorted(now.keys() - before.keys())),
        ):
            for name in names[:_MOST_TOLD]:
                wanted = now.get(name) or before[name]
                self._log(event, f"{printable(wanted.file)} {what} {printable(name)}", model=printable(name))
            if len(names) > _MOST_TOLD:
                self._log(event, f"and so it is with {len(names) - _MOST_TOLD} more", models=len(names))

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
        leads_to = (self._inforce.manifest, self._inforce.folders)
        if not anew and self._covered[0] is leads_to[0] and self._covered[1] == leads_to[1]:
            return
        self._covered = leads_to
        paths = [*manifest_files(self._inforce.paths), *self._extra]
        paths += [wanted.path for wanted in self._inforce.models]
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
