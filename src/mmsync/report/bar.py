"""One line of progress: a label, a bar and figures in so many columns."""

from __future__ import annotations

from mmsync.report.layout import columns

__all__ = ["bar_line", "shortened"]

_WIDEST_BAR = 30
_NARROWEST_BAR = 6


def bar_line(label: str, share: float, figures: list[str], width: int) -> str:
    """Return label, bar and figures in ``width`` columns; what does not fit is left out, the last figure first."""
    while figures and columns(label) + columns("  ".join(figures)) + 4 > width:
        figures = figures[:-1]
    tail = "  ".join(figures)
    room = min(width - columns(label) - columns(tail) - 4, _WIDEST_BAR)
    bar = _bar(share, room) if room >= _NARROWEST_BAR else ""
    return shortened("  ".join(part for part in (label, bar, tail) if part), width)


def _bar(share: float, room: int) -> str:
    full = round(min(max(share, 0.0), 1.0) * room)
    return "━" * full + "─" * (room - full)


def shortened(text: str, room: int) -> str:
    """Return ``text`` in at most ``room`` columns, its middle left out where it is wider: for a glance, not to copy."""
    if columns(text) <= room:
        return text
    head, tail = text[: room // 2], text[-(room // 2) :] if room > 1 else ""
    while head and columns(head) + columns(tail) + 1 > room:
        if len(head) > len(tail):
            head = head[:-1]
        else:
            tail = tail[1:]
    return f"{head}…{tail}"
