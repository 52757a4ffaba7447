"""A plan as text: what apply would do, why, and what is in the way."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from mmsync.plan.guards import CHANGED
from mmsync.plan.model import Before, Change, Plan, Signatures
from mmsync.printable import printable
from mmsync.quantities import counted, human_bytes
from mmsync.report.diagnostics import (
    NAMES_SHOWN,
    blocked_blocks,
    by_model,
    diagnostic_lines,
    explain_lines,
    joined,
    unknown_blocks,
)
from mmsync.report.format import diff_texts, quoted
from mmsync.report.layout import (
    EVIDENCE,
    PROTECTIONS,
    SIGNS,
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
    display_type,
    flow,
    painter,
    place,
    prose,
    signed,
    words,
)
from mmsync.report.signatures import input_rows, left_out

_LABEL = 13  # the width of the longest label, "description", and two spaces
_INDENT = "    "
RENAMED = (
    "(the same content; a server renames nothing: the new name is added, the old one stays until --prune deletes it, "
    "which takes a scope: that has its name)"
)
"""What to say behind the old name of an add."""


def change_block(change: Change, width: int, paint: Paint) -> list[str]:
    """Return the lines for one change; the first begins with its sign, the others are indented."""
    side = change.after or change.before
    head = [signed(change.action, change.name, paint)]
    if side and side.engine:
        head.append(Piece(display_engine(side.engine), gap=2))
    if change.reasons:
        head.append(Piece(paint(f"({', '.join(change.reasons)})", change.action), gap=2))
    head += [Piece(word, gap=2) for word in (PROTECTIONS[change.protection],) if word]
    lines = flow(head, width, rest="  ")
    margin = " " * (len(_INDENT) + _LABEL)
    for label, pieces, style in _rows(change, max(width - len(margin), 20), paint):
        beside = flow(pieces, width, first=margin, rest=margin + "  " * (style is not None))
        if style:  # coloured line by line, so that the colour's codes do not part words that one may search for
            beside = [line[: len(line) - len(line.lstrip())] + paint(line.lstrip(), style) for line in beside]
        if beside[0].startswith(margin):
            beside[0] = _INDENT + paint(label.ljust(_LABEL), "faint") + beside[0][len(margin) :]
        else:  # what is too wide to stand beside the label stands below it
            if style:  # with a sign: at the margin it would be taken for a model
                beside = [line if line.startswith(margin) else _INDENT + line.lstrip() for line in beside]
            beside[:0] = [_INDENT + paint(label, "faint")] if label else []
        lines += beside
    return lines


def _rows(change: Change, room: int, paint: Paint) -> Iterator[tuple[str, list[Piece], Style | None]]:
    """Yield labels, what stands beside each, and the style of the whole of that, if one."""
    before, after = change.before, change.after
    if before and not after:
        yield from _deleted_rows(before, room)
    if before and after and "engine" in change.reasons:
        old = display_engine(before.engine or "unknown")
        yield "engine", _arrow(old, display_engine(after.engine), paint), None
    if before and after and "content" in change.reasons:
        yield "content", _arrow(*contents(before, after), paint), None
        if EVIDENCE[change.evidence]:
            yield "known from", words(EVIDENCE[change.evidence]), None
    elif after and change.uploads:
        yield "content", [Piece(content_side(after.sha256, after.size) + as_before(change))], None
    if change.signatures:
        yield from _signature_rows(change.signatures, paint)
    if before and after and "description" in change.reasons:
        yield from _description_rows(before.description, after.description, room, paint)
    elif after and after.description and change.action == "add":
        yield "description", prose(quoted(after.description, 2 * room), room), None
    if change.renamed_from is not None:
        yield "renamed from", [Piece(display_name(change.renamed_from)), *words(RENAMED)], None
    if after:
        pieces = [Piece(display_path(after.file))]
        if change.source:
            pieces.append(Piece(paint(f"({place(change.source)})", "faint")))
        yield "file", pieces, None


def _description_rows(
    before: str | None, after: str | None, room: int, paint: Paint
) -> Iterator[tuple[str, list[Piece], Style | None]]:
    old, new = diff_texts(before, after, limit=2 * room)
    if columns(old) + columns(new) + 3 <= room:
        yield "description", _arrow(old, new, paint), None
    else:
        yield "description", [Piece("-"), *prose(old, room - 2)], "delete"
        yield "", [Piece("+"), *prose(new, room - 2)], "add"


def _deleted_rows(before: Before, room: int) -> Iterator[tuple[str, list[Piece], Style | None]]:
    if before.sha256:
        yield "content", [Piece(content_side(before.sha256, before.size))], None
    if before.description:
        yield "description", prose(quoted(before.description, 2 * room), room), None
    yield "why", words("inside the scope, but in no manifest"), None


def _signature_rows(signatures: Signatures, paint: Paint) -> Iterator[tuple[str, list[Piece], Style | None]]:
    found = signatures.differences
    label = "inputs"
    for action, name, types in input_rows(found):
        shown = [Piece("→" if kind is None else display_type(kind)) for kind in types]
        yield label, [Piece(f"{SIGNS[action]} {display_name(name)}"), *shown], action
        label = ""
    if rest := left_out(found):
        yield "", words(f"and {rest:,} more (--format json lists them)"), None
    if found.output:
        old, new = found.output
        yield "output type", _arrow(display_type(old), display_type(new), paint), None


def _arrow(old: str, new: str, paint: Paint) -> list[Piece]:
    return [Piece(paint(old, "delete")), Piece("→"), Piece(paint(new, "add"))]


def render_plan(plan: Plan, *, digest: str = "", width: int = 80, colour: bool = False, show_all: bool = False) -> str:
    """Return the plan: a block for each change and each model held back, then diagnostics and counts.

    The last line begins with ``Plan:`` where there is something to do, with ``No changes.`` where there is not. With
    ``show_all`` the unchanged models are listed, and all orphans and unknown ones however many they are.
    """
    paint = painter(colour=colour)
    of_model, others = by_model(plan)
    first = [diagnostic for diagnostic in others if diagnostic.code == CHANGED]
    blocks = [_headline(plan, width), diagnostic_lines(first, width, paint)]
    blocks += (change_block(change, width, paint) for change in plan.changes)
    unchanged = []
    for change in plan.unchanged if show_all else ():
        engine = f"  {display_engine(change.after.engine)}" if change.after and change.after.engine else ""
        kept = f"  {word}" if (word := PROTECTIONS[change.protection]) else ""
        unchanged.append(f"{SIGNS['none']} {display_name(change.name)}{engine}{kept}")
    blocks.append(unchanged)
    blocks += blocked_blocks(plan, of_model, width, paint)
    blocks += unknown_blocks(plan, of_model, width, paint, show_all=show_all)
    blocks.append(_orphan_lines(plan, width, show_all=show_all))
    last = [diagnostic for diagnostic in others if diagnostic.code != CHANGED]
    blocks.append(diagnostic_lines(last, width, paint))
    shown = [*first, *(each for name in (*plan.blocked, *plan.unknown) for each in of_model[name]), *last]
    blocks.append(explain_lines(shown, width, paint) + _closing_lines(plan, digest, width))
    return joined(blocks)


def unmanaged_sentence(plan: Plan) -> str:
    """Return what to say of the models that are none of the manifests' business."""
    if plan.has_scope:
        return f"{counted(plan.unmanaged, 'model')} outside the scope left alone."
    return f"{counted(plan.unmanaged, 'other model')} on the server left alone."


def unchanged_sentence(plan: Plan) -> str:
    """Return what to say of a plan that has nothing to do; it claims no more than is known."""
    counts = plan.summary
    selected = " selected" if plan.selection.is_partial else ""
    if counts.blocked or counts.unknown or plan.has_errors:
        unknown = set(plan.unknown)
        known = sum(change.name not in unknown for change in plan.unchanged)
        parts = [f"{known:,} as listed"]
        parts += [f"{counts.blocked:,} blocked"] if counts.blocked else []
        parts += [f"{counts.unknown:,} of unknown content"] if counts.unknown else []
        return f"No changes, but not all is well: {', '.join(parts)}."
    if counts.unchanged == 0:
        return f"No changes. No{selected} models are listed."
    number, noun = ("the one", "model") if counts.unchanged == 1 else (f"all {counts.unchanged:,}", "models")
    return f"No changes. The server holds {number}{selected} {noun} as listed."


def _headline(plan: Plan, width: int) -> list[str]:
    manifests = [Piece(display_path(path)) for path in plan.manifests]
    if len(manifests) > 3:  # noqa: PLR2004 - more than fit a line help nobody
        manifests = [Piece(f"{len(manifests):,} manifests")]
    pieces = [*manifests, Piece("→"), Piece(display_path(plan.server.url))]
    pieces += [Piece(f"(domain {printable(plan.server.domain)})")] if plan.server.domain else []
    lines = flow(pieces, width, rest="  ")
    if plan.selection.is_partial:
        flags = plan.selection.flags()
        pairs = zip(flags[::2], flags[1::2], strict=True)
        chosen = [Piece(f"{flag} {quote(display_path(value))}") for flag, value in pairs]
        lines += flow([Piece("Only"), *chosen], width, rest="  ")
    return lines


def _orphan_lines(plan: Plan, width: int, *, show_all: bool) -> list[str]:
    names = plan.kept_orphans
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
