"""A model's signature: its inputs and its output type, which queries that call it depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["breaks"]


def breaks(stored: Mapping[str, Any], review: Mapping[str, Any]) -> tuple[str, ...]:
    """Say how the reviewed upload would break callers of the stored model; empty where it would not.

    An input removed or retyped, or another output type, breaks them; a new input is reported by the server to
    those who do not send it, and stops nothing here. What either side leaves out (null or missing) is not
    compared: a server that does not know its models' fields cannot be asked about them.

    Args:
        stored: The server's ModelDetail.
        review: The server's ModelReview of the new file.
    """
    found: list[str] = []
    before, after = _fields(stored), _fields(review)
    if before is not None and after is not None:
        for name, kind in before.items():
            if name not in after:
                found.append(f"input {printable(name, 80)} is gone")
            elif kind is not None and after[name] is not None and after[name] != kind:
                found.append(
                    f"input {printable(name, 80)} is {printable(str(after[name]), 40)}, was {printable(str(kind), 40)}"
                )
    was, now = stored.get("outputType"), review.get("outputType")
    if was is not None and now is not None and was != now:
        found.append(f"the output type is {printable(str(now), 40)}, was {printable(str(was), 40)}")
    return tuple(found)


def _fields(model: Mapping[str, Any]) -> dict[str, Any] | None:
    fields = model.get("fields")
    if not isinstance(fields, list):
        return None
    return {
        str(field["name"]): field.get("type")
        for field in fields
        if isinstance(field, dict) and field.get("name") is not None
    }
