"""Models found by rule: every matching file that no entry lists."""

# Paths stay text, as the user gave them: Path would rewrite them.
# ruff: noqa: PTH100, PTH112, PTH116, PTH119, PTH120, PTH122

from __future__ import annotations

import os
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from mmsync.manifest.entry import in_folder, outside
from mmsync.manifest.places import Places
from mmsync.manifest.walk import Match, walk
from mmsync.manifest.wording import name_fault
from mmsync.patterns import Patterns, is_glob
from mmsync.printable import printable
from mmsync.states import Desired, Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mmsync.manifest.model import DiscoverRule

__all__ = ["Discovery", "discover"]


_MOST_ASIDE = 5  # of what is left out, in warnings


class Discovery(NamedTuple):
    """What the rules found.

    Attributes:
        models: One for each file, in the order of rules and paths, those without fault only.
        stats: What ``stat`` said of each, links followed, by ``Desired.path``.
        diagnostics: Faults and warnings, each at its rule's place. With a fault among them the models are not all.
        folders: The folders in which a file that matches a rule may lie.
    """

    models: tuple[Desired, ...]
    stats: Mapping[str, os.stat_result]
    diagnostics: tuple[Diagnostic, ...]
    folders: tuple[str, ...]


def discover(
    rules: Iterable[DiscoverRule],
    listed: Iterable[Desired] = (),
    stats: Mapping[str, os.stat_result] = MappingProxyType({}),
) -> Discovery:
    """Find the models that the rules speak of.

    Every matching regular file is one, unless it is listed, an earlier rule took it, or its name is hidden or that of
    a temporary file. Nothing is opened. A folder that cannot be listed is a fault, never an empty folder: whoever
    deletes what is gone must not take a lost mount for an empty one.

    Args:
        rules: The rules, from `Manifest.discover`.
        listed: The models listed by hand, from `Manifest.models`.
        stats: Stats of their files, as far as known.
    """
    search = _Search(listed, stats)
    for rule in rules:
        search.run(rule)
    # What was looked at and left out has a stat as well.
    found_stats = {model.path: search.stats[model.path] for model in search.models}
    return Discovery(tuple(search.models), found_stats, tuple(search.diagnostics), tuple(search.folders))


class _Search:
    def __init__(self, listed: Iterable[Desired], stats: Mapping[str, os.stat_result]) -> None:
        self.models: list[Desired] = []
        self.stats: dict[str, os.stat_result] = {}
        self.diagnostics: list[Diagnostic] = []
        self.folders: dict[str, None] = {}
        self.named: dict[str, Desired] = {}
        # A file is known again by its real path; the inode, which hard links share, only says where to look closer.
        self.by_inode: dict[tuple[int, int], list[str]] = {}
        for model in listed:
            self.named[model.name] = model
            status = stats.get(model.path)
            if status is None:
                try:
                    status = os.stat(model.path)
                except (OSError, ValueError):
                    continue
            self.by_inode.setdefault((status.st_dev, status.st_ino), []).append(model.path)

    def run(self, rule: DiscoverRule) -> None:
        *folders, last = [part for part in rule.glob.split("/") if part not in ("", ".")]
        fixed = next((index for index, part in enumerate(folders) if is_glob(part)), len(folders))
        prefix = ("/" if rule.glob.startswith("/") else "") + "/".join(folders[:fixed])
        start = in_folder(rule.folder, prefix) if prefix else rule.folder
        places = Places(rule.admitted, self.stats)
        if os.path.isdir(start or ".") and not places.admits(os.path.realpath(start or ".")):
            way_on = "move it inside, or admit it with --models-dir"
            self._note(rule, "discover-outside", f"{start}: the folder is outside the manifest's", way_on)
            return
        seen = walk(start, (*folders[fixed:], last), places.admits)
        self.folders |= dict.fromkeys(seen.folders)
        for folder, reason in seen.failed:
            summary = f"{folder or '.'}: the folder cannot be searched: {reason}"
            self._note(rule, "discover-unreadable", summary, "see to the folder, or change the glob")
        scope = Patterns(rule.scope) if rule.scope else None
        for match in seen.matches:
            file = f"{prefix.rstrip('/')}/{match.path}" if prefix else match.path
            model = self._model(rule, places, match, file)
            if model is None:
                continue
            if scope is not None and model.name not in scope:
                summary, way_on = outside(model.name, scope)
                self._note(rule, "outside-scope", f"{file}: {summary}", way_on, model=model.name)
            elif (first := self.named.setdefault(model.name, model)) is not model:
                summary = f"{file}: its name, {printable(model.name, 60)}, is also that of {first.file}"
                way_on = "rename one, or put {parent} in the rule's name"
                self._note(rule, "duplicate-name", summary, way_on, model=model.name)
            else:
                self.models.append(model)
        for path in seen.aside[:_MOST_ASIDE]:
            shown = f"{prefix.rstrip('/')}/{path}" if prefix else path
            more = f" (and {len(seen.aside) - _MOST_ASIDE} more)" if len(seen.aside) > _MOST_ASIDE else ""
            summary = (
                f"{shown}{more}: left out, by its name a recycle bin or a copy that a sync tool made of a conflict"
            )
            self._note(rule, "discover-aside", summary, "to take it all the same, name it in the glob", warning=True)
        if not seen.matches and not seen.failed:
            self._note(rule, "discover-empty", f"no file matches {rule.glob}", "check the glob", warning=True)

    def _model(self, rule: DiscoverRule, places: Places, match: Match, file: str) -> Desired | None:
        path = in_folder(rule.folder, file)
        if refusal := places.look(path):
            code, summary, way_on = refusal
            # What is gone since it was listed, or no regular file, is no model; a link that leads nowhere is told.
            if code not in ("file-missing", "file-not-regular"):
                self._note(rule, code, f"{file}: {summary}", way_on)
            elif match.is_link and code == "file-missing":
                self._note(rule, "discover-skipped", f"{file}: a link that leads nowhere", "remove it", warning=True)
            return None
        status = self.stats[path]
        known = self.by_inode.setdefault((status.st_dev, status.st_ino), [])
        if known and os.path.realpath(path) in {os.path.realpath(other) for other in known}:
            return None
        stem = os.path.splitext(os.path.basename(file))[0]
        parent = os.path.basename(os.path.dirname(os.path.abspath(path)))
        name = re.sub(r"\{(stem|parent)\}", lambda found: stem if found[1] == "stem" else parent, rule.name)
        if not _is_utf8(file):
            fault: tuple[str, str] | None = ("its path is not UTF-8", "")
        elif file.isprintable():
            fault = name_fault(name)
        else:
            fault = ("its path holds a control character", "")
        if fault:
            summary = f"{file}: not taken as a model: {fault[0]}"
            self._note(rule, "discover-skipped", summary, "rename the file", warning=True)
            return None
        known.append(path)
        may_change = rule.allow_signature_change
        return Desired(name, rule.engine, file, path, rule.description, None, may_change, rule.source, rule.inspect)

    def _note(
        self, rule: DiscoverRule, code: str, summary: str, way_on: str, *, model: str = "", warning: bool = False
    ) -> None:
        severity = "warning" if warning else "error"
        said = printable(summary)
        self.diagnostics.append(
            Diagnostic(severity, f"manifest/{code}", said, way_on, rule.source, printable(model))  # type: ignore[arg-type]
        )


def _is_utf8(file: str) -> bool:
    try:
        file.encode()
    except UnicodeEncodeError:  # Python carries bytes that are not UTF-8 as lone surrogates
        return False
    return True
