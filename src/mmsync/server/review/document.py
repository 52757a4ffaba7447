"""Engines whose models are JSON documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mmsync.server.review.found import Field, Review, Unfit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["review_bigml", "review_json"]

_PARSED_LIMIT = 8 << 20  # bytes; parsed JSON takes about ten times its size
_CHUNK = 1 << 20
_TYPES = {"numeric": "float8"}  # BigML's other optypes are categorical, text, items and datetime


def review_json(path: Path) -> Review:
    """A JSON object or array. Of a very large one only the encoding and the outermost brackets are checked.

    Raises:
        Unfit: It is not one.
    """
    _read(path)
    return Review()


def review_bigml(path: Path) -> Review:
    """A JSON object or array; where it has a BigML model's fields, the inputs and the category.

    Raises:
        Unfit: It is not JSON.
    """
    document = _read(path)
    resource = _object(document, "object") or document
    described = _object(_object(resource, "model"), "fields")
    fields = {key: value for key, value in described.items() if isinstance(value, dict)}
    objective = resource.get("objective_field") if isinstance(resource, dict) else None
    target = fields.pop(objective, {}) if isinstance(objective, str) else {}
    numeric = target.get("optype") == "numeric"
    return Review(
        output_type=("float8" if numeric else "str") if target else None,
        category=("Regression" if numeric else _classes(target)) if target else None,
        fields=[
            Field(name=str(field.get("name", key)), description=None, type=_TYPES.get(str(field.get("optype")), "str"))
            for key, field in fields.items()
        ],
    )


def _classes(target: dict[str, Any]) -> str:
    categories = _object(target, "summary").get("categories")
    return "Binomial" if isinstance(categories, list) and len(categories) == 2 else "Multinomial"  # noqa: PLR2004


def _object(holder: object, key: str) -> dict[str, Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> Any:
    """The document, or an empty object where it is too large to hold."""
    if path.stat().st_size > _PARSED_LIMIT:
        _check_outline(path)
        return {}
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # a wrong encoding is a ValueError too
        raise Unfit(f"The file is not valid JSON: {error}") from error
    if not isinstance(document, dict | list):
        raise Unfit("The file is JSON, but neither an object nor an array")
    return document


def _check_outline(path: Path) -> None:
    with path.open("rb") as file:
        opening = file.read(_CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        file.seek(-_CHUNK, 2)
        closing = file.read().rstrip()[-1:]
    if (opening, closing) not in {(b"{", b"}"), (b"[", b"]")}:
        raise Unfit("The file is neither a JSON object nor a JSON array")
