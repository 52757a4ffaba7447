"""From the paths a user names to one `Manifest`, or to every error there is."""

# Paths stay text, as the user gave them: Path would rewrite them, and costs ten times the look-up.
# ruff: noqa: PTH112, PTH118, PTH120, PTH208

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any

from mmsync.errors import ManifestError
from mmsync.files.allowed_paths import AllowedPaths
from mmsync.manifest.entries import Rules, read_entries
from mmsync.manifest.indentation import TOP_KEYS
from mmsync.manifest.nodes import pairs
from mmsync.manifest.sections import (
    SERVER_KEYS,
    Defaults,
    read_defaults,
    read_document,
    read_scope,
    read_server,
    read_version,
)
from mmsync.manifest.types import DiscoverRule, Manifest, ServerSettings
from mmsync.manifest.yaml_loader import MAP, Budget, Page, Unreadable, paused_gc
from mmsync.types import Desired, Diagnostic, Patterns, Source


def read_manifest(
    paths: Sequence[str],
    *,
    models_dirs: Sequence[str] = (),
    check_files: bool = True,
    confined: bool = False,
    budget: float | None = None,
) -> Manifest:
    """Read all manifests together.

    Args:
        paths: YAML files, or folders of them (``*.yaml`` and ``*.yml``, hidden ones left out, not their subfolders).
            A file given twice counts once.
        models_dirs: Folders outside a manifest's own that model files may lie in.
        check_files: Whether to look for the model files and to run the discover rules. Files are scanned
            (``stat``), never opened.
        confined: Whether a manifest that a link puts outside its folder is an error, and nothing of it is read: where
            the checkout is a stranger's, an error would quote another file.
        budget: Seconds of processor time that may be spent on the text; None for as long as it takes.

    Raises:
        ManifestError: Anything is wrong in any of them; it holds every error, in the order of file, line and column.
    """
    with paused_gc():
        return _Reading(models_dirs, Budget(budget), check_files=check_files, confined=confined).read(paths)


def manifests_in(folder: str) -> list[str]:
    """Return the manifests of a folder: ``*.yaml`` and ``*.yml``, sorted, hidden ones and folders left out.

    Raises an OSError where the folder cannot be listed, or is none.
    """
    names = sorted(name for name in os.listdir(folder) if name.endswith((".yaml", ".yml")) and name[0] != ".")
    return [file for file in (os.path.join(folder, name) for name in names) if not os.path.isdir(file)]


class _Reading:
    def __init__(self, models_dirs: Sequence[str], budget: Budget, *, check_files: bool, confined: bool) -> None:
        self.budget = budget
        self.confined = confined
        self.check_files = check_files
        self.found: list[Diagnostic] = []
        self.models: list[Desired] = []
        self.taken: dict[str, Source] = {}
        self.scope: set[str] = set()
        self.server = ServerSettings()
        self.rules: list[DiscoverRule] = []
        self.stats: dict[str, os.stat_result] = {}
        self.pages: list[Page] = []
        self.extra_folders = tuple(self._models_dir(folder) for folder in models_dirs) if check_files else ()

    def read(self, paths: Sequence[str]) -> Manifest:
        files = self._files(paths)
        for file in files:
            page = Page(file, self.budget, confined=self.confined)
            try:
                self._read_one(page)
            except Unreadable as error:
                page.add_error(*error.args)
            self.found += page.found
            self.pages.append(page)
        if self.check_files and self.rules:
            from mmsync.manifest.discovery import discover  # noqa: PLC0415 - see read_rules

            discovered = discover(self.rules, self.models, self.stats)
            self.models += discovered.models
            self.stats.update(discovered.stats)
            self.found += discovered.diagnostics
        # What is wrong with an anchor is wrong wherever it is merged: once is enough.
        self.found = sorted(dict.fromkeys(self.found), key=lambda diagnostic: diagnostic.source or ("", 0, 0))
        if errors := [diagnostic for diagnostic in self.found if diagnostic.severity == "error"]:
            raise ManifestError(self._with_excerpts(errors))
        return Manifest(
            models=tuple(sorted(self.models)),  # names are unique: nothing but the name is compared
            scope=tuple(sorted(self.scope)),
            server=self.server,
            paths=tuple(sorted(files)),
            stats=MappingProxyType(self.stats),
            warnings=tuple(self._with_excerpts(self.found)),
            discover=tuple(self.rules),
        )

    def _with_excerpts(self, found: list[Diagnostic]) -> list[Diagnostic]:
        if not found:
            return found
        from mmsync.manifest.excerpts import with_excerpts  # noqa: PLC0415 - 2 ms, and most manifests are in order

        return with_excerpts(found, {page.file: (page.text, page.private) for page in self.pages})

    def _read_one(self, page: Page) -> None:
        root, rows = read_document(page)
        found = pairs(page, root, TOP_KEYS, "the manifest", secretive=True)
        if root.tag != MAP:
            return
        read_version(page, root, found.get("version"))
        if "server" in found:
            self._merge_server(page, read_server(page, found["server"]))
        scope = read_scope(page, found["scope"]) if "scope" in found else None
        self.scope.update(scope or ())
        defaults = read_defaults(page, found["defaults"]) if "defaults" in found else Defaults()
        folder = os.path.dirname(page.file)
        admitted = (os.path.realpath(folder or "."), *self.extra_folders) if self.check_files else ()
        if "models" in found:
            check = AllowedPaths(admitted, self.stats).check if self.check_files else None
            rules = Rules(defaults, Patterns(scope) if scope else None, folder, self.taken, check)
            self.models += read_entries(page, found["models"], rules, rows)
        elif "discover" not in found:
            hint = "list the models, or write `models: []` for none"
            page.add_error(root, "missing-key", "the manifest has no models", hint)
        if "discover" in found:
            from mmsync.manifest.discover_rules import read_rules  # noqa: PLC0415 - 1 ms with discovery, for few manifests

            self.rules += read_rules(page, found["discover"], defaults, folder, admitted, scope or None)

    def _merge_server(self, page: Page, server: ServerSettings) -> None:
        first = self.server
        if first.source is None:
            self.server = server
            return
        merged = {}
        for key in SERVER_KEYS:
            ours, theirs = getattr(first, key), getattr(server, key)
            merged[key] = theirs if ours is None else ours
            if None not in (ours, theirs) and ours != theirs:
                summary = f"server {key} differs from that of another manifest"
                page.add_error(server.source, "server-conflict", summary, f"the first is at {first.source}")
        self.server = ServerSettings(**merged, source=first.source)

    def _files(self, paths: Sequence[str]) -> list[str]:
        files: dict[str, str] = {}
        for path in map(os.fspath, [paths] if isinstance(paths, str) else paths):
            try:
                is_folder = os.path.isdir(path)
            except ValueError:
                is_folder = False
            for file in self._in_folder(path) if is_folder else [path]:
                files.setdefault(os.path.realpath(file) if "\0" not in file else file, file)
        if not paths:
            self._add_error(None, "no-manifests", "no manifest is given", "name one with -f")
        return list(files.values())

    def _in_folder(self, folder: str) -> Iterable[str]:
        try:
            files = manifests_in(folder)
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            summary = f"the folder cannot be listed: {reason}"
            self._add_error(Source(folder, 1), "unreadable", summary, "check permissions")
            return []
        if not files:
            hint = "add one (*.yaml or *.yml), or name a file with -f"
            self._add_error(Source(folder, 1), "no-manifests", "the folder holds no manifest", hint)
        return files

    def _models_dir(self, folder: str) -> str:
        if "\0" in folder or not os.path.isdir(folder):
            self._add_error(Source(folder, 1), "models-dir", "there is no such folder", "check --models-dir")
            return "/dev/null"
        return os.path.realpath(folder)

    def _add_error(self, source: Source | None, code: str, summary: str, hint: str) -> None:
        self.found.append(Diagnostic("error", f"manifest/{code}", summary, hint, source))


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a manifest, a new copy at each call.

    It says what can be said without the file system: positions, duplicate names, scope and files are
    `read_manifest`'s to check. It asks for ``version``, whose absence the reader only warns of.
    """
    import json  # noqa: PLC0415 - 2 ms for both, and no reader of a manifest needs them
    import pkgutil  # noqa: PLC0415

    found: dict[str, Any] = json.loads(pkgutil.get_data("mmsync.manifest", "schema.json") or b"")
    return found
