"""Models found by rule: every matching file that no entry lists."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from itertools import islice
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

from mmsync.files.allowed_paths import AllowedPaths
from mmsync.manifest.discover_rules import PLACEHOLDER
from mmsync.manifest.entries import in_folder, outside
from mmsync.manifest.nodes import name_error, name_warning, unprintable_part
from mmsync.manifest.types import SCHEMA_NAME, DiscoverRule
from mmsync.printable import printable
from mmsync.types import Desired, Diagnostic, Patterns, is_glob

# Paths stay text, as the user gave them: Path would rewrite them.
# ruff: noqa: PTH100, PTH112, PTH116, PTH119, PTH120, PTH122

BACKUP_MARK = ".mmsync-backup"
"""The name of the file that says that a folder, and all below it, is for backups: no rule looks in there."""

_MOST_ASIDE = 5  # of what is left out, in warnings
_TEMPORARY = re.compile(
    r"\.|#.*#\Z|.*(?:~|\.(?:tmp|temp|part|partial|filepart|crdownload|download|sw[a-p]|bak|lock))\Z",
    re.IGNORECASE | re.DOTALL,
)

# Where shares keep what was deleted or replaced, what sync tools call a copy they could not merge, and the folder that
# every ext4 disk has and nobody may list.
_ASIDE = re.compile(
    r"(?:[#@]recycle|\$recycle\.bin|recycler?|recycled|@recently-snapshot|@eadir|@tmp|#snapshot|~snapshot|lost\+found"
    r"|system volume information)\Z"
    r"|.*(?:\.sync-conflict-|_conflict-\d{8}|\(conflicted copy|\([^()]*'s conflicted copy|\(case conflict|\[conflict)",
    re.IGNORECASE | re.DOTALL,
)


class Walk:
    """A walk for what matches the glob ``parts`` between its slashes; ``**`` is any number of folders, none included.

    Hidden and temporary names are passed over, folders too, and folders of backups (`BACKUP_MARK`); so are recycle bins and conflict copies, unless a part of
    the glob is such a name itself. Folders are entered once each, by (device, inode), real ones before those behind
    links: where a folder has two ways in, the way without a link counts. ``admits`` tells of a folder, links
    resolved, whether links may lead there.
    """

    def __init__(self, parts: tuple[str, ...], admits: Callable[[str], bool]) -> None:
        # everything that matches and is no folder, by its path below the start; whether it is a link
        self.matches: dict[str, bool] = {}
        # folders that could not be listed or entered, each with the reason; what is in them is not known
        self.failed: list[tuple[str, str]] = []
        self.folders: dict[str, None] = {}  # the folders that were entered
        # what was left out because of its name: recycle bins, and the copies sync tools make of a conflict
        self.aside: dict[str, None] = {}
        # A run of ** is one: each would be one more way to go through every folder.
        self._parts = parts = tuple(
            part for part, before in zip(parts, ("", *parts), strict=False) if not part == before == "**"
        )
        self._patterns = [re.compile(translate(part)).match for part in parts]
        self._admits = admits
        self._seen: set[tuple[int, int, int]] = set()
        self._real: deque[tuple[str, str, int]] = deque()
        self._behind_links: deque[tuple[str, str, int]] = deque()

    def run(self, start: str) -> Self:
        """Walk through the folder ``start``."""
        self._real.append((start, "", 0))
        while self._real or self._behind_links:
            through_link = not self._real
            folder, below, at = (self._behind_links if through_link else self._real).popleft()
            try:
                self._enter(folder, below, at, through_link=through_link)
            except FileNotFoundError:
                # Gone since it was listed, and what was in it with it; the start alone has to be there.
                if folder == start:
                    self.failed.append((folder, "there is no such folder"))
            except OSError as error:
                self.failed.append((folder, (error.strerror or "unknown error").lower()))
        return self

    def _enter(self, folder: str, below: str, at: int, *, through_link: bool) -> None:
        status = os.stat(folder or ".")
        if (status.st_dev, status.st_ino, at) in self._seen:
            return
        if through_link and not self._admits(os.path.realpath(folder)):
            self.failed.append((folder, "it is a link to outside the manifest's folder"))
            return
        # One folder may be entered at several places of the glob, but at each only once.
        self._seen.add((status.st_dev, status.st_ino, at))
        self.folders[folder or "."] = None
        positions = [at]  # of the parts that a name may be held against: behind ``**`` also the next one
        while self._parts[positions[-1]] == "**" and positions[-1] + 1 < len(self._parts):
            positions.append(positions[-1] + 1)
        with os.scandir(folder or ".") as entries:
            listed = list(entries)
        if any(entry.name == BACKUP_MARK for entry in listed):
            return
        found = [entry for entry in listed if not _TEMPORARY.match(entry.name)]
        # A name is a name before it is a pattern: where there is a file m[1].onnx, that one is meant and not m1.onnx.
        literal = {at: self._parts[at] for at in positions if is_glob(self._parts[at]) and self._parts[at] != "**"}
        names = {entry.name for entry in found} if literal else frozenset()
        literal = {at: part for at, part in literal.items() if part in names}
        for entry in found:
            self._take(entry, folder, below, [at for at in positions if literal.get(at, entry.name) == entry.name])

    def _take(self, entry: os.DirEntry[str], folder: str, below: str, positions: list[int]) -> None:
        path = f"{below}/{entry.name}" if below else entry.name
        is_link = entry.is_symlink()
        try:
            is_folder = entry.is_dir()
        except OSError:  # links in a circle: a name like any other, refused when it is checked
            is_folder = False
        is_aside = _ASIDE.match(entry.name)
        for at in positions:
            deep = self._parts[at] == "**"
            if not deep and entry.name != self._parts[at] and not self._patterns[at](entry.name):
                continue
            if is_aside and not _ASIDE.match(self._parts[at]):
                if is_folder or at == len(self._parts) - 1:
                    self.aside[path] = None
                continue
            # The schema that `init` puts beside a manifest is JSON, as some models are.
            if not is_folder and at == len(self._parts) - 1 and entry.name != SCHEMA_NAME:
                self.matches[path] = is_link
            if is_folder and (deep or at < len(self._parts) - 1):
                waiting = self._behind_links if is_link else self._real
                inside = f"{folder}/{entry.name}" if folder not in ("", "/") else folder + entry.name
                waiting.append((inside, path, at if deep else at + 1))


class Discovery(NamedTuple):
    """The models and errors that the rules found."""

    models: tuple[Desired, ...]  # one for each file, in the order of rules and paths, those without errors only
    stats: Mapping[str, os.stat_result]  # what ``stat`` said of each, links followed, by ``Desired.path``
    # Errors and warnings, each at its rule's place. With an error among them the models are not all.
    diagnostics: tuple[Diagnostic, ...]
    folders: tuple[str, ...]  # the folders in which a file that matches a rule may lie


def discover(
    rules: Iterable[DiscoverRule],
    listed: Iterable[Desired] = (),
    stats: Mapping[str, os.stat_result] = MappingProxyType({}),
) -> Discovery:
    """Find the models that the rules speak of.

    Every matching regular file is one, unless it is listed, an earlier rule took it, or its name is hidden or that of
    a temporary file. Nothing is opened. A folder that cannot be listed is an error, never an empty folder: whoever
    deletes what is gone must not take a lost mount for an empty one. ``listed`` are the models listed by hand, and
    ``stats`` those of their files, as far as known.
    """
    search = _Search(listed, stats)
    for rule in rules:
        search.run(rule)
    # What was scanned and left out has a stat as well.
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
        allowed = AllowedPaths(rule.admitted, self.stats)
        if os.path.isdir(start or ".") and not allowed.admits(os.path.realpath(start or ".")):
            hint = "move it inside, or admit it with --models-dir"
            self._diagnostic(rule, "discover-outside", f"{start}: the folder is outside the manifest's", hint)
            return
        seen = Walk((*folders[fixed:], last), allowed.admits).run(start)
        self.folders |= seen.folders
        for folder, reason in seen.failed:
            summary = f"{folder or '.'}: the folder cannot be searched: {reason}"
            self._diagnostic(rule, "discover-unreadable", summary, "see to the folder, or change the glob")
        scope = Patterns(rule.scope) if rule.scope else None
        below = f"{prefix.rstrip('/')}/" if prefix else ""
        for path, is_link in sorted(seen.matches.items()):
            file = below + path
            if not (model := self._model(rule, allowed, file, is_link=is_link)):
                continue
            if scope is not None and model.name not in scope:
                summary, hint = outside(model.name, scope)
                self._diagnostic(rule, "outside-scope", f"{file}: {summary}", hint, model=model.name)
            elif (first := self.named.setdefault(model.name, model)) is not model:
                summary = f"{file}: its name, {printable(model.name, 60)}, is also that of {first.file}"
                hint = "rename one, or put {parent} in the rule's name"
                self._diagnostic(rule, "duplicate-name", summary, hint, model=model.name)
            else:
                self.models.append(model)
        more = f" (and {len(seen.aside) - _MOST_ASIDE} more)" if len(seen.aside) > _MOST_ASIDE else ""
        for path in islice(seen.aside, _MOST_ASIDE):
            why = "left out, by its name a recycle bin or a copy that a sync tool made of a conflict"
            hint = "to take it all the same, name it in the glob"
            self._diagnostic(rule, "discover-aside", f"{below}{path}{more}: {why}", hint, warning=True)
        if not seen.matches and not seen.failed:
            self._diagnostic(rule, "discover-empty", f"no file matches {rule.glob}", "check the glob", warning=True)

    def _model(self, rule: DiscoverRule, allowed: AllowedPaths, file: str, *, is_link: bool) -> Desired | None:
        path = in_folder(rule.folder, file)
        if denial := allowed.check(path):
            code, summary, hint = denial
            # What is gone since it was listed, or no regular file, is no model; a link that leads nowhere is told.
            if code not in ("file-missing", "file-not-regular"):
                self._diagnostic(rule, code, f"{file}: {summary}", hint)
            elif is_link and code == "file-missing":
                summary = f"{file}: a link that leads nowhere"
                self._diagnostic(rule, "discover-skipped", summary, "remove it", warning=True)
            return None
        status = self.stats[path]
        known = self.by_inode.setdefault((status.st_dev, status.st_ino), [])
        if known and os.path.realpath(path) in {os.path.realpath(other) for other in known}:
            return None
        stem = os.path.splitext(os.path.basename(file))[0]
        parent = os.path.basename(os.path.dirname(os.path.abspath(path)))
        name = PLACEHOLDER.sub(lambda found: stem if found[1] == "stem" else parent, rule.name)
        error = name_error(name)
        if not file.isprintable():
            # Python carries bytes that are not UTF-8 as lone surrogates.
            is_utf8 = not re.search("[\ud800-\udfff]", file)
            error = (f"its path holds {unprintable_part(file)}" if is_utf8 else "its path is not UTF-8", "")
        if error:
            summary = f"{file}: not taken as a model: {error[0]}"
            self._diagnostic(rule, "discover-skipped", summary, "rename the file", warning=True)
            return None
        if odd := name_warning(name):
            code, summary, _ = odd
            self._diagnostic(rule, code, f"{file}: {summary}", "rename the file", model=name, warning=True)
        known.append(path)
        may_change = rule.allow_signature_change
        own = rule.source, rule.inspect, rule.protect
        return Desired(name, rule.engine, file, path, rule.description, None, may_change, *own)

    def _diagnostic(
        self, rule: DiscoverRule, code: str, summary: str, hint: str, *, model: str = "", warning: bool = False
    ) -> None:
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        found = Diagnostic(severity, f"manifest/{code}", printable(summary), hint, rule.source, printable(model))
        self.diagnostics.append(found)
