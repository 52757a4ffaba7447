"""GitHub Actions: annotations on a step's output, and lines for the file of its outputs.

Workflow commands are lines ``::error file=…,line=…,col=…,title=…::message``. GitHub shows at most ten annotations
of each kind a step and drops the rest without a word; so the rest is counted here in a notice.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.plan.model import Plan
from mmsync.printable import printable
from mmsync.report.format import counted
from mmsync.types import Diagnostic, Source

LIMIT = 10
_LONGEST_MESSAGE = 2000
_LONGEST_NAME = 200


class _Annotation(NamedTuple):
    severity: Literal["error", "warning"]
    message: str
    title: str
    source: Source | None


def annotation_lines(
    diagnostics: Iterable[Diagnostic],
    outcomes: Iterable[Outcome] = (),
    *,
    limit: int = LIMIT,
    in_repository: Callable[[str], str] = str,
) -> list[str]:
    """Return workflow commands for errors and warnings, errors first, without line ends.

    Args:
        diagnostics: Of a manifest or a plan, blocked models included; notes are passed over.
        outcomes: Of an apply: what failed is an error; what was skipped or not attempted, a warning.
        limit: At most this many of each kind; what remains is counted in one ``::notice``.
        in_repository: Makes of a manifest's path the one from the repository's root, where GitHub looks for it.
    """
    found = [
        _Annotation(
            diagnostic.severity, _with_detail(diagnostic.summary, diagnostic.detail), diagnostic.code, diagnostic.source
        )
        for diagnostic in diagnostics
        if diagnostic.severity != "info"
    ]
    for outcome in outcomes:
        if not outcome.ok:
            severity: Literal["error", "warning"] = "error" if outcome.status == "failed" else "warning"
            message = outcome.message or f"to {outcome.change.action}, {outcome.status.replace('-', ' ')}"
            code = f"apply/{outcome.code or outcome.status}"
            name = printable(outcome.change.name, _LONGEST_NAME)
            found.append(_Annotation(severity, f"{name}: {message}", code, outcome.change.source))
    lines: list[str] = []
    more: list[str] = []
    for kind in ("error", "warning"):
        of_kind = [annotation for annotation in found if annotation.severity == kind]
        lines += [_command(annotation, in_repository) for annotation in of_kind[:limit]]
        if len(of_kind) > limit:
            more.append(counted(len(of_kind) - limit, f"more {kind}"))
    if more:
        lines.append(f"::notice title=mmsync::{' and '.join(more)} not shown here; the log has them all")
    return lines


def outputs(plan: Plan, digest: str, delimiter: str) -> str:
    """Return the lines for ``GITHUB_OUTPUT``: ``changes`` (how many in all), ``add``, ``change``, ``delete``, ``digest``.

    Args:
        delimiter: A line that ends each value: random, so that no value can pretend to end before it does.

    Raises:
        ValueError: The delimiter is empty, has more than one line, or occurs in a value.
    """
    counts = plan.summary
    values = {
        "changes": str(len(plan.changes)),
        "add": str(counts.add),
        "change": str(counts.change),
        "delete": str(counts.delete),
        "digest": printable(digest),
    }
    if (
        not delimiter.strip()
        or len(delimiter.splitlines()) != 1
        or any(delimiter in value for value in values.values())
    ):
        raise ValueError("the delimiter of an output must be one line that occurs in no value")
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def escape_message(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape the value of a property of a workflow command."""
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")


def _command(annotation: _Annotation, in_repository: Callable[[str], str]) -> str:
    properties: list[tuple[str, str]] = []
    if annotation.source:
        file, line, column = annotation.source
        properties = [("file", printable(in_repository(file), 4096)), ("line", str(line)), ("col", str(column))]
    properties.append(("title", f"mmsync: {printable(annotation.title)}"))
    shown = ",".join(f"{key}={escape_property(value)}" for key, value in properties)
    return f"::{annotation.severity} {shown}::{escape_message(printable(annotation.message, _LONGEST_MESSAGE))}"


def _with_detail(summary: str, detail: str) -> str:
    return f"{summary} ({detail})" if detail else summary


_TICKS = re.compile("`+")


def code(text: str, limit: int = 300) -> str:
    """Return ``text`` as a code span on one line, at most about ``limit`` characters of it, never empty."""
    shown = printable(text, limit)
    if not shown.strip():
        shown = f'"{shown}"'  # a span of nothing but spaces would be no span
    fence = "`" * (max(map(len, _TICKS.findall(shown)), default=0) + 1)
    # One space at both ends is taken off again by the reader: it keeps a backtick at an end from lengthening the
    # fence, and text that begins and ends with a space from losing both.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def size(text: str) -> int:
    """Return the length of ``text`` by the strictest count: UTF-16 units, a line end as two (as forms send it)."""
    astral = 0 if text.isascii() else sum(char > "\uffff" for char in text)
    return len(text) + astral + text.count("\n")
