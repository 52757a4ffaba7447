"""What apply writes to stdout, in each of its formats."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mmsync._version import __version__
from mmsync.cli.output import answer, colour, columns
from mmsync.errors import MmsyncError
from mmsync.plan import plan_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmsync.apply import Event, Outcome
    from mmsync.plan import Plan

__all__ = ["Telling"]


class Telling:
    """Tells one apply: the plan, the events, the outcomes.

    Args:
        made: The plan.
        output_format: ``text`` (the plan, then the outcomes), ``json`` (an event a line, as it happens) or
            ``markdown`` (the report at the end).
    """

    def __init__(self, made: Plan, output_format: str) -> None:
        from mmsync.report.events import EventLines  # noqa: PLC0415 - loaded with the plan

        self._made = made
        self._format = output_format
        self._digest = plan_digest(made)
        self._lines = EventLines()
        self._fault: Exception | None = None

    def plan(self) -> None:
        """Tell what is to be done."""
        if self._format == "text":
            from mmsync.report.text import render_plan  # noqa: PLC0415 - only for this format

            width = columns(sys.stdout)
            answer(render_plan(self._made, digest=self._digest, width=width, colour=colour(sys.stdout)))
        elif self._format == "json":
            from mmsync.report.events import change_line, diagnostic_line, version_line  # noqa: PLC0415 - the same

            self._write([version_line(__version__)])
            self._write(change_line(change) for change in self._made.changes)
            self._write(diagnostic_line(note) for note in self._made.diagnostics)
        elif self._made.refusals:
            from mmsync.report.markdown import render  # noqa: PLC0415 - only for this format

            answer(render(self._made, digest=self._digest))  # nothing follows that would be reported instead

    def event(self, event: Event) -> None:
        """Tell an event. It never fails: an apply under way is not stopped because nobody listens any more."""
        if self._format == "json" and self._fault is None:
            try:
                self._write(self._lines.lines(event))
            except (OSError, MmsyncError) as fault:
                self._fault = fault

    def outcomes(self, outcomes: tuple[Outcome, ...]) -> None:
        """Tell what became of it; a fault of stdout is kept for ``close``."""
        if self._fault is None:
            try:
                self._outcomes(outcomes)
            except (OSError, MmsyncError) as fault:
                self._fault = fault

    def close(self) -> None:
        """Raise what kept the telling from stdout, if anything did.

        Raises:
            MmsyncError: stdout cannot be written.
            BrokenPipeError: Nobody reads it any more.
        """
        if self._fault is not None:
            raise self._fault

    def _outcomes(self, outcomes: tuple[Outcome, ...]) -> None:
        match self._format:
            case "json":
                from mmsync.report.events import summary_line  # noqa: PLC0415 - only for this format

                self._write([summary_line(self._made, outcomes, digest=self._digest)])
            case "markdown":
                from mmsync.report.markdown import render  # noqa: PLC0415 - only for this format

                answer(render(self._made, outcomes, digest=self._digest))
            case _ if self._made.changes:
                from mmsync.report.text import render_outcomes  # noqa: PLC0415 - only for this format

                width = columns(sys.stdout)
                answer("\n" + render_outcomes(self._made, outcomes, width=width, colour=colour(sys.stdout)))

    def _write(self, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if text:
            answer(text)
