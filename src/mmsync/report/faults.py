"""Diagnostics as lines: ``file:line:col: message (what to do)``, so that editors and terminals can open the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.printable import printable
from mmsync.report.layout import Paint, Piece, Style, flow, painter, words
from mmsync.report.shown import shown_name, shown_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from mmsync.states import Diagnostic

__all__ = ["diagnostic_lines", "joined", "render_diagnostics"]

_LABELS: dict[Literal["error", "warning", "info"], tuple[str, Style]] = {
    "error": ("error:", "error"),
    "warning": ("warning:", "warning"),
    "info": ("note:", "faint"),
}


def render_diagnostics(diagnostics: Iterable[Diagnostic], *, width: int = 80, colour: bool = False) -> str:
    """Return the diagnostics, each as ``file:line:col: message (what to do)``, in the order given.

    Warnings and notes say so after their place; an error without a place begins with ``error:``.
    """
    return joined([diagnostic_lines(diagnostics, width, painter(colour=colour))])


def joined(blocks: Iterable[Sequence[str]]) -> str:
    """Return blocks of lines as text, an empty line between them; an empty block leaves no trace."""
    text = "\n\n".join("\n".join(block) for block in blocks if block)
    return text + "\n" if text else ""


def diagnostic_lines(
    diagnostics: Iterable[Diagnostic], width: int, paint: Paint, indent: str = "", *, under: str = ""
) -> list[str]:
    """Return the lines of some diagnostics.

    Args:
        diagnostics: In the order to show them.
        width: Columns of the terminal.
        paint: What colours.
        indent: What stands before each.
        under: The model whose heading they stand under: messages that begin with its name need not repeat it.
    """
    lines: list[str] = []
    for fault in diagnostics:
        keep = [shown_name(fault.model)] if fault.model else []
        pieces = []
        if fault.source:
            file = shown_path(fault.source.file)
            pieces.append(Piece(f"{file}:{fault.source.line}:{fault.source.column}:"))
            keep.append(file)
        if fault.severity != "error" or not fault.source:
            label, style = _LABELS[fault.severity]
            pieces.append(Piece(paint(label, style)))
        summary = fault.summary.removeprefix(f"{printable(under)}: ") if under else fault.summary
        pieces += words(summary, keep)
        if fault.detail:
            pieces += words(f"({fault.detail})", keep)
        lines += flow(pieces, width, first=indent, rest=indent + "  ")
    return lines
