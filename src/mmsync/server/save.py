"""Requests of ``POST /models``: checked once, here, so that nothing behind it meets a wrong type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from mmsync.server.errors import ApiError
from mmsync.server.review import require_engine

_LARGEST_INT = (1 << 63) - 1  # SQLite's
_NAME_LIMIT = 1024  # characters; no limit is published, some limit must be
_DESCRIPTION_LIMIT = 1 << 20
_DERIVED = ("output_type", "category", "fields", "clusters", "runtime_size")  # a review has them under these names

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class SaveRequest:
    """A save that is well formed; whether its ids exist is for the store to say."""

    id: int | None  # the model to update, or None to create one
    names_parent: bool  # whether the request says anything of a parent; where not, the model is its own
    given: dict[str, Any]  # what it says, by the column it is kept in; what a review can say only where it is not null

    @classmethod
    def parse(cls, body: bytes) -> SaveRequest:
        """Read a request's body.

        Raises `ApiError` 400 naming the first thing wrong; 500 for an unknown engine, as the contract has it.
        """
        detail = _json_object(body)
        name = _text(detail, "name", _NAME_LIMIT)
        if not name:
            raise ApiError(400, "The field 'name' is required")
        if name in {".", ".."}:  # no URL can address them: every client folds them away
            raise ApiError(400, f"A model cannot be named '{name}'")
        engine = _text(detail, "engine", 256)
        if not engine:
            raise ApiError(400, "The field 'engine' is required")
        require_engine(engine)
        identifier = _integer(detail, "id")
        given: dict[str, Any] = {
            "name": name,
            "engine": engine,
            "description": _text(detail, "description", _DESCRIPTION_LIMIT),
            "image": _image(detail),  # the id of an uploaded one
            "hidden": bool(_typed(detail, "hidden", bool, "true or false")),
            "parent": _integer(detail, "parentId"),  # None makes it a multimodel where ``names_parent`` is true
        }
        derived: dict[str, Any] = {
            "output_type": _text(detail, "outputType", 256),
            "category": _text(detail, "category", 256),
            "runtime_size": _integer(detail, "runtimeSize"),
            "fields": _objects(detail, "fields"),
            "clusters": _objects(detail, "clusters"),
        }
        given |= {column: value for column, value in derived.items() if value is not None}
        return cls(identifier, "parentId" in detail, given)

    def columns(self, review: dict[str, Any]) -> dict[str, Any]:
        """The row to store; ``review`` is the stored review of the image, which fills what the request left out."""
        row = {column: review[column] for column in _DERIVED} | self.given
        for column in ("fields", "clusters"):  # each item with an id, its place in the list counted from 1
            row[column] = json.dumps([{**item, "id": place} for place, item in enumerate(row[column], 1)])
        return row


def _json_object(body: bytes) -> dict[str, Any]:
    """The object in a request's body: UTF-8, without NaN and the like."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        detail = json.loads(body.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:  # bad UTF-8 and bad JSON are both ValueErrors
        raise ApiError(400, "The request's body is not valid JSON") from error
    if not isinstance(detail, dict):
        raise ApiError(400, "The request's body must be a JSON object")
    return detail


def _typed(detail: dict[str, Any], key: str, kind: type[_Value], expected: str) -> _Value | None:
    """A value of exactly this type, so that true and false are no integers; or None."""
    value = detail.get(key)
    if value is not None and type(value) is not kind:
        raise ApiError(400, f"The field '{key}' must be {expected}")
    return value


def _text(detail: dict[str, Any], key: str, limit: int) -> str | None:
    """A string of at most ``limit`` characters that UTF-8 can carry, or None."""
    value = _typed(detail, key, str, "a string")
    if value is not None and len(value) > limit:
        raise ApiError(400, f"The field '{key}' is longer than {limit} characters")
    try:
        (value or "").encode("utf-8")
    except UnicodeEncodeError as error:
        raise ApiError(400, f"The field '{key}' is not valid Unicode") from error
    return value


def _integer(detail: dict[str, Any], key: str) -> int | None:
    """An integer that the database can keep, or None."""
    value = _typed(detail, key, int, "an integer")
    if value is not None and abs(value) > _LARGEST_INT:
        raise ApiError(400, f"The field '{key}' must be an integer")
    return value


def _objects(detail: dict[str, Any], key: str) -> list[dict[str, Any]] | None:
    """A list of objects, or None."""
    value = _typed(detail, key, list, "a list of objects")
    if not all(isinstance(item, dict) for item in value or []):
        raise ApiError(400, f"The field '{key}' must be a list of objects")
    return value


def _image(detail: dict[str, Any]) -> int:
    """The id of the image; what else the object says is checked, and not used."""
    image = detail.get("image")
    if not isinstance(image, dict):
        raise ApiError(400, "The field 'image' is required: an object with the id of an uploaded image")
    if image.get("image") is not None:
        raise ApiError(
            400, "The field 'image.image' must be null: a save names an uploaded image, it never carries bytes"
        )
    identifier = _integer(image, "id")
    if identifier is None:
        raise ApiError(400, "The field 'image.id' is required: the id of an uploaded image")
    _integer(image, "size")
    return identifier
