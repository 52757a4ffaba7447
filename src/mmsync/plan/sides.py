"""One model seen from both sides, and the change that makes them agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from mmsync.plan.model import After, Before, Change

if TYPE_CHECKING:
    from mmsync.plan.model import Reason
    from mmsync.states import Content, Desired, Evidence, Observed

__all__ = ["Sides", "Unchanged", "before", "change_of"]


class Sides(NamedTuple):
    """One model from both sides."""

    wanted: Desired
    content: Content
    there: Observed | None
    evidence: Evidence | None


def before(there: Observed, evidence: Evidence | None) -> Before:
    """Return the server's side as a change shows it."""
    return Before(
        id=there.id,
        engine=there.engine,
        description=there.description,
        image_id=there.image_id,
        update_date=there.update_date,
        sha256=evidence.sha256 if evidence else None,
        size=evidence.size if evidence else None,
    )


def change_of(sides: Sides, reasons: tuple[Reason, ...]) -> Change:
    """Return the add, the change for these reasons, or with none of them the unchanged model."""
    wanted, content, there, evidence = sides
    return Change(
        wanted.name,
        "add" if there is None else "change" if reasons else "none",
        reasons,
        before(there, evidence) if there else None,
        After(wanted.engine, wanted.description, wanted.file, content.sha256, content.size),
        evidence.source if evidence else "none",
        wanted.source,
        wanted,
        content,
    )


class Unchanged(Sequence[Change]):
    """The changes of action ``none``, made when they are looked at: most plans only count ten thousand of them."""

    def __init__(self, sides: list[Sides]) -> None:
        self._sides = sides

    def __len__(self) -> int:
        return len(self._sides)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        if isinstance(index, slice):
            return tuple(change_of(sides, ()) for sides in self._sides[index])
        return change_of(self._sides[index], ())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(sides.wanted.name for sides in self._sides))
