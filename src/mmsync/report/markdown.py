"""Plans and outcomes as Markdown for a pull request's comment or a step's summary on GitHub.

A comment holds at most 65,536 characters, a step's summary 1 MiB; beyond it GitHub refuses the whole. So the report
is built to a limit: the counts first, then each kind's entries, deletions and errors first, until the room is used;
what is left out is counted where it would stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.plan.guards import CHANGED
from mmsync.plan.model import Change, Plan
from mmsync.report.format import diff_texts, human_bytes, quoted
from mmsync.report.github import code, size
from mmsync.report.layout import EVIDENCE, as_before, content_side, contents, place
from mmsync.report.outcome_text import applied_sentence, done_clause, left_clause, tally
from mmsync.report.plan_text import unchanged_sentence, unmanaged_sentence
from mmsync.types import Diagnostic

_LONGEST_NAME = 256
_LONGEST_ENTRY_PATH = 512
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
        old, new = diff_texts(before.description, after.description, _LONGEST_TEXT)
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


# GitHub counts bytes for a summary (1 MiB). Every UTF-16 unit takes at most three bytes of UTF-8.
_MOST = 1024 * 1024 // 3
_LONGEST_PATH = 512
_LONGEST_FLAGS = 1000
_NO_ROOM = "The details do not fit here.\n"
_CLOSING = "\n</details>\n"


class _Section(NamedTuple):
    """One kind of entries: what they are called, their lines, and whether the reader must unfold them."""

    title: str
    entries: Sequence[str]
    folded: bool

    def opening(self) -> str:
        title = f"{self.title} ({len(self.entries):,})"
        return f"\n<details>\n<summary>{title}</summary>\n\n" if self.folded else f"\n### {title}\n\n"

    def closing(self) -> str:
        return _CLOSING if self.folded else ""


def render(plan: Plan, outcomes: Iterable[Outcome] | None = None, *, digest: str = "", limit: int = 65_536) -> str:
    """Return the report, always shorter than ``limit`` characters and than 1 MiB.

    Args:
        outcomes: What became of it; None where it was only made.
        digest: The plan's digest, shown if given.
        limit: In UTF-16 units, line ends counted as two, which is no less than any way GitHub counts.
    """
    room = min(limit, _MOST) - 1
    known = None if outcomes is None else tuple(outcomes)
    head = _head(plan, known, digest)
    sections = [section for section in (_planned(plan) if known is None else _applied(plan, known)) if section.entries]
    frame = sum(size(section.opening() + section.closing() + _more(len(section.entries))) for section in sections)
    left = room - size(head) - frame
    if left < 0:
        short = head + "\n" + _NO_ROOM
        return short if size(short) <= room else _cut(head, room)
    parts = [head]
    for section in sections:
        shown, used = _fitting(section.entries, left)
        left -= used
        rest = len(section.entries) - len(shown)
        parts += [section.opening(), *shown, _more(rest) if rest else "", section.closing()]
    return "".join(parts)


def _fitting(entries: Sequence[str], room: int) -> tuple[list[str], int]:
    """Return the entries, from the first, that fit in ``room``, and the room they take."""
    fitting: list[str] = []
    used = 0
    for entry in entries:
        needed = size(entry)
        if used + needed > room:
            break
        fitting.append(entry)
        used += needed
    return fitting, used


def _more(number: int) -> str:
    return f"- … and {number:,} more not shown\n"


def _cut(text: str, room: int) -> str:
    while size(text) > max(room, 0):
        text = text[: -(size(text) - room + 1) // 2]
    return text


def _head(plan: Plan, outcomes: Sequence[Outcome] | None, digest: str) -> str:
    counts = plan.summary
    title = "plan" if outcomes is None else "apply"
    if outcomes is not None:
        sentence = applied_sentence(plan, tally(plan, outcomes)).removeprefix("Applied: ")
    elif plan.changes:
        held = f" {counts.blocked:,} blocked;" if counts.blocked else ""
        held += f" {counts.unknown:,} of unknown content;" if counts.unknown else ""
        sentence = (
            f"{counts.add:,} to add, {counts.change:,} to change, {counts.delete:,} to delete; "
            f"{counts.unchanged:,} unchanged;{held} {human_bytes(counts.upload_bytes)} to upload."
        )
    else:
        sentence = unchanged_sentence(plan)
    lines = [f"## mmsync {title}: {sentence}", "", f"Server {code(plan.server.url, _LONGEST_PATH)}"]
    if plan.server.domain:
        lines[-1] += f", domain {code(plan.server.domain)}"
    if len(plan.manifests) <= 3:  # noqa: PLR2004 - more than fit a line help nobody
        lines[-1] += "".join(f", {code(path, _LONGEST_PATH)}" for path in plan.manifests)
    else:
        lines[-1] += f", {len(plan.manifests):,} manifests"
    lines[-1] += "."
    for diagnostic in plan.diagnostics:
        if diagnostic.code == CHANGED:
            lines += ["", f"⚠️ **{code(str(diagnostic), _LONGEST_FLAGS)}**"]
    if plan.selection.is_partial:
        lines += ["", f"Only {code(' '.join(plan.selection.flags()), _LONGEST_FLAGS)}."]
    if outcomes is None and plan.refusals:
        lines += ["", "**Refused: as it stands, nothing of this plan can be applied.**"]
    if plan.unmanaged:
        lines += ["", unmanaged_sentence(plan)]
    if digest:
        lines += ["", f"Digest {code(digest)}."]
    return "\n".join(lines) + "\n"


def _planned(plan: Plan) -> list[_Section]:
    going = {change.name for change in plan.changes if change.action == "delete"}
    kept = [name_item(name) for name in plan.orphans if name not in going]
    by_action = {
        action: [change_item(change) for change in plan.changes if change.action == action]
        for action in ("delete", "change", "add")
    }
    return [
        _Section("To delete", by_action["delete"], folded=False),
        *_diagnostic_sections(plan.diagnostics),
        _Section("To change", by_action["change"], folded=True),
        _Section("To add", by_action["add"], folded=True),
        _Section("Orphans kept: inside the scope, in no manifest", kept, folded=True),
    ]


def _applied(plan: Plan, outcomes: Sequence[Outcome]) -> list[_Section]:
    ranked = sorted(outcomes, key=lambda outcome: outcome.change.name)
    told = {outcome.change.name for outcome in ranked}
    by_status = {
        status: [outcome_item(outcome) for outcome in ranked if outcome.status == status]
        for status in ("failed", "skipped", "not-attempted")
    }
    silent = [name_item(change.name) for change in plan.changes if change.name not in told]
    done = {
        action: [outcome_item(outcome) for outcome in ranked if outcome.ok and outcome.change.action == action]
        for action in ("delete", "change", "add")
    }
    return [
        _Section("Deleted", done["delete"], folded=False),
        _Section("Failed", by_status["failed"], folded=False),
        *_diagnostic_sections(plan.diagnostics),
        _Section("Skipped", by_status["skipped"], folded=False),
        _Section("Not attempted", by_status["not-attempted"] + silent, folded=True),
        _Section("Changed", done["change"], folded=True),
        _Section("Added", done["add"], folded=True),
    ]


def _diagnostic_sections(diagnostics: Iterable[Diagnostic]) -> list[_Section]:
    told = [diagnostic for diagnostic in diagnostics if diagnostic.severity != "info"]
    return [
        _Section(title, [diagnostic_item(diagnostic) for diagnostic in told if diagnostic.severity == severity], folded)
        for title, severity, folded in (("Errors", "error", False), ("Warnings", "warning", True))
    ]
