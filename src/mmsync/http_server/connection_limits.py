"""Limits that keep a few clients from having all there is: so many connections, and none that only waits."""

from __future__ import annotations

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_SECONDS = 10.0  # for a first byte on a new connection, and from there to the end of the headers
_BODY_SECONDS = 30.0  # without a byte of a body that was announced …
_BODY_RATE = 256  # … and bytes a second that it must come to after that
_RESERVED = 160  # descriptors for files, the database's connections and the process itself
_FEWEST = 16


class LimitedProtocol(HttpToolsProtocol):
    """A connection that knows for what it waits, and makes room for itself by ending the one that waited longest."""

    most = 1_000  # connections at a time
    write_seconds = float("inf")  # for a client that reads nothing of what waits for it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in its base
        """Take up a connection; asyncio calls it."""
        super().connection_made(transport)
        self._moved_at = self.loop.time()
        self.waits_since: float | None = self._moved_at
        self._body_since = 0.0
        self._body_bytes = 0
        self._unsent = 0
        self._read_at = self._moved_at
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if len(self.connections) > max(_FEWEST, min(self.most, descriptors - _RESERVED)):
            others = [other for other in self.connections if isinstance(other, LimitedProtocol) and other is not self]
            waiting = {other: since for other in others if (since := other.idle_since) is not None}
            min(waiting, key=waiting.__getitem__, default=self).end()

    @property
    def idle_since(self) -> float | None:
        """Since when it is the client's turn; None while it is ours, a request being whole and not answered."""
        if self.waits_since is not None:
            return self.waits_since
        is_ours = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        return None if is_ours else self._moved_at

    def on_message_begin(self) -> None:
        """Note that a request begins; the parser calls it."""
        if self.waits_since is None:
            self.waits_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the client has said what it wants; the parser calls it."""
        self.waits_since = None
        self._body_since = self._moved_at = self.loop.time()
        self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that the body goes on; the parser calls it."""
        self._body_bytes += len(body)
        self._moved_at = self.loop.time()
        super().on_body(body)

    def end_if_idle(self, now: float) -> None:
        """End it if its client has had time enough."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent:
            self._read_at = now
        self._unsent = unsent
        if now - self._read_at > self.write_seconds:
            self.end()
        elif self.waits_since is not None:
            if now - self.waits_since > _HEAD_SECONDS:
                self.end()
        elif self.cycle is not None and not self.cycle.response_complete and self.cycle.more_body:
            if self.flow.read_paused:  # it is we who do not read
                self._moved_at = now
            late = now - self._body_since - _BODY_SECONDS
            if now - self._moved_at > _BODY_SECONDS or (late > 0 and self._body_bytes < late * _BODY_RATE):
                self.end()

    def end(self) -> None:
        """Close the connection without waiting for anything."""
        self.connections.discard(self)  # it is told that it is lost only later, and must not be chosen twice
        self.transport.abort()
