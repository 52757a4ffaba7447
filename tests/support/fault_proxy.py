"""A proxy between a client and a real Model Manager that does what networks and servers do on bad days.

It forwards every request unless a fault is set for it, and remembers all of them in ``exchanges``::

    with FaultProxy(server.url) as proxy:
        proxy.on("save", lost_answer(), name="m1", times=1)   # m1's first save is committed, its answer lost
        proxy.on("list", rewritten(without("imageId")))       # from now on the list names no image
        ...                                                   # a client of proxy.url
        assert proxy.count("save", name="m1") == 1

A fault is a function of an `Exchange`: it may forward the request, change the answer, delay, or break the
connection. The first one whose conditions hold is applied; later ones wait for their turn.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from support.loopback import Loopback

__all__ = [
    "Answer",
    "Exchange",
    "FaultProxy",
    "Held",
    "html",
    "late",
    "lost_answer",
    "reset",
    "reset_in_body",
    "rewritten",
    "status",
    "truncated",
    "without",
]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_FILE_NAME = re.compile(rb'filename="([^"]*)"')


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'Fault')}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() not in _HOP_BY_HOP]
        if self.status != 204:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass
class Exchange:
    """One request that came whole, and what became of it.

    Attributes:
        kind: ``list``, ``detail`` (without bytes), ``bytes``, ``upload``, ``save``, ``delete`` or ``other``.
        name: The model's name for detail, bytes, save and delete; the sent file's name for an upload.
        forwarded: Whether the server got it.
        status: What the client was answered, 0 where nothing.
        at: When it had arrived, in seconds of the monotonic clock.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    proxy: FaultProxy
    connection: socket.socket
    kind: str = ""
    name: str = ""
    forwarded: bool = False
    status: int = 0
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        path, _, query = self.path.partition("?")
        *_, last = path.split("/")
        if path.endswith("/models/images/upload"):
            self.kind = "upload"
            found = _FILE_NAME.search(self.body)
            self.name = found[1].decode() if found else ""
        elif path.endswith("/models"):
            self.kind = "list" if self.method == "GET" else "save"
            if self.kind == "save":
                with contextlib.suppress(ValueError):
                    self.name = json.loads(self.body).get("name", "")
        elif path.endswith("/fast"):
            self.kind, self.name = "detail", unquote(path.split("/")[-2])
        elif self.method == "DELETE":
            self.kind, self.name = "delete", unquote(last)
        else:
            self.kind, self.name = ("detail" if "true" in query.lower() else "bytes"), unquote(last)

    def forward(self) -> Answer:
        """Send it to the server and return the answer."""
        self.forwarded = True
        return self.proxy.ask_server(self.method, self.path, self.headers, self.body)

    def answer(self, answer: Answer) -> None:
        """Send an answer to the client."""
        self.status = answer.status
        self.connection.sendall(answer.head() + answer.body)

    def reset(self) -> None:
        """Break the client's connection with a RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise _Broken


class _Broken(Exception):
    """The client's connection is gone."""


Fault = Callable[[Exchange], None]


@dataclass
class _Rule:
    kind: str
    fault: Fault
    name: str | None
    times: int | None
    skip: int

    def takes(self, exchange: Exchange) -> bool:
        if self.kind not in ("any", exchange.kind) or self.name not in (None, exchange.name) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class FaultProxy:
    """A proxy in threads in front of the server at ``upstream``; every connection is kept alive."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.exchanges: list[Exchange] = []
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._local = threading.local()
        self._busy = 0
        self._idle = threading.Condition(self._lock)

    def settle(self, timeout: float = 30) -> None:
        """Wait until no request is under way."""
        with self._idle:
            assert self._idle.wait_for(lambda: not self._busy, timeout), "a request is still under way"

    def on(self, kind: str, fault: Fault, *, name: str | None = None, times: int | None = None, skip: int = 0) -> None:
        """Set a fault for requests of a kind (or ``any``), of one name, so many times, after some are let through."""
        with self._lock:
            self._rules.append(_Rule(kind, fault, name, times, skip))

    def clear(self) -> None:
        """Take all faults away and forget what was seen."""
        with self._lock:
            self._rules.clear()
            self.exchanges.clear()

    def seen(self, kind: str, *, name: str | None = None) -> list[Exchange]:
        """The requests of a kind, in the order they arrived."""
        with self._lock:
            return [each for each in self.exchanges if each.kind == kind and name in (None, each.name)]

    def count(self, kind: str, *, name: str | None = None, forwarded: bool = True) -> int:
        """How many requests of a kind arrived; only those the server got, unless told otherwise."""
        return sum(each.forwarded or not forwarded for each in self.seen(kind, name=name))

    def ask_server(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send a request to the server on this thread's connection to it."""
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | {"host"}}
        for last_try in (False, True):
            upstream = getattr(self._local, "connection", None)
            if upstream is None:
                upstream = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=60)
                upstream.connect()
                upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._local.connection = upstream
            try:
                upstream.request(method, self.upstream.path + path, body=body or None, headers=kept)
                response = upstream.getresponse()
                return Answer(response.status, response.getheaders(), response.read())
            except (http.client.HTTPException, OSError):
                upstream.close()
                self._local.connection = None
                if last_try or method != "GET":  # an idle connection may have been closed; only a read is repeated
                    raise
        raise AssertionError("unreachable")

    def __enter__(self) -> Self:
        self._loopback = Loopback(self._serve)
        self.url = self._loopback.url
        return self

    def __exit__(self, *_: object) -> None:
        self._loopback.close()

    def _serve(self, connection: socket.socket, _number: int) -> None:
        try:
            with contextlib.suppress(OSError, http.client.HTTPException, _Broken):
                reader = connection.makefile("rb")
                with reader:
                    while self._one(connection, reader):
                        pass
        finally:
            upstream = getattr(self._local, "connection", None)
            if upstream is not None:
                upstream.close()

    def _one(self, connection: socket.socket, reader: Any) -> bool:
        first = reader.readline(65536)
        if not first.strip():
            return False
        method, path, _ = first.decode("latin-1").split(" ")
        headers = {}
        while (line := reader.readline(65536)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip()] = value.strip()
        length = int(next((value for name, value in headers.items() if name.lower() == "content-length"), 0))
        body = reader.read(length)
        if len(body) < length:
            return False  # the client gave up in the middle: nothing of it reaches the server
        exchange = Exchange(method, path, headers, body, self, connection)
        with self._lock:
            self.exchanges.append(exchange)
            self._busy += 1
            rule = next((rule for rule in self._rules if rule.takes(exchange)), None)
        try:
            if rule is None:
                exchange.answer(exchange.forward())
            else:
                rule.fault(exchange)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()
        return True


class Held:
    """Requests of a kind wait at the server's door until they are let in."""

    def __init__(self, proxy: FaultProxy, kind: str, *, after: int = 0) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        proxy.on(kind, self, skip=after)

    def __call__(self, exchange: Exchange) -> None:
        self.begun.set()
        self.go_on.wait(40)
        exchange.answer(exchange.forward())


def late(seconds: float) -> Fault:
    """Wait, then forward."""

    def fault(exchange: Exchange) -> None:
        time.sleep(seconds)
        exchange.answer(exchange.forward())

    return fault


def status(code: int, body: Any = None, *, retry_after: str | None = None) -> Fault:
    """Answer with a status instead of forwarding."""

    def fault(exchange: Exchange) -> None:
        headers = [("Content-Type", "application/json")] + ([("Retry-After", retry_after)] if retry_after else [])
        exchange.answer(Answer(code, headers, b"" if body is None else json.dumps(body).encode()))

    return fault


def html(code: int = 200) -> Fault:
    """Answer with somebody's login page."""
    page = b"<!doctype html><title>Sign in</title><form action=/login>"
    return lambda exchange: exchange.answer(Answer(code, [("Content-Type", "text/html")], page))


def reset() -> Fault:
    """Break the connection; the server never gets the request."""
    return lambda exchange: exchange.reset()


def lost_answer() -> Fault:
    """Let the server do it, and break the connection before its answer."""

    def fault(exchange: Exchange) -> None:
        exchange.forward()
        exchange.reset()

    return fault


def truncated(share: float = 0.5) -> Fault:
    """Send the head of the answer and a share of its body, then end the connection in good order."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        exchange.connection.sendall(answer.head() + answer.body[: int(len(answer.body) * share)])
        exchange.connection.shutdown(socket.SHUT_RDWR)
        raise _Broken

    return fault


def reset_in_body(share: float = 0.5) -> Fault:
    """Send the head of the answer and a share of its body, then break the connection."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        exchange.connection.sendall(answer.head() + answer.body[: int(len(answer.body) * share)])
        exchange.reset()

    return fault


def rewritten(change: Callable[[Any], Any]) -> Fault:
    """Forward, and pass the answer's JSON through ``change``, where it has any."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        if answer.body:
            answer.body = json.dumps(change(json.loads(answer.body))).encode()
        exchange.answer(answer)

    return fault


def without(*keys: str) -> Callable[[Any], Any]:
    """A change that drops keys wherever they are; ``image.id`` drops ``id`` inside ``image`` alone."""
    plain = {key for key in keys if "." not in key}
    nested = {tuple(key.split(".")) for key in keys if "." in key}

    def drop(value: Any, holder: str = "") -> Any:
        if isinstance(value, list):
            return [drop(item, holder) for item in value]
        if isinstance(value, dict):
            return {
                key: drop(item, key) for key, item in value.items() if key not in plain and (holder, key) not in nested
            }
        return value

    return drop
