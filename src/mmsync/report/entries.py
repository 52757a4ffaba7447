"""The list items of the Markdown report; all foreign text in them stands in code spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.report.contrast import contrast, quoted
from mmsync.report.escape import code
from mmsync.report.outcome_text import done_clause, left_clause
from mmsync.report.shown import EVIDENCE, as_before, content_side, contents, place

if TYPE_CHECKING:
    from mmsync.apply.outcome import Outcome
    from mmsync.plan.model import Change
    from mmsync.states import Diagnostic

__all__ = ["change_item", "diagnostic_item", "name_item", "outcome_item"]

_LONGEST_NAME = 256
_LONGEST_PATH = 512
_LONGEST_TEXT = 160
_LONGEST_MESSAGE = 1000


def name_item(name: str) -> str:
    """Return a model of which nothing is said but its name."""
    return _item(code(name, _LONGEST_NAME))


def diagnostic_item(diagnostic: Diagnostic) -> str:
    """Return a diagnostic as ``file:line:col: message (what to do)``."""
    return _item(code(str(diagnostic), _LONGEST_MESSAGE))


def _item(text: str, *below: str) -> str:
    return f"- {text}\n" + "".join(f"  - {line}\n" for line in below)


def change_item(change: Change) -> str:
    """Return what a planned change is: what differs, how that is known, and where it is listed."""
    before, after = change.before, change.after
    side = after or before
    head = f"**{code(change.name, _LONGEST_NAME)}**"
    if side and side.engine:
        head += f" {code(side.engine)}"
    below: list[str] = []
    if before and after and "engine" in change.reasons:
        below.append(f"engine {code(before.engine or 'unknown')} → {code(after.engine)}")
    if before and after and "content" in change.reasons:
        old, new = contents(before, after)
        known = f", known from {EVIDENCE[change.evidence]}" if EVIDENCE[change.evidence] else ""
        below.append(f"content {code(old)} → {code(new)}{known}")
    elif after and change.uploads:
        below.append(f"content {code(content_side(after.sha256, after.size))}{as_before(change)}")
    if before and after and "description" in change.reasons:
        old, new = contrast(before.description, after.description, _LONGEST_TEXT)
        below.append(f"description {code(old, 2 * _LONGEST_TEXT)} → {code(new, 2 * _LONGEST_TEXT)}")
    elif after and change.action == "add" and after.description:
        below.append(f"description {code(quoted(after.description, _LONGEST_TEXT), 2 * _LONGEST_TEXT)}")
    if after:
        where = f", listed in {code(place(change.source), _LONGEST_PATH)}" if change.source else ""
        below.append(f"file {code(after.file, _LONGEST_PATH)}{where}")
    return _item(head, *below)


def outcome_item(outcome: Outcome) -> str:
    """Return what became of a change."""
    change = outcome.change
    what = done_clause(outcome) if outcome.ok else left_clause(outcome)
    what += f" ({code(outcome.code)})" if outcome.code and not outcome.ok else ""
    below = [code(outcome.message, _LONGEST_MESSAGE)] if outcome.message else []
    return _item(f"**{code(change.name, _LONGEST_NAME)}** {what}", *below)
