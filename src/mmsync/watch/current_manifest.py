"""The manifest in force: the last good one, whatever lies on disk at the moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mmsync.errors import FileError, ManifestError
from mmsync.manifest import DiscoverRule, Manifest, discover, manifests_in, read_manifest
from mmsync.types import Desired, Diagnostic, is_glob
from mmsync.watch.conditions import Condition
from mmsync.watch.settle import MISSING, FileState

_READING = 60.0  # seconds of processor time: a manifest that takes more must not keep the others from their turn
_MOST_FAULTS = 5  # named in one message; `mmsync validate` names all


class CurrentManifest:
    """The manifest in force, with the models discovered by its rules.

    Args:
        paths: Manifests or folders of them, as the user named them.
        models_dirs: Folders outside the manifests' own that model files may lie in.

    Attributes:
        manifest: What was read last without an error; None until then.
        folders: Where the rules were found to lead: the folders in which a model may appear.
        clashes: By name, why it is left alone: a second file claims it.
    """

    def __init__(self, paths: Sequence[str], models_dirs: Sequence[str] = ()) -> None:
        self.paths = tuple(paths)
        self.models_dirs = tuple(models_dirs)
        self.manifest: Manifest | None = None
        self.clashes: dict[str, FileError] = {}
        self.folders: tuple[str, ...] = ()
        self._read_as: dict[str, FileState] | None = None
        self._drafted_as: dict[str, FileState] | None = None
        self._draft: Manifest | ManifestError | None = None
        self._upcoming: tuple[str, ...] = ()
        self._rules: tuple[DiscoverRule, ...] = ()
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
    def rules(self) -> int:
        """Return how many discover rules there are."""
        return len(self._rules)

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders that model files come from: the manifests' own, those admitted, those models are found in."""
        own = {path if os.path.isdir(path) else os.path.dirname(path) or "." for path in self.paths}  # noqa: PTH112, PTH120
        return tuple(sorted(own | set(self.models_dirs) | set(self.found_in)))

    @property
    def found_in(self) -> tuple[str, ...]:
        """The folders that discover rules list: of each rule, the part before its first wildcard."""
        return tuple(sorted({_listed_folder(rule) for rule in self._rules}))

    def read_draft(self, files: Mapping[str, FileState]) -> tuple[str, ...]:
        """Read ahead: return the model files of the manifest as it lies on disk, so that their rest can begin.

        Args:
            files: The manifests' files, settled or not.

        Returns:
            The paths, those of discovered models included; of a broken manifest, none.
        """
        if files != self._drafted_as:
            self._drafted_as = dict(files)
            # Without the files: one that is missing or being replaced must not hold up the others.
            try:
                self._draft = read_manifest(
                    self.paths, models_dirs=self.models_dirs, check_files=False, budget=_READING
                )
            except ManifestError as error:
                self._draft = error
            self._upcoming = ()
            if isinstance(self._draft, Manifest):
                found = discover(self._admitted_rules(self._draft), self._draft.models).models
                self._upcoming = tuple(desired.path for desired in (*self._draft.models, *found))
        return self._upcoming

    def refresh(self, files: Mapping[str, FileState]) -> tuple[bool, Condition | None] | None:
        """Put the manifest into force if its files are others than those of the last one.

        Returns:
            None where nothing changed; else whether a new manifest is in force, and the problem if not.
        """
        if files == self._read_as:
            return None
        self.read_draft(files)
        self._read_as = dict(files)
        draft, self._upcoming = self._draft, ()
        if not isinstance(draft, Manifest):
            return False, _condition(draft, has_last=self.manifest is not None) if draft else None
        self._listed = {desired.name: desired for desired in draft.models}
        self._rules = self._admitted_rules(draft)
        self._discovered = {}
        self.clashes = {}
        self.folders = ()
        self.manifest = draft
        return True, None

    def read_again(self) -> None:
        """Forget what was read, so that the next look reads."""
        self._read_as = self._drafted_as = None

    def admitted(self, manifest: str) -> tuple[str, ...]:
        """Return the folders, links resolved now, that the files of a manifest may lie in."""
        folder = os.path.dirname(manifest) or "."  # noqa: PTH120  # paths stay text
        return tuple(os.path.realpath(each) for each in (folder, *self.models_dirs))

    def _admitted_rules(self, manifest: Manifest) -> tuple[DiscoverRule, ...]:
        """Complete the rules: a manifest read without its files says nothing of where they may lie."""
        return tuple(replace(rule, admitted=self.admitted(rule.source.file)) for rule in manifest.discover)

    def discover(self, settled_state: Callable[[str], FileState | None], *, whole: bool) -> tuple[Diagnostic, ...]:
        """Run the discover rules.

        A model found before stays until its file has been missing for the settle time: a file that is replaced
        by removing it first is not a file removed.

        Args:
            settled_state: The settled state of a path.
            whole: Whether the folders are to be trusted; if not, no model found before is given up.

        Returns:
            What is wrong with single files or folders; nothing else is held up by it.
        """
        if not self._rules or self.manifest is None:
            return ()
        # A link may lead elsewhere today: where files may lie is resolved each time.
        self._rules = self._admitted_rules(self.manifest)
        found = discover(self._rules, self._listed.values())
        self.folders = found.folders
        errors = [diagnostic for diagnostic in found.diagnostics if diagnostic.severity == "error"]
        models = {desired.name: desired for desired in found.models}
        # As in a plan: of two files that claim a name none is taken, lest a backup copy goes live.
        self.clashes = {
            diagnostic.model: FileError(
                {**self._listed, **models}[diagnostic.model].file,
                f"left alone: {diagnostic.summary}",
                diagnostic.detail,
            )
            for diagnostic in found.diagnostics
            if diagnostic.code == "manifest/duplicate-name"
        }
        missed = {name: desired for name, desired in self._discovered.items() if name not in models}
        # All or none: a folder being emptied is judged when that is over, so that the guards see it whole.
        if errors or not whole or any(settled_state(desired.path) != MISSING for desired in missed.values()):
            models |= missed
        if models != self._discovered:
            self._discovered = models
            self.manifest = replace(self.manifest, models=tuple(sorted((*self._listed.values(), *models.values()))))
        return found.diagnostics


def _listed_folder(rule: DiscoverRule) -> str:
    plain: list[str] = []
    for part in rule.glob.split("/")[:-1]:
        if is_glob(part):
            break
        plain.append(part)
    return os.path.join(rule.folder, *plain) or "."  # noqa: PTH118  # paths stay text


def _condition(error: ManifestError, *, has_last: bool) -> Condition:
    diagnostics = [str(diagnostic) for diagnostic in error.diagnostics[:_MOST_FAULTS]]
    if len(error.diagnostics) > _MOST_FAULTS:
        diagnostics.append(f"and {len(error.diagnostics) - _MOST_FAULTS} more (mmsync validate shows them)")
    stays = "the last good one stays in force" if has_last else "nothing is done until it is mended"
    return Condition(
        "manifest",
        "",
        f"the manifest has errors; {stays}: {'; '.join(diagnostics)}",
        error.diagnostics[0].code,
        "the manifest is good again",
    )
