"""``apply --format json``: one JSON object a line, in the order things happen, after Terraform's machine-readable UI.

Every object begins with these keys, in this order; the strings are ASCII (all else is escaped), so that no line is
ever broken by what it carries::

    "@level"      "info", "warn" or "error"
    "@message"    one sentence for a person, without control characters
    "@module"     always "mmsync"
    "type"        what the object is; readers should pass over types they do not know

and goes on with what belongs to its type::

    version          mmsync (the version), ui ("1.0": this schema; a new minor version only adds)
    planned_change   change: a change as in the plan document {name, action, reasons, before, after, evidence, source, signatures}
    apply_start      hook {name, action}
    apply_progress   hook {name, phase, done_bytes, total_bytes}; phase: hashing, uploading, downloading, verifying
    apply_complete   hook {name, action, status, code, message, permanent, uploaded_bytes, elapsed_seconds};
                     status: applied (done) or verified (done and read back)
    apply_errored    hook, the same; status: failed, skipped (nothing written, on purpose), not-attempted. It may
                     follow the same model's apply_complete, where reading back found something else
    diagnostic       diagnostic {severity, code, summary, detail, file, line, column}, as in the plan document
    change_summary   changes {operation, add, change, delete, verified, failed, skipped, not_attempted, blocked,
                     unknown, unchanged, unmanaged, orphans, upload_bytes}, digest, changed, ok

In ``change_summary``, ``operation`` is always ``apply``: add, change and delete count what was done. ``changed`` says
whether something was (exit 2 with ``--detailed-exitcode``), ``ok`` whether nothing failed, was skipped or blocked (exit
1 otherwise).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from mmsync.apply.outcome import Downloads, Event, Finished, Outcome, Progress, Started, Verified
from mmsync.plan.document import change_entry, diagnostic_entry
from mmsync.plan.model import Change, Plan
from mmsync.printable import printable
from mmsync.quantities import human_bytes
from mmsync.report.layout import display_name
from mmsync.report.outcome_text import DONE, applied_sentence, tally
from mmsync.types import Diagnostic

UI_VERSION = "1.0"
_Level = Literal["info", "warn", "error"]
_LEVELS: dict[str, _Level] = {"error": "error", "warning": "warn", "info": "info"}


def version_line(version: str) -> str:
    """Return the first line: who speaks, and which schema."""
    return _line("info", f"mmsync {version}", type="version", mmsync=version, ui=UI_VERSION)


def change_line(change: Change) -> str:
    """Return the ``planned_change`` line of one change."""
    why = f" ({', '.join(change.reasons)})" if change.reasons else ""
    message = f"{display_name(change.name)}: plan to {change.action}{why}"
    return _line("info", message, type="planned_change", change=change_entry(change))


def diagnostic_line(diagnostic: Diagnostic) -> str:
    """Return the ``diagnostic`` line of one diagnostic."""
    message = printable(str(diagnostic), 2000)
    return _line(_LEVELS[diagnostic.severity], message, type="diagnostic", diagnostic=diagnostic_entry(diagnostic))


class EventLines:
    """The lines of the events of one apply. It remembers what it told, so that nothing is told twice."""

    def __init__(self) -> None:
        self._told: dict[str, bool] = {}

    def lines(self, event: Event) -> list[str]:
        """Return the lines for the next event; only the last event of an apply has any number but one."""
        match event:
            case Started(change):
                hook: dict[str, Any] = {"name": change.name, "action": change.action}
                message = f"{display_name(change.name)}: {change.action} begins"
                return [_line("info", message, type="apply_start", hook=hook)]
            case Progress(name, phase, done, total):
                hook = {"name": name, "phase": phase, "done_bytes": done, "total_bytes": total}
                message = f"{display_name(name)}: {phase} {human_bytes(done)} of {human_bytes(total)}"
                return [_line("info", message, type="apply_progress", hook=hook)]
            case Downloads():
                return []  # a plan's, whose commentary goes to stderr
            case Finished(outcome):
                self._told[outcome.change.name] = outcome.ok
                return [_outcome_line(outcome)]
            case Verified(outcomes, unverified):
                new = [outcome for outcome in outcomes if self._told.get(outcome.change.name) is not outcome.ok]
                self._told.update((outcome.change.name, outcome.ok) for outcome in new)
                lines = [_outcome_line(outcome) for outcome in new]
                if unverified:
                    lines.append(diagnostic_line(Diagnostic("warning", "apply/not-verified", unverified)))
                return lines


def summary_line(plan: Plan, outcomes: Iterable[Outcome], *, digest: str = "") -> str:
    """Return the last line of an apply."""
    outcomes = tuple(outcomes)
    counts, planned = tally(plan, outcomes), plan.summary
    changes = {
        "operation": "apply",
        "add": counts.add,
        "change": counts.change,
        "delete": counts.delete,
        "verified": sum(outcome.status == "verified" for outcome in outcomes),
        "failed": counts.failed,
        "skipped": counts.skipped,
        "not_attempted": counts.not_attempted,
        **{key: getattr(planned, key) for key in ("blocked", "unknown", "unchanged", "unmanaged", "orphans")},
        "upload_bytes": counts.uploaded,
    }
    ok = not (counts.failed or counts.skipped or counts.not_attempted or counts.blocked or plan.has_errors)
    payload = {"changes": changes, "digest": digest, "changed": counts.done > 0, "ok": ok}
    return _line("info" if ok else "error", applied_sentence(plan, counts), type="change_summary", **payload)


def _outcome_line(outcome: Outcome) -> str:
    change = outcome.change
    hook = {
        "name": change.name,
        "action": change.action,
        "status": outcome.status,
        "code": outcome.code,
        "message": outcome.message,
        "permanent": outcome.permanent,
        "uploaded_bytes": outcome.uploaded,
        "elapsed_seconds": round(outcome.seconds, 3),
    }
    what = DONE[change.action] if outcome.ok else f"{change.action} {outcome.status.replace('-', ' ')}"
    why = f": {printable(outcome.message, 2000)}" if outcome.message else ""
    kind = "apply_complete" if outcome.ok else "apply_errored"
    level: _Level = "info" if outcome.ok else "error" if outcome.status == "failed" else "warn"
    return _line(level, f"{display_name(change.name)}: {what}{why}", type=kind, hook=hook)


def _line(level: _Level, message: str, **payload: Any) -> str:
    """Return one line without its end; ``payload`` begins with the type."""
    return json.dumps({"@level": level, "@message": message, "@module": "mmsync", **payload}, separators=(",", ":"))
