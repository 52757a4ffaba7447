"""Values of a request's JSON, one at a time; each raises `Refusal` 400 for a wrong type, naming the field."""

from __future__ import annotations

import json
from typing import Any

from mmsync.server.refusal import Refusal

__all__ = ["flag", "integer", "json_object", "text"]

_LARGEST_INT = (1 << 63) - 1  # SQLite's


def json_object(body: bytes) -> dict[str, Any]:
    """The object in a request's body: UTF-8, without NaN and the like."""
    try:
        detail = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # bad UTF-8 and bad JSON are both ValueErrors
        raise Refusal(400, "The request's body is not valid JSON") from error
    if not isinstance(detail, dict):
        raise Refusal(400, "The request's body must be a JSON object")
    return detail


def _no_constant(word: str) -> None:
    raise ValueError(word)


def text(detail: dict[str, Any], key: str, limit: int) -> str | None:
    """A string of at most ``limit`` characters that UTF-8 can carry, or None."""
    value = detail.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal(400, f"The field '{key}' must be a string")
    if len(value) > limit:
        raise Refusal(400, f"The field '{key}' is longer than {limit} characters")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refusal(400, f"The field '{key}' is not valid Unicode") from error
    return value


def integer(detail: dict[str, Any], key: str) -> int | None:
    """An integer that the database can keep, or None; true and false are none."""
    value = detail.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -_LARGEST_INT <= value <= _LARGEST_INT:
        raise Refusal(400, f"The field '{key}' must be an integer")
    return value


def flag(detail: dict[str, Any], key: str) -> bool:
    """A truth value; False where it is missing or null."""
    value = detail.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Refusal(400, f"The field '{key}' must be true or false")
    return value
