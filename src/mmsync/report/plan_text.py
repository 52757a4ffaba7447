"""A plan as text: what apply would do, why, and what is in the way."""

from __future__ import annotations

from shlex import quote
from typing import NamedTuple

from mmsync.plan.guards import CHANGED
from mmsync.plan.model import Change, Plan
from mmsync.printable import printable
from mmsync.report.diagnostics import NAMES_SHOWN, blocked_block, by_model, diagnostic_lines, joined, unknown_blocks
from mmsync.report.format import counted, diff_texts, human_bytes, quoted
from mmsync.report.layout import (
    EVIDENCE,
    SIGNS,
    STYLES,
    Paint,
    Piece,
    Style,
    as_before,
    columns,
    content_side,
    contents,
    display_engine,
    display_name,
    display_path,
    flow,
    painter,
    place,
    prose,
    signed,
    words,
)

_LABEL = 13  # the width of the longest label, "description", and two spaces
_INDENT = "    "


def change_block(change: Change, width: int, paint: Paint) -> list[str]:
    """Return the lines for one change; the first begins with its sign, the others are indented."""
    style = STYLES[change.action]
    side = change.after or change.before
    head = [signed(SIGNS[change.action], style, change.name, paint)]
    if side and side.engine:
        head.append(Piece(display_engine(side.engine), gap=2))
    if change.reasons:
        reasons = ", ".join(change.reasons)
        head.append(Piece(paint(f"({reasons})", style), gap=2))
    lines = flow(head, width, rest="  ")
    for row in _rows(change, max(width - len(_INDENT) - _LABEL, 20), paint):
        lines += _row_lines(row, width, paint)
    return lines


class _Row(NamedTuple):
    """A label, what stands beside it, and the style of the whole of that, if one."""

    label: str
    pieces: list[Piece]
    style: Style | None = None


def _row_lines(row: _Row, width: int, paint: Paint) -> list[str]:
    margin = " " * (len(_INDENT) + _LABEL)
    lines = flow(row.pieces, width, first=margin, rest=margin + "  " * (row.style is not None))
    if row.style:  # coloured line by line, so that the colour's codes do not part words that one may search for
        lines = [line[: len(line) - len(line.lstrip())] + paint(line.lstrip(), row.style) for line in lines]
    label = _INDENT + paint(row.label.ljust(_LABEL), "faint")
    if not lines[0].startswith(margin):  # what is too wide to stand beside the label stands below it
        return [_INDENT + paint(row.label, "faint"), *lines]
    return [label + lines[0][len(margin) :], *lines[1:]]


def _rows(change: Change, room: int, paint: Paint) -> list[_Row]:
    before, after = change.before, change.after
    rows: list[_Row] = []
    if before and after and "engine" in change.reasons:
        old = display_engine(before.engine or "unknown")
        rows.append(_Row("engine", _arrow(old, display_engine(after.engine), paint)))
    if before and after and "content" in change.reasons:
        rows.append(_Row("content", _arrow(*contents(before, after), paint)))
        if EVIDENCE[change.evidence]:
            rows.append(_Row("known from", words(EVIDENCE[change.evidence])))
    elif after and change.uploads:
        rows.append(_Row("content", [Piece(content_side(after.sha256, after.size) + as_before(change))]))
    rows += _description_rows(change, room, paint)
    if after:
        pieces = [Piece(display_path(after.file))]
        if change.source:
            pieces.append(Piece(paint(f"({place(change.source)})", "faint")))
        rows.append(_Row("file", pieces))
    else:
        rows.append(_Row("why", words("inside the scope, but in no manifest")))
    return rows


def _description_rows(change: Change, room: int, paint: Paint) -> list[_Row]:
    before, after = change.before, change.after
    if before and after and "description" in change.reasons:
        old, new = diff_texts(before.description, after.description, limit=2 * room)
        if columns(old) + columns(new) + 3 <= room:
            return [_Row("description", _arrow(old, new, paint))]
        return [
            _Row("description", [Piece("-"), *prose(old, room - 2)], "delete"),
            _Row("", [Piece("+"), *prose(new, room - 2)], "add"),
        ]
    text = after.description if after and change.action == "add" else None
    return [_Row("description", prose(quoted(text, 2 * room), room))] if text else []


def _arrow(old: str, new: str, paint: Paint) -> list[Piece]:
    return [Piece(paint(old, "delete")), Piece("→"), Piece(paint(new, "add"))]


def render_plan(plan: Plan, *, digest: str = "", width: int = 80, colour: bool = False, show_all: bool = False) -> str:
    """Return the plan: a block for each change and each model held back, then diagnostics and counts.

    The last line begins with ``Plan:`` where there is something to do, with ``No changes.`` where there is not.

    Args:
        digest: The plan's digest, shown if given.
        width: Columns of the terminal.
        colour: Whether to use colours (SGR sequences).
        show_all: Whether to list the unchanged models, and all orphans and unknown ones however many they are.
    """
    paint = painter(colour=colour)
    of_model, others = by_model(plan)
    first = [diagnostic for diagnostic in others if diagnostic.code == CHANGED]
    blocks = [_headline(plan, width), diagnostic_lines(first, width, paint)]
    blocks += (change_block(change, width, paint) for change in plan.changes)
    if show_all and plan.unchanged:
        blocks.append([_unchanged_line(change.name, change.after and change.after.engine) for change in plan.unchanged])
    for name in plan.blocked:
        blocks.append(blocked_block(name, of_model[name], width, paint))
    blocks += unknown_blocks(plan, of_model, width, paint, show_all=show_all)
    blocks.append(_orphan_lines(plan, width, show_all=show_all))
    blocks.append(diagnostic_lines([diagnostic for diagnostic in others if diagnostic.code != CHANGED], width, paint))
    blocks.append(_closing_lines(plan, digest, width))
    return joined(blocks)


def unmanaged_sentence(plan: Plan) -> str:
    """Return what to say of the models that are none of the manifests' business."""
    has_scope = all(diagnostic.code != "guard/no-scope" for diagnostic in plan.diagnostics)
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
    manifests = [Piece(display_path(path)) for path in plan.manifests]
    if len(manifests) > 3:  # noqa: PLR2004 - more than fit a line help nobody
        manifests = [Piece(f"{len(manifests):,} manifests")]
    pieces = [*manifests, Piece("→"), Piece(display_path(plan.server.url))]
    if plan.server.domain:
        pieces.append(Piece(f"(domain {printable(plan.server.domain)})"))
    lines = flow(pieces, width, rest="  ")
    if plan.selection.is_partial:
        flags = plan.selection.flags()
        chosen = [
            Piece(f"{flag} {quote(display_path(value))}") for flag, value in zip(flags[::2], flags[1::2], strict=True)
        ]
        lines += flow([Piece("Only"), *chosen], width, rest="  ")
    return lines


def _unchanged_line(name: str, engine: str | None) -> str:
    return f"{SIGNS['none']} {display_name(name)}" + (f"  {display_engine(engine)}" if engine else "")


def _orphan_lines(plan: Plan, width: int, *, show_all: bool) -> list[str]:
    going = {change.name for change in plan.changes if change.action == "delete"}
    names = [name for name in plan.orphans if name not in going]
    lines: list[str] = []
    if names:
        hint = "kept" if plan.prune or plan.selection.is_partial else "kept unless --prune is given"
        lines = flow(words(f"{counted(len(names), 'orphan')}, inside the scope but in no manifest; {hint}:"), width)
        shown = names if show_all else names[:NAMES_SHOWN]
        lines += [f"    {display_name(name)}" for name in shown]
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
