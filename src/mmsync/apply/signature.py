"""The signature guard: what a change must not do to a model's inputs and output type, which queries depend on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmsync.errors import FileFault
from mmsync.files.opening import file_key, opened, translated
from mmsync.formats import signature
from mmsync.printable import printable
from mmsync.states import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsync.ledger import VerifiedContent
    from mmsync.states import Content

__all__ = ["Guard", "breaks", "declared"]


class Guard:
    """What one change is measured by: the content last verified under the name, not what somebody left there.

    Args:
        verified: The contents once verified under the name, the latest first.
        sha256: The content to be sent.
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
        known = [each for each in verified if each.shown.is_known or each.declared.is_known]
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
            return self._refusal(breaks(self._last.declared, self._file))
        # The server may name inputs and types its own way. Where the two agree on all they share, names are compared.
        was, now = self._before.inputs or {}, self._file.inputs or {}
        shared = was.keys() & now.keys()
        if not shared or any(was[name] != now[name] for name in shared):
            return ""
        return self._refusal(breaks(Shape(was), Shape(now)))

    def before_save(self, review: Shape) -> str:
        """Say why the reviewed upload is refused; empty where it is not."""
        return self._refusal(breaks(self._before, review))

    @property
    def _before(self) -> Shape:
        """What is to be kept, in the server's words."""
        return self._last.shown if self._last and self._last.shown.is_known else self._there

    def _refusal(self, broken: Sequence[str]) -> str:
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

    def done(self, review: Shape) -> str:
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


def declared(path: str, engine: str, content: Content) -> Shape:
    """Return the signature that a file declares; an empty one where it cannot be told or is of other content."""
    try:
        with opened(path) as (descriptor, before), translated(path):
            found = signature(descriptor, engine)
            is_same = file_key(before) == content.key == file_key(os.fstat(descriptor))
    except FileFault:
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
