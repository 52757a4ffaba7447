"""A model's bytes as base64 inside a JSON object, streamed from disk in constant memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pybase64
from starlette.requests import Request
from starlette.responses import Response

from mmsync.server.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_CHUNK = 3 * (1 << 17)  # bytes read at a time; a multiple of 3, so that chunks of base64 join without padding


class ImageAnswer(Response):
    """The object ``around``, the image's bytes in place of its last null: the contract's *Image* or *ModelDetail*.

    Opening blocks, so make it in a worker thread; once made it must be sent, or its file stays open.
    Raises `ApiError` 500 if the file has not the ``size`` that was stored, `OSError` if it is gone.
    """

    def __init__(self, path: Path, size: int, around: dict[str, Any]) -> None:
        opening, closing = json.dumps(around).rsplit("null", 1)
        self._opening, self._closing = f'{opening}"'.encode(), f'"{closing}'.encode()
        self._size = size
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if os.fstat(self._descriptor).st_size != size:
            os.close(self._descriptor)
            raise ApiError(500, "The stored image is damaged: its size is not the one that was uploaded")
        length = len(self._opening) + -(-size // 3) * 4 + len(self._closing)
        super().__init__(media_type="application/json", headers={"content-length": str(length)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; stops reading the file when the client goes away."""
        loop = asyncio.get_running_loop()
        request = Request(scope, receive)
        coming: asyncio.Future[bytes] | None = None
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            waiting = self._opening
            for offset in () if scope["method"] == "HEAD" else range(0, self._size, _CHUNK):
                # The next chunk is read while the one before it is sent.
                coming = loop.run_in_executor(None, _encode, self._descriptor, offset, self._size)
                await send({"type": "http.response.body", "body": waiting, "more_body": True})
                if await request.is_disconnected():
                    return
                waiting = await coming
            await send({"type": "http.response.body", "body": waiting, "more_body": True})
            await send({"type": "http.response.body", "body": self._closing})
        finally:
            if coming is not None:  # its number must not be given out again while a thread reads from it
                with contextlib.suppress(OSError):
                    await asyncio.shield(coming)
            os.close(self._descriptor)


def _encode(descriptor: int, offset: int, size: int) -> bytes:
    wanted = min(_CHUNK, size - offset)
    chunk = os.pread(descriptor, wanted, offset)
    if len(chunk) != wanted:  # never base64 of less: the client would take it for the whole
        raise OSError("a stored image ended early")
    return pybase64.b64encode(chunk)
