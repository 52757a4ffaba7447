"""The status as a JSON document, and back: what ``/api/status`` answers and ``mmsync status`` reads.

``format_version`` is "1"; keys may be added to it, never renamed or removed. Times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mmsync.status.model import (
    Activity,
    ChangeRecord,
    ConditionStatus,
    EventBackend,
    ModelStatus,
    Reconcile,
    Status,
    Totals,
)
from mmsync.status.summary import counts, headline, is_well
from mmsync.types import Diagnostic, ServerName, Source


def document(status: Status) -> dict[str, Any]:
    """Return the status as JSON values; sizes in bytes, durations in seconds."""
    return {
        "format_version": "1",
        "mmsync_version": status.version,
        "time": _time(status.at),
        "started_at": _time(status.started_at),
        "revision": status.revision,
        "health": status.health,
        "well": is_well(status),
        "headline": headline(status),
        "ready": status.is_ready,
        "manifests": list(status.manifests),
        "server": status.server._asdict() if status.server else None,
        "events": {"backend": status.events.name, "rebuilds": status.events.rebuilds},
        "interval": status.interval,
        "last_success_at": _time(status.last_success_at),
        "activity": status.activity and {**status.activity._asdict(), "since": _time(status.activity.since)},
        "summary": counts(status),
        "conditions": [{**one._asdict(), "since": _time(one.since)} for one in status.conditions],
        "diagnostics": [_diagnostic(one) for one in status.diagnostics],
        "models": [
            {**one._asdict(), "since": _time(one.since), "synced_at": _time(one.synced_at)} for one in status.models
        ],
        "history": [
            {
                **one._asdict(),
                "at": _time(one.at),
                "changes": [{**change._asdict(), "reasons": list(change.reasons)} for change in one.changes],
            }
            for one in status.history
        ],
        "totals": {
            "reconciles": dict(status.totals.reconciles),
            "reconcile_seconds": status.totals.seconds_sum,
            "changes": [
                {"action": action, "outcome": outcome, "count": count}
                for (action, outcome), count in sorted(status.totals.changes.items())
            ],
            "uploaded_bytes": status.totals.uploaded,
            "retries": status.totals.retries,
            "drift": status.totals.drift,
        },
    }


def read_document(found: Mapping[str, Any]) -> Status:
    """Return the status that a document holds, but for the histogram of its totals.

    Raises KeyError, TypeError or ValueError where it is no such document; keys that are not known are left out.
    """
    if found["format_version"] != "1":
        raise ValueError(f"format_version is {found['format_version']!r}, not '1'")
    activity, server, events, totals = (found[key] for key in ("activity", "server", "events", "totals"))
    return Status(
        version=str(found["mmsync_version"]),
        started_at=_seconds(found["started_at"]),
        at=_seconds(found["time"]),
        revision=int(found["revision"]),
        health=found["health"],
        manifests=tuple(map(str, found["manifests"])),
        server=ServerName(**_known(ServerName, server)) if server else None,
        events=EventBackend(events["backend"], int(events["rebuilds"])),
        interval=float(found["interval"]),
        models=tuple(
            ModelStatus(**_known(ModelStatus, one, since=_seconds(one["since"]), synced_at=_maybe(one["synced_at"])))
            for one in found["models"]
        ),
        conditions=tuple(
            ConditionStatus(**_known(ConditionStatus, one, since=_seconds(one["since"]))) for one in found["conditions"]
        ),
        diagnostics=tuple(_read_diagnostic(one) for one in found["diagnostics"]),
        history=tuple(
            Reconcile(
                **_known(
                    Reconcile,
                    one,
                    at=_seconds(one["at"]),
                    changes=tuple(
                        ChangeRecord(**_known(ChangeRecord, change, reasons=tuple(change["reasons"])))
                        for change in one["changes"]
                    ),
                )
            )
            for one in found["history"]
        ),
        activity=Activity(**_known(Activity, activity, since=_seconds(activity["since"]))) if activity else None,
        last_success_at=_maybe(found["last_success_at"]),
        is_ready=bool(found["ready"]),
        totals=Totals(
            reconciles=dict(totals["reconciles"]),
            seconds_sum=float(totals["reconcile_seconds"]),
            changes={(one["action"], one["outcome"]): int(one["count"]) for one in totals["changes"]},
            uploaded=int(totals["uploaded_bytes"]),
            retries=int(totals["retries"]),
            drift=int(totals["drift"]),
        ),
    )


def _diagnostic(one: Diagnostic) -> dict[str, Any]:
    source = one.source
    return {
        "severity": one.severity,
        "code": one.code,
        "summary": one.summary,
        "detail": one.detail,
        "model": one.model,
        "file": source.file if source else None,
        "line": source.line if source else None,
        "column": source.column if source else None,
    }


def _read_diagnostic(found: Mapping[str, Any]) -> Diagnostic:
    source = Source(found["file"], found["line"], found["column"]) if found["file"] is not None else None
    return Diagnostic(
        found["severity"], found["code"], found["summary"], found["detail"], source=source, model=found["model"]
    )


def _known(kind: Any, found: Mapping[str, Any], **changed: object) -> dict[str, Any]:
    return {field: changed.get(field, found[field]) for field in kind._fields}


def _time(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _maybe(text: str | None) -> float | None:
    return None if text is None else _seconds(text)
