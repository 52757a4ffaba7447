"""The plan document: a plan as JSON, its digest, and what differs between a saved one and one made now.

The keys are a contract users script against. The same state gives the same bytes: no time, no secret, no
machine's path beyond those the user named, everything sorted.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from mmsync.errors import PlanRefused
from mmsync.plan.guards import PROTECTED, allow_protected_flag
from mmsync.plan.model import Change, Plan, Selection, Signatures
from mmsync.printable import printable
from mmsync.types import Diagnostic

FORMAT_VERSION = "1"

MAX_DOCUMENT = 256 * 2**20
"""Bytes of the largest plan document that is read; 100,000 changes take about a quarter of it."""


def plan_document(plan: Plan, *, version: str, show_all: bool = False) -> dict[str, Any]:
    """Return the plan as the plan document, ready for JSON.

    Args:
        plan: The plan.
        version: The version of mmsync that made it.
        show_all: Whether unchanged models are listed too, with action ``none``.
    """
    changes = sorted((*plan.changes, *(plan.unchanged if show_all else ())), key=lambda change: change.name)
    return {
        "format_version": FORMAT_VERSION,
        "mmsync_version": version,
        "server": plan.server._asdict(),
        "manifests": list(plan.manifests),
        "digest": plan_digest(plan),
        "summary": plan.summary._asdict(),
        "changes": [change_entry(change) for change in changes],
        "diagnostics": [diagnostic_entry(diagnostic) for diagnostic in plan.diagnostics],
        "options": {
            "target": list(plan.selection.target),
            "exclude": list(plan.selection.exclude),
            "shard": list(plan.selection.shard) if plan.selection.shard else None,
            "prune": plan.prune,
        },
    }


def dump(document: Mapping[str, Any]) -> str:
    """Return the document's one spelling as text, with a final line end; ASCII, so that any terminal takes it."""
    return json.dumps(document, indent=2) + "\n"


def plan_digest(plan: Plan) -> str:
    """Name what the plan would do, as 64 hex digits: two plans with the same digest write the same.

    It covers the server and every change with what it was planned against. How the server's content is known
    (ledger or download) is left out, so that a machine without a ledger gets the same.
    """
    return _digest(plan.server._asdict(), [change_entry(change) for change in plan.changes])


def read_document(text: str, name: str) -> dict[str, Any]:
    """Return a saved plan document; messages call its file ``name``.

    Raises `PlanRefused` if it is no plan document, of another format version, or was edited after it was saved.
    """
    hint = f"make a new one with: mmsync plan --out {shlex.quote(name)}"
    # Not the same: the file may be a manifest or a model, and is not to be overwritten.
    other = "PLAN is a file made with: mmsync plan --out FILE; manifests are named with -f"
    try:
        document = json.loads(text)
        version = document["format_version"]
        if version != FORMAT_VERSION:
            raise PlanRefused(f"{name}: plan format {version!r}; this mmsync reads {FORMAT_VERSION!r}", hint=hint)
        saved_options(document)
        actual = _digest_of_saved(document)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError) as error:
        raise PlanRefused(f"{name} is not a plan document", hint=other) from error
    if actual != document["digest"]:
        raise PlanRefused(f"{name} was edited after it was saved: its digest does not match its changes", hint=hint)
    return dict(document)


def saved_options(document: Mapping[str, Any]) -> tuple[Selection, bool]:
    """Return the selection a saved plan was made with, and whether it was to prune."""
    if "options" not in document:
        return _options_in_words(document)
    options = document["options"]
    target, exclude, shard = options["target"], options["exclude"], options["shard"]
    if not all(isinstance(glob, str) for glob in (*target, *exclude)) or not isinstance(options["prune"], bool):
        raise TypeError("options of another form")
    if shard is not None:
        index, count = shard
        shard = int(index), int(count)
    return Selection(tuple(target), tuple(exclude), shard), options["prune"]


def _options_in_words(document: Mapping[str, Any]) -> tuple[Selection, bool]:
    """Return the options of a plan saved by mmsync 0.1.0, which has them as flags in the text of a diagnostic."""
    found: dict[str, list[str]] = {"--target": [], "--exclude": [], "--shard": [], "--prune": []}
    for diagnostic in document["diagnostics"]:
        if diagnostic["code"] == "plan/options":
            words = iter(shlex.split(diagnostic["detail"]))
            for word in words:
                found[word].append(word if word == "--prune" else next(words))
    index, _, count = found["--shard"][-1].partition("/") if found["--shard"] else ("", "", "")
    shard = (int(index), int(count)) if count else None
    return Selection(tuple(found["--target"]), tuple(found["--exclude"]), shard), bool(found["--prune"])


def differences(saved: Mapping[str, Any], plan: Plan) -> tuple[str, ...]:
    """Say what differs between a saved plan and the plan made now, a line a model; empty where nothing does."""
    lines: list[str] = []
    then, now = saved["server"], plan.server._asdict()
    if then != now:
        lines.append(f"the server is {_server(now)}, the plan is for {_server(then)}")
    before = {change["name"]: _essence(change) for change in saved["changes"] if change["action"] != "none"}
    after = {change.name: _essence(change_entry(change)) for change in plan.changes}
    for name in sorted(before.keys() | after.keys()):
        was, is_now = before.get(name), after.get(name)
        if was == is_now:
            continue
        shown = printable(name)
        if is_now is None:
            lines.append(f"{shown}: planned to {was['action'] if was else ''}, now {_why_unchanged(name, plan)}")
        elif was is None:
            lines.append(f"{shown}: not in the plan, now to {is_now['action']}")
        else:
            lines.append(f"{shown}: {_difference(was, is_now)}")
    return tuple(lines)


def _why_unchanged(name: str, plan: Plan) -> str:
    """Say why a model is in no change of the plan."""
    if name in plan.blocked:
        is_protected = any(each.code == PROTECTED and each.model == name for each in plan.diagnostics)
        return (
            f"blocked: it is protected (say {allow_protected_flag(name)} here as well)" if is_protected else "blocked"
        )
    if name in plan.unknown:
        return "of unknown content"
    is_listed = any(change.name == name for change in plan.unchanged)
    return "as listed already" if is_listed else "neither listed nor to be deleted"


def _server(server: Mapping[str, Any]) -> str:
    return printable(str(server.get("url"))) + (f" domain {server['domain']}" if server.get("domain") else "")


def _difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    pairs: list[tuple[str, object, object]] = []
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            pairs += [(f"{key} {field}", old.get(field), new.get(field)) for field in sorted(old.keys() | new.keys())]
        else:
            pairs.append((key, old, new))
    return "; ".join(
        f"{what} was {printable(json.dumps(old), 90)}, is {printable(json.dumps(new), 90)}"
        for what, old, new in pairs
        if old != new
    )


def change_entry(change: Change) -> dict[str, Any]:
    """Return one change as it stands in the plan document."""
    return {
        "name": change.name,
        "action": change.action,
        "reasons": list(change.reasons),
        "before": change.before._asdict() if change.before else None,
        "after": change.after._asdict() if change.after else None,
        "evidence": change.evidence,
        "source": {"file": change.source.file, "line": change.source.line} if change.source else None,
        "signatures": signatures_entry(change.signatures) if change.signatures else None,
        "renamed_from": change.renamed_from,
        **({"protection": change.protection} if change.protection else {}),
    }


def signatures_entry(signatures: Signatures) -> dict[str, Any]:
    """Return both signatures and their differences as they stand in the plan document; they are no part of its digest."""
    found = signatures.differences
    sides = {"before": signatures.before, "after": signatures.after}
    return {
        **{
            side: {
                "inputs": None if shape.inputs is None else _inputs(shape.inputs.items()),
                "output_type": shape.output,
            }
            for side, shape in sides.items()
        },
        "added": _inputs(found.added),
        "removed": _inputs(found.removed),
        "retyped": [{"name": name, "before": was, "after": now} for name, was, now in found.retyped],
        "output_type": {"before": found.output[0], "after": found.output[1]} if found.output else None,
    }


def _inputs(pairs: Iterable[tuple[str, str | None]]) -> list[dict[str, str | None]]:
    return [{"name": name, "type": kind} for name, kind in pairs]


def diagnostic_entry(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return one diagnostic as it stands in the plan document."""
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
        "file": diagnostic.source.file if diagnostic.source else None,
        "line": diagnostic.source.line if diagnostic.source else None,
        "column": diagnostic.source.column if diagnostic.source else None,
    }


def _essence(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a change decides what would be written."""
    before = change["before"] and dict(change["before"])
    if before:
        before.pop("size", None)
        # With an image id the content is named already, and whether its digest is known depends on the ledger.
        if before.get("image_id") is not None:
            before.pop("sha256", None)
    return {**{key: change[key] for key in ("name", "action", "reasons", "after")}, "before": before}


def _digest_of_saved(document: Mapping[str, Any]) -> str:
    """Return the digest of what a saved document says; raises `TypeError` where that has not the form of a plan."""
    changes, actions = document["changes"], ("add", "change", "delete", "none")
    texts = (document["digest"], document["server"]["url"], *document["manifests"], *(each["name"] for each in changes))
    if not (all(isinstance(text, str) for text in texts) and all(each["action"] in actions for each in changes)):
        raise TypeError("a plan of another form")
    return _digest(document["server"], [change for change in changes if change["action"] != "none"])


def _digest(server: Mapping[str, Any], changes: list[dict[str, Any]]) -> str:
    essence = [FORMAT_VERSION, server, [_essence(change) for change in changes]]
    return hashlib.sha256(json.dumps(essence, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
