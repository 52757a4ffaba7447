"""The status as others may see it: no path of this machine but inside the manifests' folders, no user of an address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from mmsync.printable import masked_url
from mmsync.status.model import ConditionStatus, ModelStatus, Reconcile, Status
from mmsync.types import Diagnostic

_LOCAL = re.compile(r"local:(?:[^\s'\"]*/)?(?=[^/\s'\"]*)")
# Folders of an absolute path; an address's path follows its host, a name or a number.
_FOLDERS = re.compile(r"(?:…|(?<![\w/:.~*-]))/[^\s'\"`,;()<>\[\]{}|]*/")


class Redaction:
    """Takes the paths of this machine out of texts.

    ``folders`` are folders and what stands for each: empty for a manifest's own, whose files are named from there.
    """

    def __init__(self, folders: Mapping[str, str]) -> None:
        found = {folder.rstrip("/") + "/": name for folder, name in folders.items() if folder.strip("/")}
        self._names = found
        longest_first = sorted(found, key=lambda folder: (-len(folder), folder))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        if "/" not in text:
            return text
        if self._known:
            text = self._known.sub(lambda match: self._names[match[0]], text)
        return _FOLDERS.sub("…/", _LOCAL.sub("local:", text))


def public(status: Status, redact: Callable[[str], str]) -> Status:
    """Return the status with every text in it redacted."""
    server = status.server
    return replace(
        status,
        manifests=tuple(map(redact, status.manifests)),
        server=server and server._replace(url=redact(masked_url(server.url))),
        models=tuple(_model(one, redact) if one.message or one.hint else one for one in status.models),
        conditions=tuple(_condition(one, redact) for one in status.conditions),
        diagnostics=tuple(_diagnostic(one, redact) for one in status.diagnostics),
        history=tuple(_reconcile(one, redact) for one in status.history),
    )


def _model(one: ModelStatus, redact: Callable[[str], str]) -> ModelStatus:
    return one._replace(message=redact(one.message), hint=redact(one.hint))


def _condition(one: ConditionStatus, redact: Callable[[str], str]) -> ConditionStatus:
    return one._replace(subject=redact(one.subject), message=redact(one.message), hint=redact(one.hint))


def _diagnostic(one: Diagnostic, redact: Callable[[str], str]) -> Diagnostic:
    source = one.source and one.source._replace(file=redact(one.source.file))
    return replace(one, summary=redact(one.summary), detail=redact(one.detail), source=source)


def _reconcile(one: Reconcile, redact: Callable[[str], str]) -> Reconcile:
    changes = tuple(change._replace(message=redact(change.message)) for change in one.changes)
    return one._replace(message=redact(one.message), changes=changes)
