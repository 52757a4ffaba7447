"""Responses read: a JSON value, or an error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmsync.client._request_log import end
from mmsync.client._tls import CERT_OPTION
from mmsync.client._transport import translated
from mmsync.client.error import EndpointNotFound, ModelManagerError, UnexpectedResponse, UnknownEngine
from mmsync.client.types import Model
from mmsync.printable import printable

if TYPE_CHECKING:
    import requests

# A detail with very many clusters is below this; anything above is a mistake or an attack.
_MAX_JSON = 64 << 20
_MAX_ERROR = 1 << 20
_CHUNK = 1 << 18
# How much longer than on the wire a decoded body may be, once it is long: lists shrink to a fiftieth, bombs to a thousandth.
_MAX_RATIO, _SHORT = 200, 1 << 20
_NOT_OFFERED = frozenset({404, 405})
# What a server answers to an upload for an engine it does not know (seen; its enum lookup fails).
_UNKNOWN_ENGINE_STATUS = 500


def parsed(text: bytes | bytearray) -> Any:
    """Return the value of a JSON text, or None where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def decode_response(response: requests.Response) -> Any:
    """Return the JSON value of a response, None where it is not JSON; only users of the official client call this."""
    return parsed(response.content)


def validate_or_raise_error(status_code: int, response: Any, *, reason: str = "") -> None:
    """Return for a 2xx status, raise the server's error for any other; only users of the official client call this.

    Args:
        response: The decoded body. An object's ``code``, ``msg`` and ``cid`` make the error; without them it is
            made of the status.

    Raises:
        TokenError: The server's code is 5.
        ModelManagerError: Any other.
    """
    if not is_success(status_code):
        raise _error_from(status_code, response, reason)


def is_success(status_code: int) -> bool:
    """Return whether an HTTP status says that the request was done: 2xx."""
    return 200 <= status_code < 300  # noqa: PLR2004 - the range of HTTP's successes


def _error_from(status: int, body: Any, reason: str) -> ModelManagerError:
    """Return the error that a decoded body tells of, or, where it is no object or lacks a code or text, the status."""
    told = body if isinstance(body, dict) else {}
    code = told.get("code")
    if isinstance(code, str) and code.isascii() and code[:9].isdigit():
        code = int(code[:9])
    code = code if isinstance(code, int) and code else status
    msg = printable(str(told.get("msg") or ""), 500) or f"HTTP {status} {printable(reason, 60)}".rstrip()
    kind = ModelManagerError
    if status in _NOT_OFFERED:
        kind = EndpointNotFound
    elif status == _UNKNOWN_ENGINE_STATUS and "No enum constant" in msg:
        kind = UnknownEngine
    error = kind.from_code(code, msg)
    error.status = status
    error.cid = printable(str(told.get("cid") or ""), 100)
    return error


_BAD_REQUEST = 400
# What nginx says of TLS, in pages (ngx_http_special_response.c).
_OF_NGINX = (
    (b"plain HTTP request was sent to HTTPS port", "write https:// in the address"),
    (b"No required SSL certificate was sent", f"give your client certificate as {CERT_OPTION}"),
    (b"The SSL certificate error", f"the server does not accept the client certificate: give another as {CERT_OPTION}"),
)


def error_of(response: requests.Response) -> ModelManagerError:
    """Return the error a response that is no success stands for; its body is read, or given up."""
    content = b""
    with contextlib.suppress(ModelManagerError):
        content = b"".join(body_chunks(response, _MAX_ERROR))
    error = _error_from(response.status_code, parsed(content), response.reason or "")
    if response.status_code == _BAD_REQUEST:
        error.hint = next((hint for words, hint in _OF_NGINX if words in content), "")
    return error


def read_answer(response: requests.Response, limit: int = _MAX_JSON) -> Any:
    """Return the JSON value of a success of at most ``limit`` bytes, or None where its body is empty.

    Raises `UnexpectedResponse` if the body is not JSON, `TransportError` if it was cut short.
    """
    content = b"".join(body_chunks(response, limit))
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise unexpected(response, "is not JSON") from None


def length_of(response: requests.Response) -> int:
    """Return the body's length in bytes as the server says it; 0 where it does not, or says what cannot be."""
    text = response.headers.get("Content-Length") or ""
    return int(text) if text.isascii() and text[:18].isdigit() and len(text) <= 18 else 0  # noqa: PLR2004 - more digits than any length has


def unexpected(response: requests.Response, what: str) -> UnexpectedResponse:
    """Return the error for a success whose body is not as agreed: ``what`` says how."""
    kind = printable(response.headers.get("Content-Type", "no content type"), 60)
    return UnexpectedResponse(
        msg=f"HTTP {response.status_code} with a body that {what} ({kind})",
        status=response.status_code,
        hint="check the address; a proxy or a login page may have answered in place of the server",
    )


def body_chunks(response: requests.Response, limit: int, hint: str = "", *, size: int = _CHUNK) -> Iterator[bytes]:
    """Yield the decoded body in pieces of about ``size`` bytes, leaving the connection fit for the next request.

    Raises `UnexpectedResponse` if it is longer than ``limit`` bytes, with ``hint``, or far longer than what came on
    the wire; `TransportError` if it was cut short, or came too slowly.
    """
    try:
        yield from _body_chunks(response, limit, hint, size)
    finally:
        end(response)


def _body_chunks(response: requests.Response, limit: int, hint: str, size: int) -> Iterator[bytes]:
    done = 0
    chunks = response.iter_content(size)
    while True:
        # Only the reading is translated: what the taker of a piece meets, such as a full disk, is not the network's.
        with translated(response.url):
            chunk = next(chunks, None)
        if chunk is None:
            return
        done += len(chunk)
        bloated = done > _SHORT and done > _MAX_RATIO * response.raw.tell()
        if done > limit or bloated:
            response.close()
            what = (
                f"that unpacks to more than {_MAX_RATIO} times its length" if bloated else f"of more than {limit} bytes"
            )
            told = "" if bloated else hint
            raise UnexpectedResponse(msg=f"A body {what}", status=response.status_code, hint=told)
        yield chunk


MAX_LIST_BYTES = 64 << 20
"""The longest list read unless the caller allows more: some 200,000 models with long descriptions."""

_HINT = "if the server has that many models, allow more (--max-list-bytes N; in Python, max_list_bytes=N)"
# Parsed at a time: rows of one batch share their keys, and nothing is parsed twice but where a batch ends badly.
_BATCH = 1 << 18
# Fewer bytes than these, on average, have no rows or values of a real list; Python needs a multiple of them in memory.
_SHORTEST_ROW, _SHORTEST_VALUE = 64, 12


def read_model_list(response: requests.Response, limit: int) -> list[Model]:
    """Return the rows of a list of at most ``limit`` bytes.

    Raises `UnexpectedResponse` if it is not JSON, not a list of objects with a name each, longer than ``limit``, or
    holds more rows or values than a real list of that length can; `TransportError` if it was cut short.
    """
    rows: list[Model] = []
    with response:
        for batch in _batches(response, limit):
            if not isinstance(batch, list) or not all(isinstance(row, dict) for row in batch):
                raise UnexpectedResponse(msg="The server's list of models is not a list of objects", status=200)
            if not all(isinstance(row.get("name"), str) for row in batch):
                raise UnexpectedResponse(msg="The server's list of models has a row without a name", status=200)
            rows += batch
            if len(rows) > limit // _SHORTEST_ROW:
                what = f"The server lists more than {limit // _SHORTEST_ROW} models"
                raise UnexpectedResponse(msg=what, status=200, hint=_HINT)
    return rows


def _batches(response: requests.Response, limit: int) -> Iterator[Any]:
    """Yield the list in parts as they come, each parsed as a list of its own; None for an empty body."""
    rest, enough, values, is_first = bytearray(), _BATCH, 0, True
    for chunk in body_chunks(response, limit, _HINT):
        rest += chunk
        values += chunk.count(b",")
        if values > limit // _SHORTEST_VALUE:
            raise UnexpectedResponse(msg="The server's list of models holds too many values", status=200, hint=_HINT)
        if len(rest) < enough:
            continue
        end = rest.rfind(b"},") + 1
        batch = parsed(rest[:end] + b"]")
        if batch is None:  # cut inside a row, or no list at all: it is parsed again when there is twice as much
            enough = 2 * len(rest)
            continue
        yield batch
        rest[: end + 1] = b"["  # in place of the comma before the next row
        enough, is_first = _BATCH, False
    batch = parsed(rest)
    if rest.strip() and (batch is None or not (batch or is_first)):  # nothing after a comma is no JSON
        raise unexpected(response, "is not JSON")
    yield batch
