"""Answers every endpoint shares: JSON, an error; and reading what came with the request."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from mmsync.server.errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request


def json_answer(value: Any, status: int = 200) -> Response:
    """``value`` as compact JSON, in ASCII: a lone surrogate in a name cannot break it."""
    return json_text(json.dumps(value, separators=(",", ":")), status)


def json_text(text: str, status: int = 200) -> Response:
    """Return what is JSON already."""
    return Response(text, status, media_type="application/json")


def error_answer(error: ApiError, *, close: bool) -> Response:
    """The contract's *Error*; ``cid`` is new for every error. ``close`` ends the connection after it."""
    answer = json_answer({"code": error.code, "msg": error.msg, "cid": secrets.token_hex(16)}, error.status)
    if close:
        answer.headers["connection"] = "close"
    if error.allow:
        answer.headers["allow"] = error.allow
    return answer


def path_text(request: Request, key: str) -> str:
    """A segment of the path, decoded; raises `ApiError` 400 if it is not UTF-8."""
    try:
        return unquote_to_bytes(request.path_params[key]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(400, "The address is not valid UTF-8") from error


def truth(request: Request, key: str) -> bool | None:
    """A flag of the query in any case (the official client sends Python's ``True``); None where it is not given.

    Raises `ApiError` 400 if it is neither true nor false.
    """
    word = request.query_params.get(key)
    if word is None:
        return None
    if word.lower() not in {"true", "false", "1", "0"}:
        raise ApiError(400, f"The parameter '{key}' must be true or false")
    return word.lower() in {"true", "1"}


class Body:
    """A request's body, read once, by whoever needs it; what is left over can be passed by.

    Reading raises ``ClientDisconnect`` when the client goes away before the end.
    """

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self._ended = False
        # A client that waits to be asked for its body sends none before the first read, which asks.
        self._waits = request.headers.get("expect", "").lower() == "100-continue"

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        self._waits = False
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def read(self, limit: int) -> bytes:
        """The whole body; raises `ApiError` 413 if it is longer than ``limit`` bytes."""
        body = bytearray()
        async for chunk in self:
            body += chunk
            if len(body) > limit:
                raise ApiError(413, f"The request's body is larger than {limit} bytes")
        return bytes(body)

    async def pass_by(self, limit: int | None) -> bool:
        """Read the rest and forget it, so that the client gets to read the answer.

        False where some is left: more than ``limit`` bytes came, or the client waits to be asked and was not.
        """
        if self._waits:
            return False
        passed = 0
        async for chunk in self:
            passed += len(chunk)
            if limit is not None and passed > limit:
                return False
        return True
