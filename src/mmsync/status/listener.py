"""The listener: the status over HTTP, read-only, for browsers, probes and Prometheus.

::

    /            the page                 /healthz   200 while the watcher works, else 503
    /api/status  the status as JSON       /readyz    200 where the last reconcile reached the server, else 503
    /metrics     for Prometheus           /events    server-sent: ``status`` for each new value
    /assets/…    style and script

Only GET and HEAD are answered. A browser that was led here by another site's name (DNS rebinding) is refused: the
``Host`` must be an address, ``localhost``, this machine's name or one that was admitted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import TYPE_CHECKING, Protocol

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from mmsync.http_server.connection_limits import LimitedProtocol
from mmsync.http_server.server_thread import ServerThread, listening_socket
from mmsync.status.document import document
from mmsync.status.metrics import exposition
from mmsync.status.model import Status
from mmsync.status.page import Query, assets, render_page
from mmsync.status.summary import headline

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATIENCE = 1.0  # seconds for answers under way when the watcher ends
_TICK = 5.0  # seconds: nobody is there most of the time, and the watcher should cost nothing then
_KEEP_ALIVE = 15.0  # seconds between two comments on a stream of events that has nothing to say
_MOST_STREAMS = 150

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    b"img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class Source(Protocol):
    """A source of statuses, called from the listener's thread."""

    @property
    def status(self) -> Status:
        """The latest, as others may see it."""

    def subscribe(self, call: Callable[[Status], object]) -> Callable[[], None]:
        """Have ``call`` told, from any thread, when there is a new one; return what ends that."""

    def is_alive(self) -> bool:
        """Return whether the watcher has made progress of late."""


class _Protocol(LimitedProtocol):
    most = 250
    write_seconds = 15.0


@contextlib.contextmanager
def listening(
    host: str,
    port: int,
    source: Source,
    *,
    allowed_hosts: Collection[str] = (),
    now: Callable[[], float] = time.time,
) -> Iterator[str]:
    """Answer at an address for the length of the ``with``; what is yielded is its URL, without a slash at the end.

    ``port`` 0 takes a free one. ``allowed_hosts`` are names that a request may call this machine by, besides those that
    nobody else can give it. ``now`` returns seconds since the epoch. Raises `MmsyncError` if the address is taken, not allowed, or none of this machine's.
    """
    streams = _Streams()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listening_socket(host, port))
        application = _guarded(
            _Views(source, streams, now).router(), {host.lower(), *(name.lower() for name in allowed_hosts)}
        )
        server = ServerThread(application, listener, _PATIENCE, _Protocol, _TICK)
        server.start()
        stack.callback(server.stop)
        stack.callback(server.call_soon, streams.close)
        stack.callback(source.subscribe(lambda _: server.call_soon(streams.wake)))
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{listener.getsockname()[1]}"


class _Streams:
    """The streams of events; used in the loop of the server's thread alone."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def wake(self) -> None:
        """Let each stream look at the status anew."""
        for one in self._waiting:
            one.set()

    def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        self.wake()

    @contextlib.contextmanager
    def joined(self) -> Iterator[asyncio.Event]:
        """Give an event that is set when there is something to tell."""
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            yield news
        finally:
            self._waiting.discard(news)


class _Views:
    """The answers, one for each path."""

    def __init__(self, source: Source, streams: _Streams, now: Callable[[], float]) -> None:
        self._source = source
        self._now = now
        self._streams = streams
        self._assets = assets()

    def router(self) -> ASGIApp:
        """Return the application that answers them."""
        paths = {
            "/": self.page,
            "/api/status": self.api_status,
            "/metrics": self.metrics,
            "/healthz": self.health,
            "/readyz": self.ready,
            "/events": self.events,
            "/assets/{name}": self.asset,
        }
        routes = [Route(path, view) for path, view in paths.items()]
        return Router(routes, redirect_slashes=False, default=_not_found)

    async def page(self, request: Request) -> Response:
        """Answer the page, rendered beside the loop: probes do not wait for it."""
        query = Query.parse(request.query_params)
        return HTMLResponse(await asyncio.to_thread(render_page, self._source.status, query, self._now()))

    async def api_status(self, _request: Request) -> Response:
        """Answer the status as JSON."""
        body = await asyncio.to_thread(lambda: json.dumps(document(self._source.status)).encode())
        return Response(body, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """Answer the metrics, in the form that is asked for."""
        body, media_type = exposition(self._source.status, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type})

    async def health(self, _request: Request) -> Response:
        """Answer whether the worker is alive."""
        if self._source.is_alive():
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the watcher has made no progress for three intervals\n", 503)

    async def ready(self, _request: Request) -> Response:
        """Answer whether the last reconcile reached the server, and if not, why."""
        status = self._source.status
        if status.is_ready:
            return PlainTextResponse("ok\n")
        why = "no reconcile was made yet" if status.health == "starting" else headline(status)
        return PlainTextResponse(f"{why}\n", 503)

    async def events(self, request: Request) -> Response:
        """Answer with a stream that tells of each new status."""
        if len(self._streams) >= _MOST_STREAMS:
            return PlainTextResponse(f"{_MOST_STREAMS} streams of events are open; no more are\n", 503)
        headers = {"content-type": "text/event-stream", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers)
        return StreamingResponse(_messages(self._source, self._streams), headers=headers)

    async def asset(self, request: Request) -> Response:
        """Answer the style, the script or the icon."""
        media_type, body = self._assets.get(request.path_params["name"], ("", b""))
        return Response(body, media_type=media_type) if media_type else _NOT_FOUND


_NOT_FOUND = PlainTextResponse("there is no such page\n", 404)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await _NOT_FOUND(scope, receive, send)


async def _messages(source: Source, streams: _Streams) -> AsyncIterator[str]:
    """Tell of each new status; a client that reads slowly is told of the latest alone."""
    told = -1
    with streams.joined() as news:
        yield "retry: 2000\n\n"
        while not streams.is_closed:
            status = source.status
            if status.revision != told:
                told = status.revision
                data = {"revision": told, "headline": headline(status), "health": status.health}
                yield f"event: status\nid: {told}\ndata: {json.dumps(data)}\n\n"
            try:
                await asyncio.wait_for(news.wait(), _KEEP_ALIVE)
            except TimeoutError:
                yield ": keep-alive\n\n"
            news.clear()


def _guarded(inner: ASGIApp, names: Collection[str]) -> ASGIApp:
    """Refuse what is not only read, and whoever calls this machine by a name that others can give it."""
    known = {*names, "localhost", socket.gethostname().lower()}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        host = Headers(scope=scope).get("host", "")
        if not _is_known(host, known):
            why = "this Host is not known here; the watcher's --allow-host NAME admits it\n"
            await PlainTextResponse(why, 421)(scope, receive, send_guarded)
        elif scope["method"] not in ("GET", "HEAD"):
            refusal = PlainTextResponse("this is read-only: GET and HEAD\n", 405, {"allow": "GET, HEAD"})
            await refusal(scope, receive, send_guarded)
        else:
            await inner(scope, receive, send_guarded)

    return answer


def _is_known(host: str, known: Collection[str]) -> bool:
    """Return whether a ``Host`` is one of the names, or an address: nobody's name server decides what that leads to."""
    name = host.rsplit(":", 1)[0] if host.rpartition("]")[2].startswith(":") or host.count(":") == 1 else host
    name = name.strip("[]").rstrip(".").lower()
    if name in known:
        return True
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False
