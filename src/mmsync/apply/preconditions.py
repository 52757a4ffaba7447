"""Preconditions of a write: the model is not stale, a save of it loses nothing, and no caller's signature breaks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mmsync.client import ModelDetail
from mmsync.client.error import UnexpectedResponse
from mmsync.errors import FileError
from mmsync.files.digest import opened, translated
from mmsync.formats import signature
from mmsync.observe import image_id
from mmsync.plan import Before
from mmsync.printable import printable
from mmsync.types import Content, Shape, file_key

if TYPE_CHECKING:
    from mmsync.ledger import VerifiedContent


def as_before(detail: ModelDetail | None) -> Before | None:
    """Return what a detail says, in the form a plan remembers it, to compare a later detail with."""
    if detail is None:
        return None
    engine, description = detail.get("engine"), detail.get("description")
    return Before(detail.get("id"), engine, description, image_id(detail), detail.get("updateDate"), None, None)


def staleness(before: Before | None, now: ModelDetail | None) -> str:
    """Return what of a model is no longer as it was, in words; empty where all is.

    Args:
        before: The model as it was; None where there was none.
        now: The model as it is; None where there is none.
    """
    if before is None:
        return "" if now is None else "it exists now (made outside mmsync since, or hidden from the list)"
    if now is None:
        return "it was deleted since the plan was made"
    pairs: list[tuple[str, object, object]] = [
        ("id", before.id, now.get("id")),
        ("image id", before.image_id, image_id(now)),
        ("update date", before.update_date, now.get("updateDate")),
    ]
    if before.update_date is None or now.get("updateDate") is None:
        pairs += [
            ("engine", before.engine, now.get("engine")),
            ("description", before.description, now.get("description")),
        ]
    # What one of the two does not say cannot be compared; ids may be numbers in one and text in the other.
    differing = [
        f"{what} was {printable(str(was), 60)}, is {printable(str(there), 60)}"
        for what, was, there in pairs
        if was is not None and there is not None and str(was) != str(there)
    ]
    return f"it changed since the plan was made: {'; '.join(differing)}" if differing else ""


def completed(before: Before | None, detail: ModelDetail) -> ModelDetail:
    """Fill in from the list what the server's detail leaves out: saved without it, the model would lose it.

    Raises:
        UnexpectedResponse: Neither says the model's id; saved without one, there would be two.
    """
    found: dict[str, Any] = dict(detail)
    if before is not None:
        for key, listed in (("id", before.id), ("engine", before.engine), ("description", before.description)):
            if found.get(key) is None:
                found[key] = listed
    if found.get("id") is None:
        raise UnexpectedResponse(
            msg="the server does not say the model's id; saved without it, there would be two of this name", status=200
        )
    return cast("ModelDetail", found)


class SignatureGuard:
    """The guard of one change's signature.

    It compares with the content last verified under the name, not with what somebody else left there: restoring
    verified content is always allowed.

    Args:
        verified: The contents once verified under the name, the latest first.
        present: The content the server is known to hold, or None.
        file: The signature that the file to be sent declares.
        there: The signature of the server's model.
        is_pinned: Whether the manifest names the content to be sent by its digest.
    """

    def __init__(
        self,
        verified: Sequence[VerifiedContent],
        sha256: str,
        present: str | None,
        file: Shape,
        there: Shape,
        *,
        is_pinned: bool,
    ) -> None:
        known = [each for each in verified if each.displayed.is_known or each.declared.is_known]
        self._last = known[0] if known else None
        contents = {each.sha256 for each in verified}
        self._restores = sha256 in contents
        self._drifted = present not in contents
        self._file = file
        self._there = there
        self._is_pinned = is_pinned

    def before_upload(self) -> str:
        """Say why the file would be refused, as far as it tells by itself; empty where it does not."""
        if self._last and self._last.declared.is_known:
            return self._reason(breaks(self._last.declared, self._file))
        # The server may name inputs and types its own way. Where the two agree on all they share, names are compared.
        was, now = self._before.inputs or {}, self._file.inputs or {}
        shared = was.keys() & now.keys()
        if not shared or any(was[name] != now[name] for name in shared):
            return ""
        return self._reason(breaks(Shape(was), Shape(now)))

    def before_save(self, review: Shape) -> str:
        """Say why the reviewed upload is refused; empty where it is not."""
        return self._reason(breaks(self._before, review))

    @property
    def _before(self) -> Shape:
        """Return what is to be kept, in the server's words."""
        return self._last.displayed if self._last and self._last.displayed.is_known else self._there

    def _reason(self, broken: Sequence[str]) -> str:
        if not broken or self._restores:
            return ""
        what = "; ".join(broken)
        if self._last:
            return f"{what}; queries that call it would break (allow_signature_change: true permits it)"
        pinned = "; the file is the one that the manifest pins" if self._is_pinned else ""
        return (
            f"{what}, compared with the model on the server; nothing is known here of an earlier one of this manifest, "
            f"so that may be yours or a stranger's{pinned} "
            "(allow_signature_change: true on the model sends the file all the same)"
        )

    def restored(self, review: Shape) -> str:
        """Say what was put right; empty where the server's model took and answered the same."""
        broken = breaks(self._there, review)
        if not broken:
            return ""
        if not self._drifted:
            return f"restored content verified before; {'; '.join(broken)}" if self._restores else ""
        what = " and ".join(
            part
            for part, differs in (
                ("inputs", any(clause.startswith("input ") for clause in broken)),
                ("output type", any(clause.startswith("the output type ") for clause in broken)),
            )
            if differs
        )
        drift = f"drift had changed its {what}"
        return f"restored; {drift}" if self._restores else drift if self._last else ""


def declared_shape(path: str, engine: str, content: Content) -> Shape:
    """Return the signature that a file declares; an empty one where it cannot be told or is of other content."""
    try:
        with opened(path) as (descriptor, before), translated(path):
            found = signature(descriptor, engine)
            is_same = file_key(before) == content.key == file_key(os.fstat(descriptor))
    except FileError:
        return Shape()
    if found is None or not is_same:
        return Shape()
    return Shape({field["name"]: field["type"] for field in found.fields} or None, found.output_type)


def breaks(before: Shape, after: Shape) -> tuple[str, ...]:
    """Say how a new signature would break callers of the one before; empty where it would not.

    An input removed or retyped, or another output type, breaks them; a new input is reported by the server to
    those who do not send it, and stops nothing here. What either side leaves out is not compared: a server that does
    not know its models' fields cannot be asked about them.
    """
    found: list[str] = []
    if before.inputs is not None and after.inputs is not None:
        for name, kind in before.inputs.items():
            if name not in after.inputs:
                found.append(f"input {printable(name, 80)} is gone")
            elif None not in (kind, now := after.inputs[name]) and now != kind:
                found.append(
                    f"input {printable(name, 80)} is {printable(str(now), 40)}, was {printable(str(kind), 40)}"
                )
    if None not in (before.output, after.output) and before.output != after.output:
        found.append(f"the output type is {printable(str(after.output), 40)}, was {printable(str(before.output), 40)}")
    return tuple(found)
