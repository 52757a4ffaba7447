"""The application: which address leads where, in which generation, and who may ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router

from mmsync.server.access import Token
from mmsync.server.endpoints import Endpoints
from mmsync.server.errors import ApiError, from_os_error
from mmsync.server.responses import Body, error_answer
from mmsync.server.ui import Ui

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mmsync.server.schemas import Settings
    from mmsync.server.store import Store

    Handler = Callable[[Request, Body], Awaitable[Response]]

_UNAUTHORISED_BODY = 64 << 20  # bytes of a stranger's upload read so that it sees the answer; then it is cut off
_log = logging.getLogger(__name__)


def application(store: Store, settings: Settings, token: str) -> ASGIApp:
    """The ASGI application of one server."""
    to = Endpoints(store, settings.domain)
    handlers: dict[str, dict[str, Handler]] = {
        "/models": {"GET": to.list_models, "POST": to.save},
        "/models/images/upload": {"POST": to.upload},
        "/models/{name}": {"GET": to.one_model, "DELETE": to.delete},
        "/models/{name}/fast": {"GET": to.fast_model},
        "/models/{name}/image": {"GET": to.image},
        "/models/{name}/children": {"GET": to.children},
    }
    asked = Token(token)
    ui = Ui(store, settings, asked)
    pages: dict[str, dict[str, Handler]] = {
        "/ui": {"GET": ui.registry},
        "/ui/model": {"GET": ui.model},
        "/ui/look.css": {"GET": ui.stylesheet},
        "/ui/login": {"GET": ui.back, "POST": ui.login},
        "/ui/logout": {"POST": ui.logout},
    }
    routes = [Route(path, _Door(by_method)) for path, by_method in pages.items()]
    for generation, base, may_delete in ("latest", "", settings.allow_delete), ("legacy", "/domains/{domain}", True):
        if settings.generation in {"both", generation}:
            for path, by_method in handlers.items():
                allowed = {method: by_method[method] for method in by_method if may_delete or method != "DELETE"}
                routes.append(Route(base + path, _Door(allowed, asked)))
    router = Router(routes, redirect_slashes=False, default=_Door({}))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if settings.latency:
            await asyncio.sleep(settings.latency)
        # Routes match the path as it was sent: decoded first, a name's %2F would look like a separator.
        path = scope["raw_path"].decode("latin-1")
        if settings.prefix and path.startswith(f"{settings.prefix}/"):
            path = path.removeprefix(settings.prefix)
        await router({**scope, "path": path, "root_path": ""}, receive, send)

    return answer


class _Door:
    """One address: who may come in, and what is done for them; without ``handlers``, one that leads nowhere.

    Without ``token`` its handlers themselves see who asks.
    """

    def __init__(self, handlers: dict[str, Handler], token: Token | None = None) -> None:
        self._handlers = handlers
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        with contextlib.suppress(ClientDisconnect):  # nobody is left to be answered
            answer = await self._answer(request, Body(request))
            await answer(scope, receive, send)

    async def _answer(self, request: Request, body: Body) -> Response:
        """The answer; whatever goes wrong becomes the contract's *Error*."""
        patience: int | None = _UNAUTHORISED_BODY
        try:
            handler = self._admit(request)
            if self._token is not None:
                patience = None
            return await handler(request, body)
        except ApiError as error:
            answer = error
        except OSError as error:
            answer = from_os_error(error)
        except sqlite3.Error as error:
            _log.error("the database failed: %s", error)
            answer = ApiError(500, "The server's database failed")
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                answer = ApiError(507, "The server's disk is full")
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001  # a bug of ours is told as an error too; where it is stays on this side
            _log.exception("internal error of the server")
            answer = ApiError(500, "Internal error of the server")
        return error_answer(answer, close=not await body.pass_by(patience))

    def _admit(self, request: Request) -> Handler:
        """Return the handler of this request; raises `ApiError` for one that may not come in."""
        if not self._handlers:
            raise ApiError(404, "HTTP 404 Not Found")
        handler = self._handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            raise ApiError(405, "HTTP 405 Method Not Allowed", allow=", ".join(sorted(self._handlers)))
        if self._token is not None and not self._token.is_sent_with(request):
            raise ApiError(403, "Token invalid or expired", code=5)
        return handler
