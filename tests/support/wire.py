"""A raw HTTP server that does exactly what a test tells it, faults included, and remembers what it saw."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from support.loopback import Loopback

Reply = bytes | Callable[[socket.socket], None] | None


@dataclass
class Request:
    """One request as far as it came; ``complete`` says whether its whole body did."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    complete: bool = False
    connection: int = 0

    def json(self):
        return json.loads(self.body)


def answer(
    status: int = 200, body: object = None, headers: dict[str, str] | None = None, *, raw: bytes | None = None
) -> bytes:
    """An answer with a JSON body, or with ``raw`` bytes; none of both is an empty one."""
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {'OK' if status < 300 else 'Fault'}", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def reset(connection: socket.socket) -> None:
    """Break the connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def then_reset(data: bytes) -> Callable[[socket.socket], None]:
    """Send ``data`` and break the connection with a RST."""

    def send(connection: socket.socket) -> None:
        connection.sendall(data)
        reset(connection)

    return send


def close(connection: socket.socket) -> None:
    """End the connection in good order, without an answer."""
    connection.close()


def then_close(data: bytes) -> Callable[[socket.socket], None]:
    """Send ``data`` and end the connection."""

    def send(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.close()

    return send


@dataclass
class Wire:
    """Serves ``reply(request)``: bytes to send, a function of the connection, or None to break off.

    ``on_accept`` may break a connection off before anything is read, by returning True. ``on_head`` is asked before the body is read; what it returns is sent at once, and None goes on reading.
    """

    reply: Callable[[Request], Reply]
    on_head: Callable[[Request], Reply] = lambda request: None
    on_accept: Callable[[int], bool] = lambda number: False
    requests: list[Request] = field(default_factory=list)
    keep_body: bool = True

    def __enter__(self) -> Self:
        self._loopback = Loopback(self._serve)
        self.port, self.url = self._loopback.port, self._loopback.url
        return self

    def __exit__(self, *_: object) -> None:
        self._loopback.close()

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return self._loopback.connections

    def seen(self, method: str, part: str = "") -> list[Request]:
        """The complete requests with that method whose target holds ``part``."""
        return [each for each in self.requests if each.complete and each.method == method and part in each.target]

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self.on_accept(number):
            reset(connection)
            return
        with contextlib.suppress(OSError):
            data = b""
            while (data := self._one(connection, number, data)) is not None:
                pass

    def _one(self, connection: socket.socket, number: int, data: bytes) -> bytes | None:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        request = Request(method, target, headers, connection=number)
        self.requests.append(request)
        early = self.on_head(request)
        if early is not None:
            return self._send(connection, early, b"")
        want = int(headers.get("content-length", 0))
        body = bytearray(data[:want])
        got = len(body)
        rest = data[want:]
        while got < want:
            more = connection.recv(min(want - got, 1 << 20))
            if not more:
                request.body = bytes(body)
                return None
            got += len(more)
            if self.keep_body:
                body += more
        request.body, request.complete = bytes(body), True
        return self._send(connection, self.reply(request), rest)

    def _send(self, connection: socket.socket, reply: Reply, rest: bytes) -> bytes | None:
        if isinstance(reply, bytes):
            connection.sendall(reply)
            return rest
        if reply is not None:
            reply(connection)
        return None


def silent_after_half(started: threading.Event) -> Wire:
    """A server of one model that sends half of its image and then nothing more."""

    def reply(request):
        if request.target == "/models":
            return answer(body=[{"id": 1, "name": "m", "engine": "MLSTATS", "imageId": 1}])

        def half(connection):
            encoded = base64.b64encode(b"half" * 50_000).decode()
            body = json.dumps({"id": 1, "name": "m", "engine": "MLSTATS", "image": {"id": 1, "image": encoded}})
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body[:150_000]}".encode())
            started.set()
            connection.recv(1)  # until the other side goes

        return half

    return Wire(reply)
