"""The manifest in force: the last good one, whatever lies on disk at the moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from mmsync.errors import FileError, ManifestError
from mmsync.manifest import DiscoverRule, Manifest, discover, manifests_in, read_manifest
from mmsync.types import Desired, Diagnostic, is_glob
from mmsync.watch.conditions import Condition
from mmsync.watch.settle import MISSING, FileState

_READING = 60.0  # seconds of processor time: a manifest that takes more must not keep the others from being read
_MOST_ERRORS = 5  # named in one message; `mmsync validate` names all


class CurrentManifest:
    """The manifest in force, with the models discovered by its rules."""

    def __init__(self, paths: Sequence[str], models_dirs: Sequence[str]) -> None:
        self.paths = tuple(paths)  # manifests or folders of them, as the user named them
        self._models_dirs = tuple(models_dirs)  # folders outside the manifests' own that model files may lie in
        self.manifest: Manifest | None = None  # what was read last without an error; None until then
        self.rules: tuple[DiscoverRule, ...] = ()
        self.diagnostics: tuple[Diagnostic, ...] = ()  # of the manifest on disk: its errors, or else its warnings
        self.clashes: dict[str, FileError] = {}  # by name, why it is left alone: a second file claims it
        self.folders: tuple[str, ...] = ()  # where the rules were found to lead: there a model may appear
        self._read_as: dict[str, FileState] | None = None
        self._drafted_as: dict[str, FileState] | None = None
        self._draft: Manifest | ManifestError | None = None
        self._upcoming: tuple[str, ...] = ()
        self._listed: dict[str, Desired] = {}
        self._discovered: dict[str, Desired] = {}

    def files(self) -> list[str]:
        """Return the files the manifests are read from: each path, or the manifests of a folder."""
        found: list[str] = []
        for path in self.paths:
            try:
                found += manifests_in(path)
            except OSError:
                found.append(path)
        return found

    @property
    def models(self) -> tuple[Desired, ...]:
        """Every model asked for, listed or discovered, by name."""
        return self.manifest.models if self.manifest else ()

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders that model files come from: the manifests' own, those admitted, those models are found in."""
        own = (path if os.path.isdir(path) else os.path.dirname(path) for path in self.paths)  # noqa: PTH112, PTH120
        return tuple(sorted({*(folder or "." for folder in own), *self._models_dirs, *self.found_in}))

    @property
    def found_in(self) -> tuple[str, ...]:
        """The folders that discover rules list: of each rule, the part before its first wildcard."""
        plain = (
            (rule.folder, *takewhile(lambda part: not is_glob(part), rule.glob.split("/")[:-1])) for rule in self.rules
        )
        return tuple(sorted({os.path.join(*parts) or "." for parts in plain}))  # noqa: PTH118  # paths stay text

    def read_draft(self, files: Mapping[str, FileState]) -> tuple[str, ...]:
        """Read ahead: return the paths of all models of the manifest as it lies on disk, so that they begin to settle.

        Its ``files`` may have settled or not. Of a broken manifest there are none.
        """
        if files != self._drafted_as:
            self._drafted_as = dict(files)
            # Without the files: one that is missing or being replaced must not hold up the others.
            try:
                dirs = self._models_dirs
                self._draft = read_manifest(self.paths, models_dirs=dirs, check_files=False, budget=_READING)
            except ManifestError as error:
                self._draft = error
            self._upcoming = ()
            if isinstance(self._draft, Manifest):
                found = discover(self._admitted_rules(self._draft), self._draft.models).models
                self._upcoming = tuple(desired.path for desired in (*self._draft.models, *found))
        return self._upcoming

    def refresh(self, files: Mapping[str, FileState]) -> tuple[bool, Condition | None] | None:
        """Put the manifest into force if its files are others than those of the last one.

        Return None where nothing changed; else whether a new manifest is in force, and the condition if not.
        """
        if files == self._read_as:
            return None
        self.read_draft(files)
        self._read_as = dict(files)
        draft, self._upcoming = self._draft, ()
        self.diagnostics = (
            () if draft is None else tuple(draft.diagnostics if isinstance(draft, ManifestError) else draft.warnings)
        )
        if not isinstance(draft, Manifest):
            return False, _condition(draft, has_last=self.manifest is not None) if draft else None
        self._listed = {desired.name: desired for desired in draft.models}
        self.rules = self._admitted_rules(draft)
        self._discovered = {}
        self.clashes = {}
        self.folders = ()
        self.manifest = draft
        return True, None

    def read_again(self) -> None:
        """Forget what was read, so that the next scan reads."""
        self._read_as = self._drafted_as = None

    def admitted(self, manifest: str) -> tuple[str, ...]:
        """Return the folders, links resolved now, that the files of a manifest may lie in."""
        folder = os.path.dirname(manifest) or "."  # noqa: PTH120  # paths stay text
        return tuple(os.path.realpath(each) for each in (folder, *self._models_dirs))

    def _admitted_rules(self, manifest: Manifest) -> tuple[DiscoverRule, ...]:
        """Complete the rules: a manifest read without its files says nothing of where they may lie."""
        return tuple(replace(rule, admitted=self.admitted(rule.source.file)) for rule in manifest.discover)

    def discover(self, settled_state: Callable[[str], FileState | None], *, whole: bool) -> tuple[Diagnostic, ...]:
        """Run the discover rules; return what is wrong with single files or folders, which holds up nothing else.

        A model found before stays until its file has been missing for the settle time: a file that is replaced
        by removing it first is not a file removed. Unless the folders are ``whole``, none found before is given up.
        """
        if not self.rules or self.manifest is None:
            return ()
        # A link may lead elsewhere today: where files may lie is resolved each time.
        self.rules = self._admitted_rules(self.manifest)
        found = discover(self.rules, self._listed.values())
        self.folders = found.folders
        errors = [diagnostic for diagnostic in found.diagnostics if diagnostic.severity == "error"]
        models = {desired.name: desired for desired in found.models}
        # As in a plan: of two files that claim a name none is taken, lest a backup copy goes live.
        self.clashes = {}
        for one in found.diagnostics:
            if one.code == "manifest/duplicate-name":
                desired = models.get(one.model) or self._listed[one.model]
                self.clashes[one.model] = FileError(desired.file, f"left alone: {one.summary}", one.detail)
        missed = {name: desired for name, desired in self._discovered.items() if name not in models}
        # All or none: a folder being emptied is judged when that is over, so that the guards see it whole.
        if errors or not whole or any(settled_state(desired.path) != MISSING for desired in missed.values()):
            models |= missed
        if models != self._discovered:
            self._discovered = models
            self.manifest = replace(self.manifest, models=tuple(sorted((*self._listed.values(), *models.values()))))
        return found.diagnostics


def _condition(error: ManifestError, *, has_last: bool) -> Condition:
    diagnostics = [str(diagnostic) for diagnostic in error.diagnostics[:_MOST_ERRORS]]
    if len(error.diagnostics) > _MOST_ERRORS:
        diagnostics.append(f"and {len(error.diagnostics) - _MOST_ERRORS} more (mmsync validate shows them)")
    stays = "the last good one stays in force" if has_last else "nothing is done until it is mended"
    message = f"the manifest has errors; {stays}: {'; '.join(diagnostics)}"
    return Condition("manifest", "", message, error.diagnostics[0].code, "the manifest is good again")
