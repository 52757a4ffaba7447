"""Outcomes as text: failures first, then what was left, then what was done, then the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.plan.model import Action, Change, Plan
from mmsync.report.diagnostics import blocked_block, by_model, joined
from mmsync.report.format import human_bytes, human_seconds
from mmsync.report.layout import (
    SIGNS,
    STYLES,
    Paint,
    Piece,
    Style,
    display_name,
    display_path,
    flow,
    painter,
    signed,
    words,
)
from mmsync.report.plan_text import unchanged_sentence

DONE: dict[Action, str] = {"add": "added", "change": "changed", "delete": "deleted", "none": "unchanged"}
# A change that took less is not worth a figure that differs in every run.
_WORTH_TELLING = 1.0


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
    done = Counter(outcome.change.action for outcome in outcomes if outcome.ok)
    left = Counter(outcome.status for outcome in outcomes if not outcome.ok)
    reported = {outcome.change.name for outcome in outcomes}
    silent = sum(change.name not in reported for change in plan.changes)
    return Tally(
        add=done["add"],
        change=done["change"],
        delete=done["delete"],
        failed=left["failed"],
        skipped=left["skipped"],
        not_attempted=left["not-attempted"] + silent,
        blocked=len(plan.blocked),
        uploaded=sum(outcome.uploaded for outcome in outcomes),
    )


def render_outcomes(plan: Plan, outcomes: Iterable[Outcome], *, width: int = 80, colour: bool = False) -> str:
    """Return the summary of an apply; its last line begins with ``Applied:``, or with ``No changes.``.

    Args:
        outcomes: What became of its changes, in any order.
        width: Columns of the terminal.
        colour: Whether to use colours (SGR sequences).
    """
    paint = painter(colour=colour)
    ranked = sorted(outcomes, key=lambda outcome: outcome.change.name)
    of_model, _ = by_model(plan)
    blocks = [blocked_block(name, of_model[name], width, paint) for name in plan.blocked]
    for status in ("failed", "skipped", "not-attempted"):
        left = [outcome for outcome in ranked if outcome.status == status]
        # One after another without an empty line where there is nothing to say of each.
        bare = [_left_lines(outcome, width, paint) for outcome in left if not outcome.message]
        blocks += [_left_lines(outcome, width, paint) for outcome in left if outcome.message]
        blocks.append([line for lines in bare for line in lines])
    blocks.append([line for outcome in ranked if outcome.ok for line in _done_lines(outcome, width, paint)])
    sentence = applied_sentence(plan, tally(plan, ranked))
    clauses = sentence.split("; ")  # broken at its semicolons only
    pieces = [Piece(f"{clause};") for clause in clauses[:-1]] + [Piece(clauses[-1])]
    blocks.append(flow(pieces, width, rest="         "))
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


def _left_lines(outcome: Outcome, width: int, paint: Paint) -> list[str]:
    failed = outcome.status == "failed"
    style: Style = "error" if failed else "warning"
    change = outcome.change
    what = left_clause(outcome) + (f" ({outcome.code})" if outcome.code else "")
    head = [signed("!" if failed else "?", style, change.name, paint), Piece(paint(what, style), gap=2)]
    lines = flow(head, width, rest="  ")
    if outcome.message:
        source = (
            [Piece(f"{display_path(change.source.file)}:{change.source.line}:{change.source.column}:")]
            if change.source and failed
            else []
        )
        lines += flow([*source, *words(outcome.message, _kept(change))], width, first="    ", rest="      ")
    return lines


def _done_lines(outcome: Outcome, width: int, paint: Paint) -> list[str]:
    change = outcome.change
    head = signed(SIGNS[change.action], STYLES[change.action], change.name, paint)
    lines = flow([head, Piece(done_clause(outcome), gap=2)], width, rest="    ")
    if outcome.message:
        lines += flow(words(outcome.message, _kept(change)), width, first="    ", rest="      ")
    return lines


def done_clause(outcome: Outcome) -> str:
    """Return what was done, what was sent for it and, if it was long, in what time."""
    sent = f", {human_bytes(outcome.uploaded)}" if outcome.uploaded else ""
    took = f" in {human_seconds(outcome.seconds)}" if outcome.seconds >= _WORTH_TELLING else ""
    return DONE[outcome.change.action] + sent + took + ("" if outcome.status == "verified" else ", not read back")


def left_clause(outcome: Outcome) -> str:
    """Return what was not done."""
    return f"to {outcome.change.action}, {outcome.status.replace('-', ' ')}"


def _kept(change: Change) -> list[str]:
    """Return the names and paths that a message may quote, longest first: they are not to be broken."""
    paths = [change.after.file] if change.after else []
    paths += [change.desired.path] if change.desired else []
    return sorted({display_name(change.name), *map(display_path, paths)}, key=len, reverse=True)
