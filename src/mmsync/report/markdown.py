"""Plans and outcomes as Markdown for a pull request's comment or a step's summary on GitHub.

A comment holds at most 65,536 characters, a step's summary 1 MiB of bytes; beyond it GitHub refuses the whole. So the
report is built to the limit of where it goes: the counts first, then each kind's entries, deletions and errors first,
until the room is used; what is left out is counted where it would stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from mmsync.apply.outcome import Outcome, Status
from mmsync.plan.guards import CHANGED
from mmsync.plan.model import Action, Before, Change, Plan, Signatures
from mmsync.quantities import human_bytes
from mmsync.report.format import diff_texts, quoted
from mmsync.report.github import code, size
from mmsync.report.layout import EVIDENCE, PROTECTIONS, as_before, content_side, contents, place
from mmsync.report.outcome_text import after_undo, applied_sentence, done_clause, left_clause, tally
from mmsync.report.plan_text import RENAMED, unchanged_sentence, unmanaged_sentence
from mmsync.report.signatures import input_rows, left_out
from mmsync.types import Diagnostic

COMMENT_LIMIT = 65_536
"""Characters of the longest comment that GitHub takes."""
SUMMARY_LIMIT = 1024 * 1024
"""Bytes of the longest summary that GitHub takes of one step."""

# Every UTF-16 unit takes at most three bytes of UTF-8.
_MOST = SUMMARY_LIMIT // 3
_LONGEST_NAME = 256
_LONGEST_PATH = 512
_LONGEST_TEXT = 160
_LONGEST_MESSAGE = 1000


def _item(text: str, *below: str) -> str:
    return f"- {text}\n" + "".join(f"  - {line}\n" for line in below)


def _deleted_lines(before: Before) -> Iterator[str]:
    if before.sha256:
        yield f"content {code(content_side(before.sha256, before.size))}"
    if before.description:
        yield f"description {code(quoted(before.description, _LONGEST_TEXT), 2 * _LONGEST_TEXT)}"


def _change_item(change: Change) -> str:
    """Return what a planned change is: what differs, how that is known, and where it is listed."""
    before, after = change.before, change.after
    side = after or before
    head = f"**{code(change.name, _LONGEST_NAME)}**"
    if side and side.engine:
        head += f" {code(side.engine)}"
    head += f", {word}" if (word := PROTECTIONS[change.protection]) else ""
    below: list[str] = []
    if before and after and "engine" in change.reasons:
        below.append(f"engine {code(before.engine or 'unknown')} → {code(after.engine)}")
    if before and after and "content" in change.reasons:
        old, new = contents(before, after)
        known = f", known from {EVIDENCE[change.evidence]}" if EVIDENCE[change.evidence] else ""
        below.append(f"content {code(old)} → {code(new)}{known}")
    elif after and change.uploads:
        below.append(f"content {code(content_side(after.sha256, after.size))}{as_before(change)}")
    if change.signatures:
        below += _signature_lines(change.signatures)
    if before and after and "description" in change.reasons:
        old, new = diff_texts(before.description, after.description, _LONGEST_TEXT)
        below.append(f"description {code(old, 2 * _LONGEST_TEXT)} → {code(new, 2 * _LONGEST_TEXT)}")
    elif after and change.action == "add" and after.description:
        below.append(f"description {code(quoted(after.description, _LONGEST_TEXT), 2 * _LONGEST_TEXT)}")
    if change.renamed_from is not None:
        below.append(f"renamed from {code(change.renamed_from, _LONGEST_NAME)} {RENAMED}")
    if before and not after:
        below += _deleted_lines(before)
    if after:
        where = f", listed in {code(place(change.source), _LONGEST_PATH)}" if change.source else ""
        below.append(f"file {code(after.file, _LONGEST_PATH)}{where}")
    return _item(head, *below)


def _signature_lines(signatures: Signatures) -> list[str]:
    """Return how the inputs and the output type differ."""
    found = signatures.differences
    verbs = {"add": "added", "delete": "removed"}
    lines = []
    for action, name, types in input_rows(found):
        kinds = " ".join("→" if kind is None else code(kind, _LONGEST_NAME) for kind in types)
        lines.append(" ".join(filter(None, ("input", code(name, _LONGEST_NAME), kinds, verbs.get(action)))))
    if rest := left_out(found):
        lines.append(f"and {rest:,} more inputs differ")
    if found.output:
        old, new = found.output
        lines.append(f"output type {code(old, _LONGEST_NAME)} → {code(new, _LONGEST_NAME)}")
    return lines


def _outcome_item(outcome: Outcome) -> str:
    """Return what became of a change."""
    change = outcome.change
    what = done_clause(outcome) if outcome.ok else left_clause(outcome)
    what += f" ({code(outcome.code)})" if outcome.code and not outcome.ok else ""
    below = [code(outcome.message, _LONGEST_MESSAGE)] if outcome.message else []
    return _item(f"**{code(change.name, _LONGEST_NAME)}** {what}", *below)


class _Section(NamedTuple):
    """One kind of entries: what they are called, their lines, and whether the reader must unfold them."""

    title: str
    entries: Sequence[str]
    folded: bool

    def frame(self) -> tuple[str, str]:
        """Return what stands before the lines and what after them."""
        title = f"{self.title} ({len(self.entries):,})"
        if self.folded:
            return f"\n<details>\n<summary>{title}</summary>\n\n", "\n</details>\n"
        return f"\n### {title}\n\n", ""


def render(
    plan: Plan,
    outcomes: Iterable[Outcome] | None = None,
    *,
    digest: str = "",
    limit: int = COMMENT_LIMIT,
    undo: str = "",
) -> str:
    """Return the report, always shorter than ``limit`` characters and than 1 MiB.

    The outcomes are what became of the plan; None where it was only made. ``limit`` is in UTF-16 units, line ends
    counted as two, which is no less than any way GitHub counts. ``undo`` is the command that undoes it all.
    """
    return _render(plan, outcomes, digest, min(limit, _MOST) - 1, size, undo)


def render_summary(
    plan: Plan,
    outcomes: Iterable[Outcome] | None = None,
    *,
    digest: str = "",
    limit: int = SUMMARY_LIMIT,
    undo: str = "",
) -> str:
    """Return the report for a step's summary, always shorter than ``limit`` bytes; ``undo`` is as for `render`."""
    return _render(plan, outcomes, digest, limit - 1, _utf8_size, undo)


def _utf8_size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _render(
    plan: Plan,
    outcomes: Iterable[Outcome] | None,
    digest: str,
    room: int,
    measure: Callable[[str], int],
    undo: str = "",
) -> str:
    known = None if outcomes is None else tuple(outcomes)
    head = _head(plan, known, digest)
    if undo:
        note = after_undo(known or ())
        head += f"\nUndo: {code(undo, _LONGEST_MESSAGE)}\n" + (f"\n{code(note, _LONGEST_MESSAGE)}\n" if note else "")
    sections = [section for section in (_planned(plan) if known is None else _applied(plan, known)) if section.entries]
    frames = sum(measure("".join(section.frame()) + _more(len(section.entries))) for section in sections)
    left = room - measure(head) - frames
    if left < 0:
        short = f"{head}\nThe details do not fit here.\n"
        short = short if measure(short) <= room else head
        while measure(short) > max(room, 0):
            short = short[: -(measure(short) - room + 1) // 2]
        return short
    parts = [head]
    for section in sections:
        ends = accumulate(map(measure, section.entries))
        shown = [entry for entry, end in zip(section.entries, ends, strict=True) if end <= left]
        left -= sum(map(measure, shown))
        rest = len(section.entries) - len(shown)
        opening, closing = section.frame()
        parts += [opening, *shown, _more(rest) if rest else "", closing]
    return "".join(parts)


def _more(number: int) -> str:
    return f"- … and {number:,} more not shown\n"


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
    parties = [f"Server {code(plan.server.url, _LONGEST_PATH)}"]
    parties += [f"domain {code(plan.server.domain)}"] if plan.server.domain else []
    if len(plan.manifests) <= 3:  # noqa: PLR2004 - more than fit a line help nobody
        parties += [code(path, _LONGEST_PATH) for path in plan.manifests]
    else:
        parties.append(f"{len(plan.manifests):,} manifests")
    warnings = [code(str(each), _LONGEST_MESSAGE) for each in plan.diagnostics if each.code == CHANGED]
    paragraphs = [f"## mmsync {title}: {sentence}", f"{', '.join(parties)}.", *(f"⚠️ **{each}**" for each in warnings)]
    if plan.selection.is_partial:
        paragraphs.append(f"Only {code(' '.join(plan.selection.flags()), _LONGEST_MESSAGE)}.")
    if outcomes is None and plan.refusals:
        paragraphs.append("**Refused: as it stands, nothing of this plan can be applied.**")
    paragraphs += [unmanaged_sentence(plan)] if plan.unmanaged else []
    paragraphs += [f"Digest {code(digest)}."] if digest else []
    return "\n\n".join(paragraphs) + "\n"


def _planned(plan: Plan) -> list[_Section]:
    kept = [_item(code(name, _LONGEST_NAME)) for name in plan.kept_orphans]

    def planned(action: Action) -> list[str]:
        return [_change_item(change) for change in plan.changes if change.action == action]

    return [
        _Section("To delete", planned("delete"), folded=False),
        *_diagnostic_sections(plan.diagnostics),
        _Section("To change", planned("change"), folded=True),
        _Section("To add", planned("add"), folded=True),
        _Section("Orphans kept: inside the scope, in no manifest", kept, folded=True),
    ]


def _applied(plan: Plan, outcomes: Sequence[Outcome]) -> list[_Section]:
    ranked = sorted(outcomes, key=lambda outcome: outcome.change.name)
    told = {outcome.change.name for outcome in ranked}
    silent = [_item(code(change.name, _LONGEST_NAME)) for change in plan.changes if change.name not in told]

    def left(status: Status) -> list[str]:
        return [_outcome_item(outcome) for outcome in ranked if outcome.status == status]

    def done(action: Action) -> list[str]:
        return [_outcome_item(outcome) for outcome in ranked if outcome.ok and outcome.change.action == action]

    return [
        _Section("Deleted", done("delete"), folded=False),
        _Section("Failed", left("failed"), folded=False),
        *_diagnostic_sections(plan.diagnostics),
        _Section("Skipped", left("skipped"), folded=False),
        _Section("Not attempted", left("not-attempted") + silent, folded=True),
        _Section("Changed", done("change"), folded=True),
        _Section("Added", done("add"), folded=True),
    ]


def _diagnostic_sections(diagnostics: Iterable[Diagnostic]) -> list[_Section]:
    told = [(diagnostic.severity, _item(code(str(diagnostic), _LONGEST_MESSAGE))) for diagnostic in diagnostics]
    return [
        _Section("Errors", [item for severity, item in told if severity == "error"], folded=False),
        _Section("Warnings", [item for severity, item in told if severity == "warning"], folded=True),
    ]
