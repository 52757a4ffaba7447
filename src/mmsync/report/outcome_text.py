"""Outcomes as text: failures first, then what was left, then what was done, then the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.plan.model import Action, Plan
from mmsync.printable import few, printable
from mmsync.quantities import human_bytes, human_seconds
from mmsync.report.diagnostics import NAMES_SHOWN, code_piece, explain_line, explain_lines, joined
from mmsync.report.layout import (
    SIGNS,
    Paint,
    Piece,
    Style,
    display_name,
    display_path,
    flow,
    heading,
    painter,
    signed,
    words,
)
from mmsync.report.plan_text import unchanged_sentence
from mmsync.report.repeats import first_few, more, without
from mmsync.types import Source

DONE: dict[Action, str] = {"add": "added", "change": "changed", "delete": "deleted", "none": "unchanged"}
# A change that took less is not worth a figure that differs in every run.
_WORTH_TELLING = 1.0
_AGAIN = "To go on with what is missing, apply the manifest again; what is done is not sent again."


class Tally(NamedTuple):
    """Counts of outcomes; ``add``, ``change`` and ``delete`` are those that were done. Bytes are all that were sent."""

    add: int
    change: int
    delete: int
    failed: int
    skipped: int
    not_attempted: int
    blocked: int
    uploaded: int

    @property
    def done(self) -> int:
        """Return how many changes were made."""
        return self.add + self.change + self.delete


def tally(plan: Plan, outcomes: Iterable[Outcome]) -> Tally:
    """Count what became of the plan; a change without an outcome was not attempted."""
    outcomes = tuple(outcomes)
    counts = Counter[str](outcome.change.action if outcome.ok else outcome.status for outcome in outcomes)
    reported = {outcome.change.name for outcome in outcomes}
    silent = sum(change.name not in reported for change in plan.changes)
    return Tally(
        add=counts["add"],
        change=counts["change"],
        delete=counts["delete"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        not_attempted=counts["not-attempted"] + silent,
        blocked=len(plan.blocked),
        uploaded=sum(outcome.uploaded for outcome in outcomes),
    )


def render_outcomes(
    plan: Plan, outcomes: Iterable[Outcome], *, width: int = 80, colour: bool = False, undo: str = ""
) -> str:
    """Return the summary of an apply, whose outcomes may come in any order.

    Its last line begins with ``Applied:``, or with ``No changes.``. ``undo`` is the command that undoes it all.
    """
    paint = painter(colour=colour)
    ranked = sorted(outcomes, key=lambda outcome: outcome.change.name)
    blocks = [_blocked_lines(plan, width, paint)]
    for status in ("failed", "skipped", "not-attempted"):
        left = first_few((outcome for outcome in ranked if outcome.status == status), _reason)
        told = [(outcome, _left_lines(outcome, others, width, paint)) for outcome, others in left]
        blocks += [lines for outcome, lines in told if outcome.message]
        # One after another without an empty line where there is nothing to say of each.
        blocks.append([line for outcome, lines in told if not outcome.message for line in lines])
    blocks.append([line for outcome in ranked if outcome.ok for line in _done_lines(outcome, width, paint)])
    if undo:
        note = after_undo(ranked)
        blocks.append([f"Undo: {undo}", *(flow(words(note), width, first="  ", rest="  ") if note else [])])
    closing: list[str] = []
    # Where the plan had something to explain, it stands above and has said how.
    code = next((outcome.code for outcome in ranked if outcome.status == "failed" and outcome.code), "")
    if code and not explain_lines(plan.diagnostics, width, paint):
        closing = explain_line(code, width, paint)
    if any(
        outcome.status == "not-attempted" or (outcome.status == "failed" and not outcome.permanent)
        for outcome in ranked
    ):
        closing = [*closing, *flow(words(_AGAIN), width, rest="  ")]
    *clauses, last = applied_sentence(plan, tally(plan, ranked)).split("; ")  # broken at its semicolons only
    blocks.append(closing + flow([*(Piece(f"{clause};") for clause in clauses), Piece(last)], width, rest="         "))
    return joined(blocks)


def applied_sentence(plan: Plan, counts: Tally) -> str:
    """Return the one line that says it all."""
    if not plan.changes and not counts.done:
        return unchanged_sentence(plan)
    parts = [
        f"Applied: {counts.add:,} added, {counts.change:,} changed, {counts.delete:,} deleted",
        f"{counts.failed:,} failed",
        f"{counts.skipped:,} skipped",
    ]
    parts += [f"{counts.not_attempted:,} not attempted"] if counts.not_attempted else []
    parts += [f"{counts.blocked:,} blocked"] if counts.blocked else []
    return "; ".join([*parts, f"{human_bytes(counts.uploaded)} uploaded."])


def after_undo(outcomes: Iterable[Outcome]) -> str:
    """Return what else is to be done where a deleted model is put back and is to stay; empty where none was deleted."""
    deleted = sorted(each.change.name for each in outcomes if each.ok and each.change.action == "delete")
    if not deleted:
        return ""
    return (
        "To keep what it brings back, list it in the manifest again, or the next --prune deletes it once more: "
        f"{few(deleted)}."
    )


def _blocked_lines(plan: Plan, width: int, paint: Paint) -> list[str]:
    """Return the names of the models held back: why is told in the plan, which stands above."""
    shown = plan.blocked[:NAMES_SHOWN]
    lines = [line for name in shown for line in heading("error", name, "blocked, as told above", width, paint)]
    if len(plan.blocked) > len(shown):
        lines.append(f"{SIGNS['error']} and {len(plan.blocked) - len(shown):,} more blocked")
    return lines


def _reason(outcome: Outcome) -> tuple[str, str, str]:
    change = outcome.change
    names = [change.name, printable(change.name)]
    names += [change.after.file] if change.after else []
    names += [change.desired.path] if change.desired else []
    return outcome.status, outcome.code, without(outcome.message, names)


def _left_lines(outcome: Outcome, others: list[Outcome], width: int, paint: Paint) -> list[str]:
    """Return the lines of what was not done; ``others`` were left for the same reason."""
    failed = outcome.status == "failed"
    style: Style = "error" if failed else "warning"
    pieces = [signed(style, outcome.change.name, paint), Piece(paint(left_clause(outcome), style), gap=2)]
    pieces += [code_piece(outcome.code, paint)] if outcome.code else []
    lines = flow(pieces, width, rest="  ")
    lines += _message_lines(outcome, width, outcome.change.source if failed else None)
    if others:
        names = more((other.change.name for other in others), f"{outcome.status.replace('-', ' ')} for the same reason")
        lines += flow([Piece(paint(SIGNS[style], style)), *names], width, rest="    ")
    return lines


def _done_lines(outcome: Outcome, width: int, paint: Paint) -> list[str]:
    head = signed(outcome.change.action, outcome.change.name, paint)
    return flow([head, Piece(done_clause(outcome), gap=2)], width, rest="    ") + _message_lines(outcome, width)


def _message_lines(outcome: Outcome, width: int, source: Source | None = None) -> list[str]:
    if not outcome.message:
        return []
    place = [Piece(f"{display_path(source.file)}:{source.line}:{source.column}:")] if source else []
    change = outcome.change
    # The names and paths that a message may quote, longest first: they are not to be broken.
    paths = [change.after.file] if change.after else []
    paths += [change.desired.path] if change.desired else []
    keep = sorted({display_name(change.name), *map(display_path, paths)}, key=len, reverse=True)
    return flow([*place, *words(outcome.message, keep)], width, first="    ", rest="      ")


def done_clause(outcome: Outcome) -> str:
    """Return what was done, what was sent for it and, if it was long, in what time."""
    sent = f", {human_bytes(outcome.uploaded)}" if outcome.uploaded else ""
    took = f" in {human_seconds(outcome.seconds)}" if outcome.seconds >= _WORTH_TELLING else ""
    return DONE[outcome.change.action] + sent + took + ("" if outcome.status == "verified" else ", not read back")


def left_clause(outcome: Outcome) -> str:
    """Return what was not done."""
    return f"to {outcome.change.action}, {outcome.status.replace('-', ' ')}"
