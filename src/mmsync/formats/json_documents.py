"""Engines whose models are JSON documents."""

from __future__ import annotations

import json
from typing import Any

from mmsync.formats.types import Field, FormatError, Signature, Window

_PARSED_LIMIT = 8 << 20  # bytes; parsed JSON takes about ten times its size
_CHUNK = 1 << 16
_CUT_MARGIN = 8  # characters: of a word, an escape or a number cut in two
_TYPES = {"numeric": "float8"}  # BigML's other optypes are categorical, text, items and datetime


def read_json(data: Window) -> Signature:
    """Require a JSON object or array; of a very large one only the outermost brackets are checked."""
    _read(data)
    return Signature()


def read_bigml(data: Window) -> Signature:
    """Return the inputs and the category of a JSON object or array that has a BigML model's fields."""
    document = _read(data)
    resource = _object(document, "object") or document
    described = _object(_object(resource, "model"), "fields")
    fields = {key: value for key, value in described.items() if isinstance(value, dict)}
    objective = resource.get("objective_field") if isinstance(resource, dict) else None
    target = fields.pop(objective, {}) if isinstance(objective, str) else {}
    numeric = target.get("optype") == "numeric"
    categories = _object(target, "summary").get("categories")
    is_binomial = isinstance(categories, list) and len(categories) == 2  # noqa: PLR2004
    return Signature(
        output_type=("float8" if numeric else "str") if target else None,
        category=("Regression" if numeric else "Binomial" if is_binomial else "Multinomial") if target else None,
        fields=[
            Field(name=str(field.get("name", key)), description=None, type=_TYPES.get(str(field.get("optype")), "str"))
            for key, field in fields.items()
        ],
    )


def _object(holder: object, key: str) -> dict[str, Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _read(data: Window) -> Any:
    """Return the document, or an empty object where it is too large to hold; raises `FormatError` where it is none."""
    if data.size > _PARSED_LIMIT:
        opening = data[:_CHUNK].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        closing = {b"{": b"}", b"[": b"]"}.get(opening)
        if closing is None:
            raise FormatError("it is no JSON object or list")
        if data[data.size - _CHUNK : data.size].rstrip()[-1:] != closing:
            raise FormatError("it is no whole JSON text (cut off)", cut_off=True)
        return {}
    try:
        text = data[: data.size].decode("utf-8-sig")
        # JSON sets numbers no limit, Python does; no value of one is used here.
        document = json.loads(text, parse_int=float)
    except json.JSONDecodeError as error:
        # Cut off, the error is at the end of what there is, in a string that runs on, or in a word cut in two.
        end = len(text.rstrip())
        begun = text.lstrip()[:1] in ("{", "[")
        if begun and (error.pos >= end or error.msg.startswith("Unterminated string")):
            raise FormatError("it is no whole JSON text (cut off)", cut_off=True) from error
        what = f"it is no JSON: {error.msg.lower()} at line {error.lineno} column {error.colno}"
        raise FormatError(what, cut_off=begun and error.pos >= end - _CUT_MARGIN) from error
    except UnicodeDecodeError as error:
        raise FormatError("it is no JSON (not UTF-8)", cut_off=error.end >= data.size) from error
    except RecursionError as error:
        raise FormatError("it is JSON nested too deeply") from error
    if not isinstance(document, dict | list):
        raise FormatError("it is no JSON object or list")
    return document
