"""Models a plan holds back: those that may not be applied, and those whose content on the server is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.report.faults import diagnostic_lines
from mmsync.report.layout import Paint, Piece, flow
from mmsync.report.shown import signed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmsync.plan.model import Plan
    from mmsync.states import Diagnostic

__all__ = ["NAMES_SHOWN", "blocked_block", "by_model", "unknown_blocks"]

# A list of mere names is cut here, with a count of the rest, unless everything was asked for.
NAMES_SHOWN = 20


def blocked_block(name: str, faults: Iterable[Diagnostic], width: int, paint: Paint) -> list[str]:
    """Return the lines for a model that may not be applied, and why."""
    head = [signed("!", "error", name, paint), Piece(paint("blocked", "error"), gap=2)]
    return flow(head, width, rest="  ") + diagnostic_lines(faults, width, paint, "    ", under=name)


def by_model(plan: Plan) -> tuple[dict[str, list[Diagnostic]], list[Diagnostic]]:
    """Return the diagnostics of the blocked and the unknown models by name, and all the others."""
    held: dict[str, list[Diagnostic]] = {name: [] for name in (*plan.blocked, *plan.unknown)}
    others: list[Diagnostic] = []
    for diagnostic in plan.diagnostics:
        if diagnostic.code == "plan/options":
            continue  # for the plan document; here the headline tells the selection
        held.get(diagnostic.model, others).append(diagnostic)
    return held, others


def unknown_blocks(
    plan: Plan, of_model: dict[str, list[Diagnostic]], width: int, paint: Paint, *, show_all: bool
) -> list[list[str]]:
    """Return a block for each model of unknown content; of more than a few, a count unless all are asked for."""
    blocked = set(plan.blocked)
    names = [name for name in plan.unknown if name not in blocked]
    shown = names if show_all else names[:NAMES_SHOWN]
    blocks = []
    for name in shown:
        what = Piece(paint("content on the server unknown", "warning"), gap=2)
        head = [signed("?", "warning", name, paint), what]
        blocks.append(flow(head, width, rest="  ") + diagnostic_lines(of_model[name], width, paint, "    ", under=name))
    if len(names) > len(shown):
        blocks.append([f"? and {len(names) - len(shown):,} more unknown (--all lists them)"])
    return blocks
