"""One model of a plan as a block of lines: sign, name and engine, then what differs and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.printable import printable
from mmsync.report.contrast import contrast, quoted
from mmsync.report.layout import Piece, columns, flow, prose, words
from mmsync.report.sizes import human_bytes

if TYPE_CHECKING:
    from mmsync.plan.model import Action, After, Before, Change
    from mmsync.report.layout import Paint, Style
    from mmsync.states import Source

__all__ = [
    "EVIDENCE",
    "SIGNS",
    "STYLES",
    "change_block",
    "content_side",
    "contents",
    "place",
    "shown_name",
    "shown_path",
    "signed",
]

SIGNS: dict[Action, str] = {"add": "+", "change": "~", "delete": "-", "none": "="}
STYLES: dict[Action, Style] = {"add": "add", "change": "change", "delete": "delete", "none": "faint"}
EVIDENCE = {
    "ledger": "the ledger",
    "size": "the size of the server's image",
    "download": "the image, downloaded and hashed",
    "none": "",
}
_LABEL = 13  # the width of the longest label, "description", and two spaces
_INDENT = "    "
# Names and paths are shown whole, as they will be copied; only what no file system or person makes is cut.
_LONGEST_NAME = 1024
_LONGEST_PATH = 4096
_DIGEST = 12  # as many digits as tell any two models apart


def shown_name(name: str) -> str:
    """Return a name safe for a terminal; in quotes where its ends could not be seen otherwise."""
    shown = printable(name, _LONGEST_NAME)
    return shown if shown and shown == shown.strip() else f'"{shown}"'


def shown_path(path: str) -> str:
    """Return a path safe for a terminal."""
    return printable(path, _LONGEST_PATH)


def signed(sign: str, style: Style, name: str, paint: Paint) -> Piece:
    """Return a sign and a name as one piece: a name never stands on a line without its sign."""
    return Piece(f"{paint(sign, style)} {paint(shown_name(name), 'name')}")


def place(source: Source) -> str:
    """Return ``file:line``, which editors and terminals open."""
    return f"{shown_path(source.file)}:{source.line}"


def content_side(sha256: str | None, size: int | None, *, exact: bool = False) -> str:
    """Return one content in a few characters: the start of its digest and its size, as far as they are known."""
    measure = "" if size is None else f"{size:,} B" if exact else human_bytes(size)
    if not sha256:
        return measure or "unknown"
    return printable(sha256, _DIGEST + 1)[:_DIGEST] + (f" ({measure})" if measure else "")


def contents(before: Before, after: After) -> tuple[str, str]:
    """Return both contents; sizes that differ by less than rounding shows are given to the byte."""
    exact = (
        before.size is not None and before.size != after.size and human_bytes(before.size) == human_bytes(after.size)
    )
    old, new = (content_side(side.sha256, side.size, exact=exact) for side in (before, after))
    return old, new


def change_block(change: Change, width: int, paint: Paint) -> list[str]:
    """Return the lines for one change; the first begins with its sign, the others are indented."""
    style = STYLES[change.action]
    side = change.after or change.before
    head = [signed(SIGNS[change.action], style, change.name, paint)]
    if side and side.engine:
        head.append(Piece(printable(side.engine, 60), gap=2))
    if change.reasons:
        reasons = ", ".join(change.reasons)
        head.append(Piece(paint(f"({reasons})", style), gap=2))
    lines = flow(head, width, rest="  ")
    for label, pieces in _rows(change, max(width - len(_INDENT) - _LABEL, 20), paint):
        start = _INDENT + paint(label.ljust(_LABEL), "faint")
        lines += flow(pieces, width, first=start, rest=" " * (len(_INDENT) + _LABEL))
    return lines


def _rows(change: Change, room: int, paint: Paint) -> list[tuple[str, list[Piece]]]:
    before, after = change.before, change.after
    rows: list[tuple[str, list[Piece]]] = []
    if before and after and "engine" in change.reasons:
        old = printable(before.engine or "unknown", 60)
        rows.append(("engine", _turn(paint(old, "delete"), paint(printable(after.engine, 60), "add"))))
    if before and after and "content" in change.reasons:
        old, new = contents(before, after)
        rows.append(("content", _turn(paint(old, "delete"), paint(new, "add"))))
        if EVIDENCE[change.evidence]:
            rows.append(("known from", words(EVIDENCE[change.evidence])))
    elif (change.uploads and after) or (change.action == "delete" and before and (before.sha256 or before.size)):
        held = after or before
        assert held is not None  # one of the two conditions above
        rows.append(("content", [Piece(content_side(held.sha256, held.size))]))
    rows += _description_rows(change, room, paint)
    if after:
        pieces = [Piece(shown_path(after.file))]
        if change.source:
            pieces.append(Piece(paint(f"({place(change.source)})", "faint")))
        rows.append(("file", pieces))
    else:
        rows.append(("why", words("inside the scope, but in no manifest")))
    return rows


def _description_rows(change: Change, room: int, paint: Paint) -> list[tuple[str, list[Piece]]]:
    before, after = change.before, change.after
    if before and after and "description" in change.reasons:
        old, new = contrast(before.description, after.description, limit=2 * room)
        if columns(old) + columns(new) + 3 <= room:
            return [("description", _turn(paint(old, "delete"), paint(new, "add")))]
        sides: list[tuple[str, str, str, Style]] = [("description", "-", old, "delete"), ("", "+", new, "add")]
        return [
            (label, [Piece(paint(piece.text, style), piece.gap) for piece in (Piece(sign), *prose(text, room - 2))])
            for label, sign, text, style in sides
        ]
    text = after.description if after and change.action == "add" else None
    return [("description", prose(quoted(text, 2 * room), room))] if text else []


def _turn(old: str, new: str) -> list[Piece]:
    return [Piece(old), Piece("→"), Piece(new)]
