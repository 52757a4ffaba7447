"""Whether a model is still as it was when it was last looked at, and what a save of it must not lose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mmsync.client.error import UnexpectedResponse
from mmsync.plan import Before
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmsync.client import ModelDetail

__all__ = ["completed", "image_id", "moved", "seen"]


def image_id(detail: ModelDetail) -> int | str | None:
    """Return the id of the detail's image, where it says one."""
    found = _image(detail).get("id")
    return found if isinstance(found, (int, str)) else None


def seen(detail: ModelDetail | None) -> Before | None:
    """Return what a detail says, in the form a plan remembers it, to compare a later detail with."""
    if detail is None:
        return None
    engine, description = detail.get("engine"), detail.get("description")
    return Before(detail.get("id"), engine, description, image_id(detail), detail.get("updateDate"), None, None)


def moved(before: Before | None, now: ModelDetail | None) -> str:
    """Say what of a model is no longer as it was, or nothing.

    Args:
        before: The model as it was; None where there was none.
        now: The model as it is; None where there is none.
    """
    if before is None:
        return "" if now is None else "it exists now (made by other hands since, or hidden from the list)"
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


def _image(detail: ModelDetail) -> Mapping[str, Any]:
    """Return the detail's image; an empty one where there is none or it is no object."""
    image: object = detail.get("image")
    return image if isinstance(image, dict) else {}
