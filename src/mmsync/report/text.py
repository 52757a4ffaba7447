"""Plans, outcomes and diagnostics as text to read in a terminal, a log or a review.

Every function returns whole lines ending in a line end, or an empty string. No line is wider than ``width`` columns
unless a single name, path or digest is: those are never broken, as they will be copied. Text from a server or a
manifest is made printable. Colours are SGR sequences and appear only where asked for.
"""

from __future__ import annotations

from mmsync.report.faults import render_diagnostics
from mmsync.report.outcome_text import render_outcomes
from mmsync.report.plan_text import render_plan

__all__ = ["render_diagnostics", "render_outcomes", "render_plan"]
