"""Scanning: when to scan, which paths matter, what lies there, which of it has settled, and where to listen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mmsync.printable import printable
from mmsync.types import Desired, Diagnostic
from mmsync.watch.conditions import Conditions, of_replaced_roots, of_unknown_roots
from mmsync.watch.config import Dependencies, WatchOptions
from mmsync.watch.current_manifest import CurrentManifest
from mmsync.watch.roots import Roots, RootState, inspect_root
from mmsync.watch.settle import FileState, Settler, stat_paths
from mmsync.watch.symlinks import folders_to_watch

_MOST_TOLD = 20  # models in lines of their own that came or went at once
_CHECK = 10.0  # seconds between two checks that events still come and folders are still themselves
_POLL_SHARE = 300  # between two scans without a request lies this many times the processor time of one …
_POLL_STRETCH = 6  # … but no more than this many polls
_REQUEST_SHARE = 4  # after a scan, requests wait for this many times its processor time


class Scan(NamedTuple):
    """The result of a scan."""

    changed: bool = False  # whether anything settled, went or is wanted anew
    urgent: bool = False  # whether the manifest or an extra file is another: what failed is to be tried at once

    def __or__(self, other: Scan) -> Scan:
        return Scan(self.changed or other.changed, self.urgent or other.urgent)


class Scanner:
    """Scans everything, in the order in which one thing leads to the next, whenever it is time to.

    ``conditions`` is told of manifests that are in error, of roots and of events.
    """

    def __init__(
        self,
        options: WatchOptions,
        dependencies: Dependencies,
        current: CurrentManifest,
        settler: Settler,
        roots: Roots,
        conditions: Conditions,
    ) -> None:
        self._poll = options.poll
        self._check_every = min(_CHECK, options.poll)
        self._extra = options.extra_files
        self._events = dependencies.events
        self._clock = dependencies.clock
        self._cpu_seconds = dependencies.effort
        self._log = dependencies.log
        self._current = current
        self._settler = settler
        self._roots = roots
        self._conditions = conditions
        self._extra_states = stat_paths(self._extra)
        self._root_states: dict[str, RootState] = {}
        self._listens_for: tuple[object, tuple[str, ...]] = (None, ())
        self._told_roots: tuple[str, ...] = ()
        # Whether a link lies on the way to anything, so that it may lead elsewhere tomorrow.
        self._crosses_links = False
        self._is_requested = True  # something may have changed since the last scan
        self._not_before = float("-inf")  # the moment until which requests wait, lest a busy folder keeps us scanning
        self._scanned_at = float("-inf")
        self._check_at = float("-inf")
        self._cost = 0.0  # processor seconds of the last scan
        self.diagnostics: tuple[Diagnostic, ...] = ()  # what the discover rules said against single files

    def request(self) -> None:
        """Ask for a scan, as soon as the cost of the last allows: something may have changed."""
        self._is_requested = True

    def scan(self) -> Scan:
        """Scan whatever it is time to scan."""
        now = self._clock()
        due = self._events.next_due()
        is_check = now >= self._check_at or self._events.is_broken
        anew = (is_check or (due is not None and now >= due)) and self._events.check(now)
        self._is_requested |= anew
        if is_check:
            self._check_at = now + self._check_every
            condition = self._conditions.get("manifest")
            if condition is not None and condition.code.endswith("unreadable"):
                # A disk or a share that failed may work again without a trace in the file's stat.
                self._current.read_again()
                self._is_requested = True
            self._is_requested |= {root: inspect_root(root) for root in self._current.roots} != self._root_states
        found = Scan()
        trust = self._roots.next_trust()
        is_trusted = trust is not None and now >= trust
        if (self._is_requested and now >= self._not_before) or now >= self._poll_at() or is_trusted:
            found = self._scan_all(now)
        else:
            settles = self._settler.next_due()
            if settles is not None and now >= settles and self._update(self._settler.unsettled()):
                # It may be a manifest, or decide whether a model found before is gone.
                found = self._scan_all(now) | Scan(changed=True)
        self._listen(anew=anew or (found.changed and self._crosses_links))
        self._conditions.update("events", self._events.conditions())
        return found

    def scan_models(self) -> Scan:
        """Let the files' time to settle begin while a reconcile is under way; the scan itself comes after it."""
        self._is_requested = True
        if self._clock() < self._not_before:
            return Scan()
        began = self._cpu_seconds()
        changed = self._update(desired.path for desired in self._current.models)
        if changed and self._crosses_links:
            self._listens_for = None, ()  # a link may lead elsewhere now: the next scan listens anew
        self._not_before = self._clock() + _REQUEST_SHARE * (self._cpu_seconds() - began)
        return Scan(changed)

    def refresh(self) -> Scan:
        """Scan everything, unless that was done a moment ago."""
        is_fresh = self._clock() - self._scanned_at <= 0.05  # noqa: PLR2004  # seconds
        return Scan() if is_fresh else self._scan_all(self._clock())

    def pause(self, seconds: float) -> None:
        """Do not scan for a while: the last attempt failed in a way nobody foresaw."""
        self._is_requested = True
        self._not_before = self._check_at = self._clock() + seconds
        self._scanned_at = self._clock()

    def next_due(self) -> float:
        """Return when to scan next, if no scan is requested before."""
        moments = [self._check_at, self._poll_at()]
        if self._is_requested:
            moments.append(self._not_before)
        dues = (self._settler.next_due(), self._events.next_due(), self._roots.next_trust())
        return min([*moments, *(due for due in dues if due is not None)])

    def is_incomplete(self) -> bool:
        """Return whether the discover rules did not get to see all there is."""
        return any(diagnostic.severity == "error" for diagnostic in self.diagnostics)

    def _poll_at(self) -> float:
        if not self._events.needs_polling:
            return float("inf")
        # Ten thousand files on a share cost what they cost: then they are scanned less often.
        return self._scanned_at + max(self._poll, min(_POLL_SHARE * self._cost, _POLL_STRETCH * self._poll))

    def _update(self, paths: Iterable[str]) -> bool:
        """Stat some paths; return whether one of them settled."""
        return self._settler.update(self._clock(), stat_paths(paths), whole=False)

    def _scan_all(self, now: float) -> Scan:
        self._is_requested = False
        began = self._cpu_seconds()
        could_delete = self._roots.may_delete()
        found = self._scan_paths()
        may_delete_again = self._roots.may_delete() and not could_delete
        self._cost = self._cpu_seconds() - began
        self._scanned_at = now
        self._not_before = self._clock() + _REQUEST_SHARE * self._cost
        self._conditions.update("root", of_unknown_roots(self._roots.unknown))
        self._conditions.update("trust", of_replaced_roots(self._roots.replaced))
        return found | Scan(may_delete_again)

    def _scan_paths(self) -> Scan:
        """Stat every path that matters; what is found first says which others do."""
        manifests = self._current.files()
        seen = stat_paths([*manifests, *self._extra])
        upcoming = self._current.read_draft({path: seen[path] for path in manifests})
        seen |= stat_paths({desired.path for desired in self._current.models}.union(upcoming))
        changed = self._settler.update(self._clock(), seen)
        settled = {path: self._settler.settled_state(path) for path in manifests}
        is_new = all(settled.values()) and self._take_manifest({path: each for path, each in settled.items() if each})
        # After the manifest: the roots of a new one must be known before what they hold is sent, which may be at once.
        self._root_states = {root: inspect_root(root) for root in self._current.roots}
        self._roots.update(self._clock(), self._root_states)
        before, clashed = self._current.models, self._current.clashes.keys()
        self.diagnostics = self._current.discover(self._settler.settled_state, whole=self._roots.may_delete())
        if self._current.models is not before:
            if not is_new:
                self._tell_found({desired.name: desired for desired in before})
            # What was just found is scanned in the same breath, so that its time to settle begins now.
            self._update(desired.path for desired in self._current.models if desired.path not in seen)
            changed = True
        extra = {path: state for path in self._extra if (state := self._settler.settled_state(path)) is not None}
        is_urgent = is_new or bool(extra.items() - self._extra_states.items())
        self._extra_states |= extra
        return Scan(changed or is_new or clashed != self._current.clashes.keys(), is_urgent)

    def _take_manifest(self, files: Mapping[str, FileState]) -> bool:
        """Read the manifest if its files, all settled, are others than before; return whether a new one is in force."""
        outcome = self._current.refresh(files)
        if outcome is None:
            return False
        is_taken, condition = outcome
        self._conditions.set("manifest", condition)
        if is_taken:
            models, rules = len(self._current.models), len(self._current.rules)
            holds = f"{models} model{'' if models == 1 else 's'} listed"
            if rules:
                holds += f", {rules} discover rule{'' if rules == 1 else 's'}"
            self._log("manifest_loaded", f"the manifest is in force: {holds}", models=models, discover_rules=rules)
        return is_taken

    def _tell_found(self, before: Mapping[str, Desired]) -> None:
        """Tell which models came and went with their files; many at once in one line."""
        now = {desired.name: desired for desired in self._current.models}
        for event, what, names in (
            ("model_unlisted", "is gone, so nothing lists", sorted(before.keys() - now.keys())),
            ("model_listed", "was found, which makes", sorted(now.keys() - before.keys())),
        ):
            for name in names[:_MOST_TOLD]:
                desired = now.get(name) or before[name]
                self._log(event, f"{printable(desired.file)} {what} {printable(name)}", model=printable(name))
            if len(names) > _MOST_TOLD:
                self._log(event, f"and so it is with {len(names) - _MOST_TOLD} more", models=len(names))

    def _listen(self, *, anew: bool) -> None:
        """Listen where the paths lead, if they are others than before or ``anew`` is asked for."""
        current = self._current
        if not anew and self._listens_for[0] is current.manifest and self._listens_for[1] == current.folders:
            return
        self._listens_for = current.manifest, current.folders
        paths = [*current.files(), *self._extra, *(desired.path for desired in current.models)]
        listed = [path for path in current.paths if os.path.isdir(path)]  # noqa: PTH112  # strings
        listed += [*current.found_in, *current.folders]
        folders, self._crosses_links = folders_to_watch(paths, current.roots, listed)
        self._events.follow(folders, self._clock())
        if current.manifest is not None and self._told_roots != current.roots:
            self._told_roots = current.roots
            how = "on a timer" if self._events.needs_polling else "by file events"
            roots = ", ".join(printable(root) for root in self._told_roots)
            self._log("watch_listening", f"models are looked for in {roots}; changes become known {how}")
