"""Diagnostics as lines: ``file:line:col: message (what to do) [code]``, and under them the line they point into.

Editors and terminals can open the place; ``mmsync explain`` knows the code.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import Literal

from mmsync.plan.model import Plan
from mmsync.printable import printable
from mmsync.report.layout import (
    Paint,
    Piece,
    Style,
    cell,
    columns,
    display_name,
    display_path,
    flow,
    heading,
    painter,
    words,
)
from mmsync.report.repeats import first_few, more
from mmsync.types import Diagnostic, Excerpt

_LABELS: dict[Literal["error", "warning", "info"], tuple[str, Style]] = {
    "error": ("error:", "error"),
    "warning": ("warning:", "warning"),
    "info": ("note:", "faint"),
}


def render_diagnostics(
    diagnostics: Iterable[Diagnostic], *, width: int = 80, colour: bool = False, explain: bool = False
) -> str:
    """Return the diagnostics, each as ``file:line:col: message (what to do) [code]``, in the order given.

    Warnings and notes say so after their place; an error without a place begins with ``error:``. With ``explain`` a
    last line says how to learn what a code means.
    """
    shown, paint = list(diagnostics), painter(colour=colour)
    return joined([diagnostic_lines(shown, width, paint) + (explain_lines(shown, width, paint) if explain else [])])


def explain_lines(diagnostics: Iterable[Diagnostic], width: int, paint: Paint) -> list[str]:
    """Return the line that says how to learn what the first of the codes means; none where there are but notes."""
    code = next((diagnostic.code for diagnostic in diagnostics if diagnostic.severity != "info"), "")
    return explain_line(code, width, paint) if code else []


def explain_line(code: str, width: int, paint: Paint) -> list[str]:
    """Return the line that says how to learn what a code means."""
    command = Piece(f"mmsync explain {paint(printable(code), 'code')}")
    return flow([*words("What a code means:"), command], width, rest="  ")


def code_piece(code: str, paint: Paint) -> Piece:
    """Return a code as it stands behind a message."""
    return Piece(paint(f"[{printable(code)}]", "code"))


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
    told = first_few(diagnostics, _sameness)
    for (diagnostic, others), (following, _) in zip_longest(told, told[1:], fillvalue=(None, [])):
        if diagnostic is None:  # as the types have it
            continue
        keep = [display_name(diagnostic.model)] if diagnostic.model else []
        pieces = []
        if diagnostic.source:
            file = display_path(diagnostic.source.file)
            pieces.append(Piece(paint(f"{file}:{diagnostic.source.line}:{diagnostic.source.column}:", "name")))
            keep.append(file)
        if diagnostic.severity != "error" or not diagnostic.source:
            label, style = _LABELS[diagnostic.severity]
            pieces.append(Piece(paint(label, style)))
        summary = diagnostic.summary.removeprefix(f"{printable(under)}: ") if under else diagnostic.summary
        pieces += words(summary, keep)
        if diagnostic.detail:
            pieces += words(f"({diagnostic.detail})", keep)
        if diagnostic.code:
            pieces.append(code_piece(diagnostic.code, paint))
        lines += flow(pieces, width, first=indent, rest=indent + "  ")
        # Under the last of several about the same place.
        if diagnostic.excerpt and diagnostic.source and (following is None or following.source != diagnostic.source):
            style = _LABELS[diagnostic.severity][1]
            lines += _excerpt_lines(diagnostic.excerpt, diagnostic.source.line, width, paint, style, indent + "  ")
        if others:
            lines += flow(
                more((other.model for other in others), "of the same place and code"),
                width,
                first=indent + "  ",
                rest=indent + "    ",
            )
    return lines


def _sameness(diagnostic: Diagnostic) -> Hashable:
    """Return what many diagnostics share that a rule has of as many models; of others, none is as another."""
    if not diagnostic.source or not diagnostic.model:
        return id(diagnostic)
    return diagnostic.severity, diagnostic.code, diagnostic.source, diagnostic.detail


_TAB = 4  # columns: of a tab nothing is to be seen but that what follows stands further right
_LEAST_ROOM = 10


def _excerpt_lines(excerpt: Excerpt, number: int, width: int, paint: Paint, style: Style, indent: str) -> list[str]:
    """Return a source line with its number, and a caret under the place; a long line is cut around that."""
    gutter = f"{number} |"
    room = max(width - len(indent) - len(gutter) - 1, _LEAST_ROOM)
    text, before = _cut_around(excerpt, room)
    bar = " " * len(str(number)) + " |"
    return [
        f"{indent}{paint(gutter, 'faint')} {text}".rstrip(),
        f"{indent}{paint(bar, 'faint')} {' ' * before}{paint('^', style)}",
    ]


def _cut_around(excerpt: Excerpt, room: int) -> tuple[str, int]:
    """Return as much of a line around the caret as takes ``room`` columns, safe to print, and the caret's column."""
    parts: list[str] = []  # what each character looks like
    starts = [0]  # the column where it stands, and that where the last one ends
    for char in excerpt.text:
        seen = " " * (_TAB - starts[-1] % _TAB) if char == "\t" else printable(char)
        parts.append(seen)
        starts.append(starts[-1] + (cell(seen) if len(seen) == 1 else len(seen)))
    caret = excerpt.caret
    starts.append(starts[-1] + 1)  # the caret may stand behind the end
    first, last = 0, len(parts)
    is_cut = not (excerpt.begins and excerpt.ends) or starts[max(last, caret + 1)] > room
    if is_cut:
        room -= 2  # for an ellipsis on either side
        if starts[caret + 1] > room:
            first = next(i for i in range(caret + 1) if starts[caret + 1] - starts[i] <= room // 2 or i == caret)
        last = max(caret, first)
        while last < len(parts) and starts[last + 1] - starts[first] <= room:
            last += 1
    left = "…" if first or not excerpt.begins else ""
    right = "…" if last < len(parts) or not excerpt.ends else ""
    return f"{left}{''.join(parts[first:last])}{right}", columns(left) + starts[caret] - starts[first]


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
