"""GitHub Actions: annotations on a step's output, and lines for the file of its outputs.

Workflow commands are lines ``::error file=…,line=…,col=…,title=…::message``. GitHub shows at most ten annotations
of each kind a step and drops the rest without a word; so the rest is counted here in a notice.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal

from mmsync.apply.outcome import Outcome
from mmsync.plan.model import Plan
from mmsync.printable import printable
from mmsync.quantities import counted
from mmsync.report.outcome_text import left_clause
from mmsync.types import Diagnostic

_LIMIT = 10
_LONGEST_MESSAGE = 2000
_LONGEST_NAME = 200


def annotation_lines(
    diagnostics: Iterable[Diagnostic], outcomes: Iterable[Outcome] = (), *, in_repository: Callable[[str], str] = str
) -> list[str]:
    """Return workflow commands for errors and warnings, errors first, without line ends; infos are passed over.

    What of an apply failed is an error; what was skipped or not attempted, a warning. ``in_repository`` makes of a
    manifest's path the one from the repository's root, where GitHub looks for it.
    """
    found = list(diagnostics)
    for outcome in outcomes:
        if not outcome.ok:
            summary = f"{printable(outcome.change.name, _LONGEST_NAME)}: {outcome.message or left_clause(outcome)}"
            severity: Literal["error", "warning"] = "error" if outcome.status == "failed" else "warning"
            code = f"apply/{outcome.code or outcome.status}"
            found.append(Diagnostic(severity, code, summary, source=outcome.change.source))
    lines: list[str] = []
    more: list[str] = []
    for kind in ("error", "warning"):
        of_kind = [diagnostic for diagnostic in found if diagnostic.severity == kind]
        lines += [_command(diagnostic, in_repository) for diagnostic in of_kind[:_LIMIT]]
        if len(of_kind) > _LIMIT:
            more.append(counted(len(of_kind) - _LIMIT, f"more {kind}"))
    if more:
        lines.append(f"::notice title=mmsync::{' and '.join(more)} not shown here; the log has them all")
    return lines


def outputs(plan: Plan, digest: str, delimiter: str) -> str:
    """Return the lines for ``GITHUB_OUTPUT``: ``changes`` (of every kind), ``add``, ``change``, ``delete``, ``digest``.

    Raises what `output_lines` raises.
    """
    counts = plan.summary._asdict()
    values = {"changes": str(len(plan.changes)), **{key: str(counts[key]) for key in ("add", "change", "delete")}}
    values["digest"] = printable(digest)
    return output_lines(values, delimiter)


def output_lines(values: Mapping[str, str], delimiter: str) -> str:
    """Return the lines for ``GITHUB_OUTPUT`` that set these values.

    The delimiter is a line that ends each value: random, so that no value can pretend to end before it does. Raises
    `ValueError` if it is empty, has more than one line, or occurs in a value.
    """
    is_line = delimiter.strip() and len(delimiter.splitlines()) == 1
    if not is_line or any(delimiter in value for value in values.values()):
        raise ValueError("the delimiter of an output must be one line that occurs in no value")
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def escape_message(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape the value of a property of a workflow command."""
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")


def _command(diagnostic: Diagnostic, in_repository: Callable[[str], str]) -> str:
    properties: dict[str, str] = {}
    if diagnostic.source:
        file, line, column = diagnostic.source
        properties = {"file": printable(in_repository(file), 4096), "line": str(line), "col": str(column)}
    properties["title"] = f"mmsync: {printable(diagnostic.code)}"
    listed = ",".join(f"{key}={escape_property(value)}" for key, value in properties.items())
    message = str(replace(diagnostic, source=None))  # the place is among the properties
    return f"::{diagnostic.severity} {listed}::{escape_message(printable(message, _LONGEST_MESSAGE))}"


def code(text: str, limit: int = 300) -> str:
    """Return ``text`` as a code span on one line, at most about ``limit`` characters of it, never empty."""
    shown = printable(text, limit)
    if not shown.strip():
        shown = f'"{shown}"'  # a span of nothing but spaces would be no span
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    # One space at both ends is taken off again by the reader: it keeps a backtick at an end from lengthening the
    # fence, and text that begins and ends with a space from losing both.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def size(text: str) -> int:
    """Return the length of ``text`` by the strictest count: UTF-16 units, a line end as two (as forms send it)."""
    astral = 0 if text.isascii() else sum(char > "\uffff" for char in text)
    return len(text) + astral + text.count("\n")
