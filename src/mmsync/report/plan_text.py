"""A plan as text: what apply would do, why, and what is in the way."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from mmsync.plan.manifest_guards import CHANGED
from mmsync.printable import printable
from mmsync.report.blocks import change_block
from mmsync.report.faults import diagnostic_lines, joined
from mmsync.report.held import NAMES_SHOWN, blocked_block, by_model, unknown_blocks
from mmsync.report.layout import Piece, flow, painter, words
from mmsync.report.shown import SIGNS, shown_engine, shown_name, shown_path
from mmsync.report.sizes import counted, human_bytes

if TYPE_CHECKING:
    from mmsync.plan.model import Plan

__all__ = ["render_plan", "unchanged_sentence", "unmanaged_sentence"]


def render_plan(plan: Plan, *, digest: str = "", width: int = 80, colour: bool = False, show_all: bool = False) -> str:
    """Return the plan: a block for each change and each model held back, then diagnostics and counts.

    The last line begins with ``Plan:`` where there is something to do, with ``No changes.`` where there is not.

    Args:
        plan: The plan.
        digest: The plan's digest, shown if given.
        width: Columns of the terminal.
        colour: Whether to use colours (SGR sequences).
        show_all: Whether to list the unchanged models, and all orphans and unknown ones however many they are.
    """
    paint = painter(colour=colour)
    of_model, others = by_model(plan)
    first = [note for note in others if note.code == CHANGED]
    blocks = [_headline(plan, width), diagnostic_lines(first, width, paint)]
    blocks += (change_block(change, width, paint) for change in plan.changes)
    if show_all and plan.unchanged:
        blocks.append([_unchanged_line(change.name, change.after and change.after.engine) for change in plan.unchanged])
    for name in plan.blocked:
        blocks.append(blocked_block(name, of_model[name], width, paint))
    blocks += unknown_blocks(plan, of_model, width, paint, show_all=show_all)
    blocks.append(_orphan_lines(plan, width, show_all=show_all))
    blocks.append(diagnostic_lines([note for note in others if note.code != CHANGED], width, paint))
    blocks.append(_closing_lines(plan, digest, width))
    return joined(blocks)


def unmanaged_sentence(plan: Plan) -> str:
    """Return what to say of the models that are none of the manifests' business."""
    has_scope = all(note.code != "guard/no-scope" for note in plan.diagnostics)
    return f"{counted(plan.unmanaged, 'model')} {'outside the scope' if has_scope else 'in no manifest'} left alone."


def unchanged_sentence(plan: Plan) -> str:
    """Return what to say of a plan that has nothing to do; it claims no more than is known."""
    counts = plan.summary
    selected = " selected" if plan.selection.is_partial else ""
    if counts.blocked or counts.unknown or plan.has_errors:
        unknown = set(plan.unknown)
        known = sum(change.name not in unknown for change in plan.unchanged)
        doubts = [f"{known:,} as listed"]
        doubts += [f"{counts.blocked:,} blocked"] if counts.blocked else []
        doubts += [f"{counts.unknown:,} of unknown content"] if counts.unknown else []
        return f"No changes, but not all is well: {', '.join(doubts)}."
    if counts.unchanged == 0:
        return f"No changes. No{selected} models are listed."
    number = "the one" if counts.unchanged == 1 else f"all {counts.unchanged:,}"
    noun = "model" if counts.unchanged == 1 else "models"
    return f"No changes. The server holds {number}{selected} {noun} as listed."


def _headline(plan: Plan, width: int) -> list[str]:
    manifests = [Piece(shown_path(path)) for path in plan.manifests]
    if len(manifests) > 3:  # noqa: PLR2004 - more than fit a line help nobody
        manifests = [Piece(f"{len(manifests):,} manifests")]
    pieces = [*manifests, Piece("→"), Piece(shown_path(plan.server.url))]
    if plan.server.domain:
        pieces.append(Piece(f"(domain {printable(plan.server.domain)})"))
    lines = flow(pieces, width, rest="  ")
    if plan.selection.is_partial:
        flags = plan.selection.flags()
        chosen = [
            Piece(f"{flag} {quote(shown_path(value))}") for flag, value in zip(flags[::2], flags[1::2], strict=True)
        ]
        lines += flow([Piece("Only"), *chosen], width, rest="  ")
    return lines


def _unchanged_line(name: str, engine: str | None) -> str:
    return f"{SIGNS['none']} {shown_name(name)}" + (f"  {shown_engine(engine)}" if engine else "")


def _orphan_lines(plan: Plan, width: int, *, show_all: bool) -> list[str]:
    going = {change.name for change in plan.changes if change.action == "delete"}
    names = [name for name in plan.orphans if name not in going]
    lines: list[str] = []
    if names:
        way_on = "kept" if plan.prune or plan.selection.is_partial else "kept unless --prune is given"
        lines = flow(words(f"{counted(len(names), 'orphan')}, inside the scope but in no manifest; {way_on}:"), width)
        shown = names if show_all else names[:NAMES_SHOWN]
        lines += [f"    {shown_name(name)}" for name in shown]
        if len(names) > len(shown):
            lines.append(f"    and {len(names) - len(shown):,} more (--all lists them)")
    if plan.unmanaged:
        lines += flow(words(unmanaged_sentence(plan)), width, rest="  ")
    return lines


def _closing_lines(plan: Plan, digest: str, width: int) -> list[str]:
    counts = plan.summary
    lines: list[str] = []
    if plan.refusals:
        lines += flow(words("Refused: as it stands, nothing of this plan can be applied."), width, rest="  ")
    if plan.changes and (counts.blocked or counts.unknown):
        lines.append(f"Held back: {counts.blocked:,} blocked, {counts.unknown:,} with unknown content.")
    if digest:
        lines.append(f"Digest: {printable(digest)}")
    if not plan.changes:
        return lines + flow(words(unchanged_sentence(plan)), width, rest="  ")
    parts = [
        f"Plan: {counts.add:,} to add, {counts.change:,} to change, {counts.delete:,} to delete;",
        f"{counts.unchanged:,} unchanged;",
        f"{human_bytes(counts.upload_bytes)} to upload.",
    ]
    return lines + flow([Piece(part) for part in parts], width, rest="      ")
