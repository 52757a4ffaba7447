"""Preconditions of a write: the model is not stale, a save of it loses nothing, and no caller's signature breaks.

For an update a window remains between the last read and the POST: the server knows no conditional write, so that what
somebody else saves in between is overwritten.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from mmsync.client import ModelDetail
from mmsync.client.error import UnexpectedResponse
from mmsync.errors import FileError
from mmsync.files.digest import opened, translated
from mmsync.files.inspection import shape_of
from mmsync.formats import signature
from mmsync.ledger import VerifiedContent
from mmsync.observe import image_id
from mmsync.plan import Before
from mmsync.printable import printable
from mmsync.types import Content, Shape, file_key


def as_before(detail: ModelDetail) -> Before:
    """Return what a detail says, in the form a plan remembers it, to compare a later detail with."""
    engine, description = detail.get("engine"), detail.get("description")
    return Before(detail.get("id"), engine, description, image_id(detail), detail.get("updateDate"), None, None)


def staleness(before: Before | None, now: ModelDetail | None) -> str:
    """Return what of a model is no longer as it was, in words; empty where all is. None stands for no model."""
    if before is None:
        return "" if now is None else "it exists now (made outside mmsync since, or hidden from the list)"
    if now is None:
        return "it was deleted since the plan was made"
    there = as_before(now)
    keys = ["id", "image_id", "update_date"]
    keys += ["engine", "description"] if None in (before.update_date, there.update_date) else []
    # What one of the two does not say cannot be compared; ids may be numbers in one and text in the other.
    differing = [
        f"{key.replace('_', ' ')} was {printable(str(old), 60)}, is {printable(str(new), 60)}"
        for key, old, new in ((key, getattr(before, key), getattr(there, key)) for key in keys)
        if old is not None and new is not None and str(old) != str(new)
    ]
    return f"it changed since the plan was made: {'; '.join(differing)}" if differing else ""


def completed(before: Before | None, detail: ModelDetail) -> ModelDetail:
    """Fill in from the list what the server's detail leaves out: saved without it, the model would lose it.

    Raises `UnexpectedResponse` if neither says the model's id; saved without one, there would be two.
    """
    found: dict[str, Any] = dict(detail)
    if before is not None:
        listed = {"id": before.id, "engine": before.engine, "description": before.description}
        found.update((key, value) for key, value in listed.items() if found.get(key) is None)
    if found.get("id") is None:
        raise UnexpectedResponse(
            msg="the server does not say the model's id; saved without it, there would be two of this name", status=200
        )
    return cast("ModelDetail", found)


class SignatureGuard(NamedTuple):
    """The guard of one change's signature.

    It compares with the content last verified under the name, not with what somebody else left there: restoring
    verified content is always allowed.
    """

    verified: Sequence[VerifiedContent]  # the contents once verified under the name, the latest first
    sha256: str  # the content to be sent
    present: str | None  # the content the server is known to hold
    file: Shape  # the signature that the file to be sent declares
    there: Shape  # the signature of the server's model
    is_pinned: bool  # whether the manifest names the content to be sent by its digest
    is_protected: bool = False  # whether the signature has to stay as it is

    @property
    def _last(self) -> VerifiedContent | None:
        return next((each for each in self.verified if each.displayed.is_known or each.declared.is_known), None)

    @property
    def is_unverified(self) -> bool:
        """Return whether nothing is known here of an earlier content of the manifest, so that only the review tells."""
        return self._last is None and not self._is_verified(self.sha256)

    def _is_verified(self, sha256: str | None) -> bool:
        return any(each.sha256 == sha256 for each in self.verified)

    def before_upload(self) -> str:
        """Say why the file would be refused, as far as it tells by itself; empty where it does not."""
        if self.is_protected:
            last = self._last
            is_told = last and last.declared.is_known and self.file.is_known and not self._restores_last
            return _differences(last.declared, self.file) if last and is_told else ""
        if self._last and self._last.declared.is_known:
            return self._reason(breaks(self._last.declared, self.file))
        # The server may name inputs and types its own way. Where the two agree on all they share, names are compared.
        was, now = self._before.inputs or {}, self.file.inputs or {}
        shared = was.keys() & now.keys()
        if not shared or any(was[name] != now[name] for name in shared):
            return ""
        return self._reason(breaks(Shape(was), Shape(now)))

    def before_save(self, review: Shape) -> str:
        """Say why the reviewed upload is refused; empty where it is not."""
        if self.is_protected:
            return "" if self._restores_last else _differences(self._before, review)
        return self._reason(breaks(self._before, review))

    @property
    def _restores_last(self) -> bool:
        """Return whether the content to be sent is the one last verified: to put it back is what protects it."""
        return bool(self.verified) and self.verified[0].sha256 == self.sha256

    @property
    def _before(self) -> Shape:
        """Return what is to be kept, in the server's words."""
        return self._last.displayed if self._last and self._last.displayed.is_known else self.there

    def _reason(self, broken: Sequence[str]) -> str:
        if not broken or self._is_verified(self.sha256):
            return ""
        what = "; ".join(broken)
        if self._last:
            return f"{what}; queries that call it would break (allow_signature_change: true permits it)"
        pinned = "; the file is the one that the manifest pins" if self.is_pinned else ""
        return (
            f"{what}, compared with the model on the server; nothing is known here of an earlier one of this manifest, "
            f"so that may be yours or a stranger's{pinned} "
            "(allow_signature_change: true on the model sends the file all the same)"
        )

    def restored(self, review: Shape) -> str:
        """Say what was put right; empty where the server's model took and answered the same."""
        broken, restores = breaks(self.there, review), self._is_verified(self.sha256)
        if not broken:
            return ""
        if self._is_verified(self.present):
            return f"restored content verified before; {'; '.join(broken)}" if restores else ""
        parts = (("inputs", "input "), ("output type", "the output type "))
        what = " and ".join(part for part, start in parts if any(clause.startswith(start) for clause in broken))
        drift = f"drift had changed its {what}"
        return f"restored; {drift}" if restores else drift if self._last else ""


def declared_shape(path: str, engine: str, content: Content) -> Shape:
    """Return the signature that a file declares; an empty one where it cannot be told or is of other content."""
    try:
        with opened(path) as (descriptor, before), translated(path):
            found = signature(descriptor, engine)
            is_same = file_key(before) == content.key == file_key(os.fstat(descriptor))
    except FileError:
        return Shape()
    return shape_of(found) if is_same else Shape()


def _differences(before: Shape, after: Shape) -> str:
    """Say how a signature is another than before, be it by a new input alone; empty where it is the same.

    One that is not known cannot be seen to stay: it counts as another.
    """
    if before.inputs is None or after.inputs is None:
        which = "the file's" if before.inputs is not None else "the present model's"
        return f"{which} inputs are not known, so that nobody can tell whether its signature stays"
    found = list(breaks(before, after))
    retold = {name for name, kind in before.inputs.items() if name in after.inputs and after.inputs[name] != kind}
    new = sorted(after.inputs.keys() - before.inputs.keys())
    found += [f"input {printable(name, 80)} is new" for name in new]
    if not found and (retold or before.output != after.output):
        found.append("a type that was known is not known of the file, or the other way round")
    return "; ".join(found)


def breaks(before: Shape, after: Shape) -> tuple[str, ...]:
    """Say how a new signature would break callers of the one before; empty where it would not.

    An input removed or retyped, or another output type, breaks them; a new input is reported by the server to
    those who do not send it, and stops nothing here. What either side leaves out is not compared: a server that does
    not know its models' fields cannot be asked about them.
    """
    found: list[str] = []
    if before.inputs is not None and after.inputs is not None:
        for name, kind in before.inputs.items():
            what = f"input {printable(name, 80)}"
            if name not in after.inputs:
                found.append(f"{what} is gone")
            elif None not in (kind, now := after.inputs[name]) and now != kind:
                found.append(f"{what} is {printable(str(now), 40)}, was {printable(str(kind), 40)}")
    if None not in (before.output, after.output) and before.output != after.output:
        found.append(f"the output type is {printable(str(after.output), 40)}, was {printable(str(before.output), 40)}")
    return tuple(found)
