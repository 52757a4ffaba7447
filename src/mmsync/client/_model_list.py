"""The server's list of models, parsed as it comes in: what is no such list ends early, whatever its length."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mmsync.client._answers import body_chunks, unexpected
from mmsync.client.error import UnexpectedResponse

if TYPE_CHECKING:
    import requests

    from mmsync.client.shapes import Model

__all__ = ["MAX_LIST_BYTES", "read_model_list"]

MAX_LIST_BYTES = 64 << 20
"""The longest list read unless the caller allows more: some 200,000 models with long descriptions."""

_HINT = "if the server has that many models, allow more (--max-list-bytes N; in Python, max_list_bytes=N)"
# Parsed at a time: rows of one batch share their keys, and nothing is parsed twice but where a batch ends badly.
_BATCH = 1 << 18
# Fewer bytes than these, on average, have no rows or values of a real list; Python needs a multiple of them in memory.
_SHORTEST_ROW, _SHORTEST_VALUE = 64, 12


def read_model_list(response: requests.Response, limit: int) -> list[Model]:
    """Return the rows of a list of at most ``limit`` bytes.

    Raises:
        UnexpectedResponse: It is not JSON, not a list of objects with a name each, longer than ``limit``, or holds
            more rows or values than a real list of that length can.
        TransportError: It was cut short.
    """
    rows: list[Model] = []
    rest, enough, values = bytearray(), _BATCH, 0
    for chunk in body_chunks(response, limit, _HINT):
        rest += chunk
        values += chunk.count(b",")
        if values > limit // _SHORTEST_VALUE:
            response.close()
            raise UnexpectedResponse(msg="The server's list of models holds too many values", status=200, hint=_HINT)
        if len(rest) < enough:
            continue
        end = rest.rfind(b"},") + 1
        batch = _parsed(rest[:end] + b"]", first=not rows) if end else None
        if batch is None:
            enough = 2 * len(
                rest
            )  # cut inside a row, or no list at all: it is parsed again when there is twice as much
            continue
        _take(rows, batch, limit, response)
        del rest[:end]
        enough = _BATCH
    if not rest.strip():
        raise _no_list()
    batch = _parsed(rest, first=not rows)
    if batch is None:
        raise unexpected(response, "is not JSON")
    _take(rows, batch, limit, response)
    return rows


def _parsed(text: bytearray, *, first: bool) -> Any:
    """Return the value of a part of the list that ends like one; a later part begins with the comma before its rows."""
    try:
        value = json.loads(text if first else b"[" + text[1:])
    except (ValueError, RecursionError):
        return None
    return value if first or value else None


def _take(rows: list[Model], batch: Any, limit: int, response: requests.Response) -> None:
    if not isinstance(batch, list) or not all(isinstance(row, dict) for row in batch):
        response.close()
        raise _no_list()
    if not all(isinstance(row.get("name"), str) for row in batch):
        response.close()
        raise UnexpectedResponse(msg="The server's list of models has a row without a name", status=200)
    rows += batch
    if len(rows) > limit // _SHORTEST_ROW:
        response.close()
        what = f"The server lists more than {limit // _SHORTEST_ROW} models"
        raise UnexpectedResponse(msg=what, status=200, hint=_HINT)


def _no_list() -> UnexpectedResponse:
    return UnexpectedResponse(msg="The server's list of models is not a list of objects", status=200)
