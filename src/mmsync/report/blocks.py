"""One model of a plan as a block of lines: sign, name and engine, then what differs and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmsync.report.contrast import contrast, quoted
from mmsync.report.layout import Piece, columns, flow, prose, words
from mmsync.report.shown import (
    EVIDENCE,
    SIGNS,
    STYLES,
    as_before,
    content_side,
    contents,
    place,
    shown_engine,
    shown_path,
    signed,
)

if TYPE_CHECKING:
    from mmsync.plan.model import Change
    from mmsync.report.layout import Paint, Style

__all__ = ["change_block"]

_LABEL = 13  # the width of the longest label, "description", and two spaces
_INDENT = "    "


def change_block(change: Change, width: int, paint: Paint) -> list[str]:
    """Return the lines for one change; the first begins with its sign, the others are indented."""
    style = STYLES[change.action]
    side = change.after or change.before
    head = [signed(SIGNS[change.action], style, change.name, paint)]
    if side and side.engine:
        head.append(Piece(shown_engine(side.engine), gap=2))
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
        old = shown_engine(before.engine or "unknown")
        rows.append(_Row("engine", _turn(old, shown_engine(after.engine), paint)))
    if before and after and "content" in change.reasons:
        rows.append(_Row("content", _turn(*contents(before, after), paint)))
        if EVIDENCE[change.evidence]:
            rows.append(_Row("known from", words(EVIDENCE[change.evidence])))
    elif after and change.uploads:
        rows.append(_Row("content", [Piece(content_side(after.sha256, after.size) + as_before(change))]))
    rows += _description_rows(change, room, paint)
    if after:
        pieces = [Piece(shown_path(after.file))]
        if change.source:
            pieces.append(Piece(paint(f"({place(change.source)})", "faint")))
        rows.append(_Row("file", pieces))
    else:
        rows.append(_Row("why", words("inside the scope, but in no manifest")))
    return rows


def _description_rows(change: Change, room: int, paint: Paint) -> list[_Row]:
    before, after = change.before, change.after
    if before and after and "description" in change.reasons:
        old, new = contrast(before.description, after.description, limit=2 * room)
        if columns(old) + columns(new) + 3 <= room:
            return [_Row("description", _turn(old, new, paint))]
        return [
            _Row("description", [Piece("-"), *prose(old, room - 2)], "delete"),
            _Row("", [Piece("+"), *prose(new, room - 2)], "add"),
        ]
    text = after.description if after and change.action == "add" else None
    return [_Row("description", prose(quoted(text, 2 * room), room))] if text else []


def _turn(old: str, new: str, paint: Paint) -> list[Piece]:
    return [Piece(paint(old, "delete")), Piece("→"), Piece(paint(new, "add"))]
