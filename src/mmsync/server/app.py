"""The application: which address leads where, in which generation, and who may ask."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import sqlite3
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router

from mmsync.server.endpoints import Endpoints
from mmsync.server.errors import ApiError
from mmsync.server.responses import Body, error_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from concurrent.futures import Executor

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mmsync.server.schemas import Settings
    from mmsync.server.store import Store

    Handler = Callable[[Request, Body], Awaitable[Response]]

_UNAUTHORISED_BODY = 64 << 20  # bytes of a stranger's upload read so that it sees the answer; then it is cut off
_log = logging.getLogger(__name__)


class Application:
    """The ASGI application of one server."""

    def __init__(self, store: Store, pool: Executor, settings: Settings, token: str) -> None:
        self._token = token.encode("utf-8")
        self._prefix = settings.prefix
        self._latency = settings.latency
        endpoints = Endpoints(store, pool, settings.domain)
        routes: list[Route] = []
        if settings.generation in {"both", "latest"}:
            routes += self._routes("", endpoints, allow_delete=settings.allow_delete)
        if settings.generation in {"both", "legacy"}:
            routes += self._routes("/domains/{domain}", endpoints, allow_delete=True)
        self._router: ASGIApp = Router(routes, redirect_slashes=False, default=_not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._latency:
            await asyncio.sleep(self._latency)
        # Routes match the path as it was sent: decoded first, a name's %2F would look like a separator.
        path = scope["raw_path"].decode("latin-1")
        if self._prefix and path.startswith(f"{self._prefix}/"):
            path = path[len(self._prefix) :]
        await self._router({**scope, "path": path, "root_path": ""}, receive, send)

    def _routes(self, base: str, to: Endpoints, *, allow_delete: bool) -> Iterator[Route]:
        removal: dict[str, Handler] = {"DELETE": to.delete} if allow_delete else {}
        doors: dict[str, dict[str, Handler]] = {
            "/models": {"GET": to.list_models, "POST": to.save},
            "/models/images/upload": {"POST": to.upload},
            "/models/{name}": {"GET": to.one_model, **removal},
            "/models/{name}/fast": {"GET": to.fast_model},
            "/models/{name}/image": {"GET": to.image},
            "/models/{name}/children": {"GET": to.children},
        }
        for path, handlers in doors.items():
            yield Route(base + path, _Door(handlers, self._token))


class _Door:
    """One address: who may come in, and what is done for them. Whatever goes wrong becomes the contract's *Error*."""

    def __init__(self, handlers: dict[str, Handler], token: bytes) -> None:
        self._handlers = handlers
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        body = Body(request)
        try:
            answer = await self._answer(request, body)
        except ClientDisconnect:
            return  # nobody is left to be answered
        await answer(scope, receive, send)

    async def _answer(self, request: Request, body: Body) -> Response:
        patience: int | None = _UNAUTHORISED_BODY
        try:
            handler = self._handler(request.method)
            self._require_token(request)
            patience = None
            return await handler(request, body)
        except ApiError as error:
            answer = error
        except sqlite3.Error as error:
            _log.error("the database failed: %s", error)
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            answer = (
                ApiError(507, "The server's disk is full") if full else ApiError(500, "The server's database failed")
            )
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001  # a bug of ours is told as an error too; where it is stays on this side
            _log.exception("internal error of the server")
            answer = ApiError(500, "Internal error of the server")
        return error_answer(answer, close=not await body.pass_by(patience))

    def _handler(self, method: str) -> Handler:
        handler = self._handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise ApiError(405, "HTTP 405 Method Not Allowed", allow=", ".join(sorted(self._handlers)))
        return handler

    def _require_token(self, request: Request) -> None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = (request.headers.get("standalonetoken", ""), bearer if scheme.lower() == "bearer" else "")
        # Header values come decoded from latin-1, whatever the client meant them to be.
        if not any(hmac.compare_digest(token.strip().encode("latin-1"), self._token) for token in given):
            raise ApiError(403, "Token invalid or expired", code=5)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    body = Body(Request(scope, receive))
    with contextlib.suppress(ClientDisconnect):
        read = await body.pass_by(_UNAUTHORISED_BODY)
        await error_answer(ApiError(404, "HTTP 404 Not Found"), close=not read)(scope, receive, send)
