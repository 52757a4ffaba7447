"""Requests of ``POST /models``: checked once, here, so that nothing behind it meets a wrong type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mmsync.server.errors import ApiError
from mmsync.server.review import require_engine

_LARGEST_INT = (1 << 63) - 1  # SQLite's


def json_object(body: bytes) -> dict[str, Any]:
    """The object in a request's body: UTF-8, without NaN and the like."""
    try:
        detail = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # bad UTF-8 and bad JSON are both ValueErrors
        raise ApiError(400, "The request's body is not valid JSON") from error
    if not isinstance(detail, dict):
        raise ApiError(400, "The request's body must be a JSON object")
    return detail


def _no_constant(word: str) -> None:
    raise ValueError(word)


def text(detail: dict[str, Any], key: str, limit: int) -> str | None:
    """A string of at most ``limit`` characters that UTF-8 can carry, or None."""
    value = detail.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ApiError(400, f"The field '{key}' must be a string")
    if len(value) > limit:
        raise ApiError(400, f"The field '{key}' is longer than {limit} characters")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ApiError(400, f"The field '{key}' is not valid Unicode") from error
    return value


def integer(detail: dict[str, Any], key: str) -> int | None:
    """An integer that the database can keep, or None; true and false are none."""
    value = detail.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -_LARGEST_INT <= value <= _LARGEST_INT:
        raise ApiError(400, f"The field '{key}' must be an integer")
    return value


def flag(detail: dict[str, Any], key: str) -> bool:
    """A truth value; False where it is missing or null."""
    value = detail.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ApiError(400, f"The field '{key}' must be true or false")
    return value


NAME_LIMIT = 1024  # characters; no limit is published, some limit must be
_DESCRIPTION_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class SaveRequest:
    """A save that is well formed; whether its ids exist is for the store to say."""

    id: int | None  # the model to update, or None to create one
    name: str  # its name
    engine: str  # A known engine
    description: str | None  # its description, or None
    image: int  # the id of an uploaded image
    hidden: bool  # whether lists leave it out
    parent: int | None  # the parent's id; None makes it a multimodel where ``names_parent`` is true
    names_parent: bool  # whether the request says anything of a parent; where not, the model is its own
    # ``outputType``, ``category``, ``runtimeSize``, ``fields``, ``clusters`` as far as given and not null
    derived: dict[str, Any]

    @classmethod
    def parse(cls, body: bytes) -> SaveRequest:
        """Read a request's body.

        Raises:
            Refusal: 400 naming the first thing wrong; 500 for an unknown engine, as the contract has it.
        """
        detail = json_object(body)
        name = text(detail, "name", NAME_LIMIT)
        if not name:
            raise ApiError(400, "The field 'name' is required")
        if name in {".", ".."}:  # no URL can address them: every client folds them away
            raise ApiError(400, f"A model cannot be named '{name}'")
        engine = text(detail, "engine", 256)
        if not engine:
            raise ApiError(400, "The field 'engine' is required")
        require_engine(engine)
        return cls(
            id=integer(detail, "id"),
            name=name,
            engine=engine,
            description=text(detail, "description", _DESCRIPTION_LIMIT),
            image=_image(detail),
            hidden=flag(detail, "hidden"),
            parent=integer(detail, "parentId"),
            names_parent="parentId" in detail,
            derived=_derived(detail),
        )

    def columns(self, review: dict[str, Any]) -> dict[str, object]:
        """The row to store; ``review`` is the stored review of the image, which fills what the request left out."""
        given = self.derived
        return {
            "name": self.name,
            "engine": self.engine,
            "description": self.description,
            "image": self.image,
            "output_type": given.get("outputType", review["output_type"]),
            "category": given.get("category", review["category"]),
            "fields": _numbered(given.get("fields", review["fields"])),
            "clusters": _numbered(given.get("clusters", review["clusters"])),
            "runtime_size": given.get("runtimeSize", review["runtime_size"]),
            "hidden": self.hidden,
            "parent": self.parent,
        }


def _image(detail: dict[str, Any]) -> int:
    image = detail.get("image")
    if not isinstance(image, dict):
        raise ApiError(400, "The field 'image' is required: an object with the id of an uploaded image")
    if image.get("image") is not None:
        raise ApiError(
            400, "The field 'image.image' must be null: a save names an uploaded image, it never carries bytes"
        )
    identifier = integer(image, "id")
    if identifier is None:
        raise ApiError(400, "The field 'image.id' is required: the id of an uploaded image")
    integer(image, "size")
    return identifier


def _derived(detail: dict[str, Any]) -> dict[str, Any]:
    derived: dict[str, Any] = {
        "outputType": text(detail, "outputType", 256),
        "category": text(detail, "category", 256),
        "runtimeSize": integer(detail, "runtimeSize"),
    }
    for key in ("fields", "clusters"):
        derived[key] = value = detail.get(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
            raise ApiError(400, f"The field '{key}' must be a list of objects")
    return {key: value for key, value in derived.items() if value is not None}


def _numbered(items: list[dict[str, Any]]) -> str:
    """Fields or clusters as stored: each with an id, its place in the list counted from 1."""
    return json.dumps([{**item, "id": place} for place, item in enumerate(items, 1)])
