"""Differences of signatures, in the order and number in which text and Markdown show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from mmsync.plan.model import SignatureDifferences

INPUTS_SHOWN = 20
"""Inputs of one model that are shown of those that differ; models with hundreds are usual."""


class InputRow(NamedTuple):
    """One input that differs."""

    action: Literal["add", "change", "delete"]
    name: str
    types: tuple[str | None, ...]  # its type where it is known; of a retyped one both, with None for what parts them


def input_rows(found: SignatureDifferences) -> Iterator[InputRow]:
    """Yield the inputs to show: removed and retyped ones first, since those break queries."""
    rows = [InputRow("delete", name, (kind,) if kind else ()) for name, kind in found.removed]
    rows += [InputRow("change", name, (was, None, now)) for name, was, now in found.retyped]
    rows += [InputRow("add", name, (kind,) if kind else ()) for name, kind in found.added]
    yield from rows[:INPUTS_SHOWN]


def left_out(found: SignatureDifferences) -> int:
    """Return how many inputs that differ are not shown."""
    return max(0, len(found.removed) + len(found.retyped) + len(found.added) - INPUTS_SHOWN)
