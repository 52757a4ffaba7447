"""Additions to a manifest that is there: which models can be listed, and why not the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from mmsync.errors import MmsyncError, SettingsError
from mmsync.files.allowed_paths import AllowedPaths
from mmsync.files.atomic import rewrite
from mmsync.manifest import Manifest, read_manifest
from mmsync.manifest.writer import Entry, unlistable
from mmsync.printable import printable
from mmsync.types import Desired, Patterns


class _HasFile(Protocol):
    @property
    def file(self) -> str: ...  # relative to the manifest


_Model = TypeVar("_Model", bound=_HasFile)


class Skipped(NamedTuple):
    """A model that is not added."""

    entry: Entry
    why: str
    hint: str = ""
    is_listed: bool = False  # whether because the manifest lists it already


class Additions(NamedTuple):
    """The entries that come into a manifest and those that do not, each in the order it was offered."""

    added: Sequence[Entry]
    skipped: Sequence[Skipped]


class CannotAdd(MmsyncError):
    """The manifest is of a form that entries cannot be added to; nothing was written.

    Attributes:
        lines: What to put under ``models:`` by hand.
    """

    def __init__(self, path: str, why: str, lines: str) -> None:
        hint = "put the lines above under models: yourself" if lines else ""
        super().__init__(f"{path}: entries cannot be added without rewriting it: {why}; nothing was written", hint)
        self.lines = lines


class ManifestFile:
    """A manifest as it was read, to be extended; discover rules are followed, so that what they find is not listed."""

    def __init__(self, path: str, *, models_dirs: Sequence[str] = (), confined: bool = False) -> None:
        """Read it, or begin without one; raises `ManifestError` where it has errors, or an OSError."""
        self.path = path
        self.is_new = not os.path.lexists(path)
        self.folder = os.path.dirname(path)  # noqa: PTH120 - as the reader of manifests has it
        self._models_dirs = models_dirs
        self._data = b""
        self.manifest = Manifest(())
        if self.is_new:
            return
        self._data = Path(path).read_bytes()
        found = read_manifest([path], models_dirs=models_dirs, check_files=False, confined=confined)
        if found.discover:
            found = read_manifest([path], models_dirs=models_dirs, confined=confined)
        self.manifest = found

    def unlisted(self, models: Iterable[_Model]) -> list[_Model]:
        """Return those whose files the manifest does not list."""
        listed = {os.path.realpath(model.path) for model in self.manifest.models}
        return [model for model in models if os.path.realpath(os.path.join(self.folder, model.file)) not in listed]  # noqa: PTH118

    def choose(self, offered: Iterable[Entry], *, check_files: bool = True) -> Additions:
        """Return which of these entries can be added; none may have a name twice, nor be outside the scope or folder."""
        folders = (os.path.realpath(self.folder or "."), *map(os.path.realpath, self._models_dirs))
        allowed = AllowedPaths(folders, {}) if check_files else None
        scope = Patterns(self.manifest.scope) if self.manifest.scope else None
        named = {model.name: model for model in self.manifest.models}
        by_file = {os.path.realpath(model.path): model for model in self.manifest.models}
        added: dict[str, Entry] = {}
        skipped: list[Skipped] = []
        for entry in offered:
            reason = self._reason(entry, named, by_file, scope, allowed)
            if not reason and entry.name in added:
                reason = Skipped(entry, f"the name is also that of {added[entry.name].file}", "give it one with --name")
            if reason:
                skipped.append(reason)
            else:
                added[entry.name] = entry
        return Additions(list(added.values()), skipped)

    def _reason(
        self,
        entry: Entry,
        named: Mapping[str, Desired],
        by_file: Mapping[str, Desired],
        scope: Patterns | None,
        allowed: AllowedPaths | None,
    ) -> Skipped | None:
        """Return why an entry cannot be added, or None."""
        path = os.path.join(self.folder, entry.file)  # noqa: PTH118 - as the reader of manifests has it
        if (model := named.get(entry.name)) is not None:
            is_listed = os.path.realpath(model.path) == os.path.realpath(path)
            why = f"{self._place(model)} lists it already"
            if is_listed:
                return Skipped(entry, why, is_listed=True)
            return Skipped(entry, f"{self._place(model)} lists another file of this name", "give it one with --name")
        if (model := by_file.get(os.path.realpath(path))) is not None:
            why = f"{self._place(model)} lists its file as {printable(model.name)}"
            return Skipped(entry, why, is_listed=True)
        if error := unlistable(entry.name, entry.engine):
            return Skipped(entry, error, "give it another with --name")
        if not entry.file.isprintable():
            return Skipped(entry, "a manifest cannot hold the characters of its path", "rename the file")
        if scope is not None and entry.name not in scope:
            globs = ", ".join(printable(glob, 60) for glob in self.manifest.scope[:5])
            return Skipped(entry, "its name is outside the manifest's scope", f"rename it, or widen scope: {globs}")
        if allowed and (denial := allowed.check(path)):
            return Skipped(entry, denial.summary, denial.detail)
        return None

    def _place(self, model: Desired) -> str:
        return printable(f"{model.source.file}:{model.source.line}", 4096)

    def add(self, entries: Sequence[Entry]) -> None:
        """Write the entries into the file: whole or not at all, through a link, with the mode it has.

        It must be there. Raises `CannotAdd` where its form does not let them in by added lines, `SettingsError` where it was changed
        since it was read, and an OSError of the disk.
        """
        from mmsync.manifest.append import CannotAppend, append_entries, pasted  # noqa: PLC0415 - 1 ms, not for --help

        if not entries:
            return
        try:
            data = append_entries(self._data, entries)
        except CannotAppend as error:
            raise CannotAdd(printable(self.path, 4096), str(error), pasted(entries)) from error
        try:
            rewrite(Path(self.path), data, was=self._data)
        except FileExistsError as error:
            shown = printable(self.path, 4096)
            raise SettingsError(f"{shown} was changed meanwhile; nothing was written", "run it again") from error


def relative(file: str, folder: str) -> str:
    """Return the path of a file relative to a manifest's folder, with links in its folders resolved, not its own."""
    place = os.path.join(os.path.realpath(os.path.dirname(file) or "."), os.path.basename(file))  # noqa: PTH118, PTH119, PTH120
    return Path(os.path.relpath(place, os.path.realpath(folder or "."))).as_posix()
