"""Diagnostics as lines: ``file:line:col: message (what to do)``, so that editors and terminals can open the place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from mmsync.plan.model import Plan
from mmsync.printable import printable
from mmsync.report.layout import Paint, Piece, Style, display_name, display_path, flow, heading, painter, words
from mmsync.types import Diagnostic

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


def diagnostic_lines(diagnostics: Iterable[Diagnostic], width: int, paint: Paint, *, under: str = "") -> list[str]:
    """Return the lines of some diagnostics, in the order given.

    ``under`` is the model whose heading they stand under, indented: messages that begin with its name do not repeat it.
    """
    indent = "    " if under else ""
    lines: list[str] = []
    for diagnostic in diagnostics:
        keep = [display_name(diagnostic.model)] if diagnostic.model else []
        pieces = []
        if diagnostic.source:
            file = display_path(diagnostic.source.file)
            pieces.append(Piece(f"{file}:{diagnostic.source.line}:{diagnostic.source.column}:"))
            keep.append(file)
        if diagnostic.severity != "error" or not diagnostic.source:
            label, style = _LABELS[diagnostic.severity]
            pieces.append(Piece(paint(label, style)))
        summary = diagnostic.summary.removeprefix(f"{printable(under)}: ") if under else diagnostic.summary
        pieces += words(summary, keep)
        if diagnostic.detail:
            pieces += words(f"({diagnostic.detail})", keep)
        lines += flow(pieces, width, first=indent, rest=indent + "  ")
    return lines


# A list of mere names is cut here, with a count of the rest, unless everything was asked for.
NAMES_SHOWN = 20


def by_model(plan: Plan) -> tuple[dict[str, list[Diagnostic]], list[Diagnostic]]:
    """Return the diagnostics of the blocked and the unknown models by name, and all the others."""
    by_name: dict[str, list[Diagnostic]] = {name: [] for name in (*plan.blocked, *plan.unknown)}
    others: list[Diagnostic] = []
    for diagnostic in plan.diagnostics:
        if diagnostic.code != "plan/options":  # which is for the plan document; here the headline tells the selection
            by_name.get(diagnostic.model, others).append(diagnostic)
    return by_name, others


def blocked_blocks(plan: Plan, of_model: dict[str, list[Diagnostic]], width: int, paint: Paint) -> list[list[str]]:
    """Return a block for each model that may not be applied: that, and why."""
    return [
        heading("error", name, "blocked", width, paint) + diagnostic_lines(of_model[name], width, paint, under=name)
        for name in plan.blocked
    ]


def unknown_blocks(
    plan: Plan, of_model: dict[str, list[Diagnostic]], width: int, paint: Paint, *, show_all: bool
) -> list[list[str]]:
    """Return a block for each model of unknown content; of more than a few, a count unless all are asked for."""
    blocked = set(plan.blocked)
    names = [name for name in plan.unknown if name not in blocked]
    shown = names if show_all else names[:NAMES_SHOWN]
    blocks = [
        heading("warning", name, "content on the server unknown", width, paint)
        + diagnostic_lines(of_model[name], width, paint, under=name)
        for name in shown
    ]
    if len(names) > len(shown):
        blocks.append([f"? and {len(names) - len(shown):,} more unknown (--all lists them)"])
    return blocks
