"""Connections that notice an answer whose headers were cut short, and a server that is too slow.

http.client takes the end of a connection for the end of the headers: half an answer would pass for a complete one
with an empty body, which here means "saved" or "no such model". And its time-out starts anew with every byte.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import queue
import socket
import time
from http.client import HTTPException, HTTPResponse, RemoteDisconnected, parse_headers
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mmsync.client._request_log import LOG, NOTICE, SILENCE, current
from mmsync.quantities import human_seconds

if TYPE_CHECKING:
    from requests import PreparedRequest

# Bytes a second that a server must send or take: below that for as long as the time-out, it is too slow.
_MIN_RATE = 4096
# What a server may say before its answer: "100 Continue", "103 Early Hints" (RFC 9110, RFC 8297).
_MAX_INTERIM = 32
_SWITCHING = 101


class TooSlow(TimeoutError):
    """The server sends or takes bytes, but fewer than it must."""


class _Pace:
    """Seconds waited for a server and the bytes that came of them. Work done between two waits does not count."""

    def __init__(self, socket: socket.socket, whole: str = "") -> None:
        self._socket = socket
        self.start(whole)

    def start(self, whole: str = "") -> None:
        """Begin anew: ``whole`` must come within one time-out, however many bytes it has; empty asks for the rate."""
        self._whole, self._waited, self._count = whole, 0.0, 0

    def add(self, seconds: float, count: int) -> None:
        """Count ``count`` bytes after a wait; raise `TooSlow` if they are too few."""
        self._waited += seconds
        self._count += count
        limit = self._socket.gettimeout()
        if not limit or self._waited < limit:
            return
        if self._whole:
            raise TooSlow(f"{self._whole} did not come within {limit:g} s")
        if self._count < limit * _MIN_RATE:
            raise TooSlow(f"{self._count} bytes in {self._waited:.3g} s, fewer than {_MIN_RATE} a second")
        self.start()


class _PacedReader(io.RawIOBase):
    """The reading end of a connection that watches the pace."""

    def __init__(self, raw: io.RawIOBase, pace: _Pace, sock: socket.socket) -> None:
        self._raw = raw
        self._pace = pace
        self._socket = sock
        self.awaits_head = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = time.monotonic()
        count = self._received(buffer) if self.awaits_head else self._raw.readinto(buffer)
        if count:
            self._pace.add(time.monotonic() - began, count)
        return count

    def _received(self, buffer: Any) -> int | None:
        """Read the first bytes of an answer, and say now and then that they are waited for."""
        self.awaits_head = False
        limit = self._socket.gettimeout()
        if (limit is not None and limit <= SILENCE) or not LOG.isEnabledFor(NOTICE):
            return self._raw.readinto(buffer)
        waited = 0.0
        try:
            while True:
                left = SILENCE if limit is None else min(SILENCE, limit - waited)
                self._socket.settimeout(left)
                try:
                    return self._socket.recv_into(buffer)
                except TimeoutError:
                    waited += left
                    if limit is not None and waited >= limit:
                        raise
                    what = "still waiting for the server's answer to %s (%s) …"
                    LOG.log(NOTICE, what, current.request, human_seconds(waited))
        finally:
            self._socket.settimeout(limit)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """The buffer over the reading end of a connection; it keeps the line that was read last."""

    last = b"\n"

    def readline(self, size: int | None = -1) -> bytes:
        self.last = super().readline(size)
        return self.last


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._pace = _Pace(sock, "the head of the answer")
        self.fp = self._lines = _Lines(_PacedReader(self.fp.detach(), self._pace, sock))

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MAX_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # http.client's own step, a proxy's answer is read by it as well
            if not 100 <= status < 200 or status == _SWITCHING:  # noqa: PLR2004 - the range of HTTP's interim answers
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException(f"more than {_MAX_INTERIM} interim answers")

    def begin(self) -> None:
        try:
            super().begin()  # reads nothing but lines
        except BaseException:
            self.close()  # http.client leaves that to the collection of garbage where the connection broke
            raise
        if not self._lines.last.endswith(b"\n"):
            raise RemoteDisconnected("the headers of the answer were cut short")
        self._pace.start()


class _Connection(HTTPConnection):
    """A connection that watches the pace of sending: http.client gives each piece one time-out, whatever its size.

    The head of a request leaves together with the beginning of its body: one packet less for both sides.
    """

    response_class = _Response
    _holds = False  # whether what is sent is held back
    _head = b""  # what is held back

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        if self.sock is None and self.auto_open:
            self.connect()  # nothing of a body is asked for before there is a connection
        self._holds = True
        try:
            super().endheaders(message_body, encode_chunked=encode_chunked)
        finally:
            self._holds = False

    def getresponse(self) -> Any:
        self._send_head()
        return super().getresponse()

    def close(self) -> None:
        self._head = b""
        super().close()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self.send(head)

    def send(self, data: Any) -> None:
        if self.sock is None or not isinstance(data, bytes):
            self._send_head()
            super().send(data)
            return
        if self._holds:
            self._head += data
            return
        data, self._head = self._head + data, b""
        pace, rest = _Pace(self.sock), memoryview(data)
        while rest:
            began = time.monotonic()
            try:
                count = self.sock.send(rest)
            except TimeoutError:
                raise TooSlow(f"it took nothing for {self.sock.gettimeout():g} s") from None
            rest = rest[count:]
            pace.add(time.monotonic() - began, count)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def _put_conn(self, conn: Any) -> None:
        # More threads than idle connections kept is no error; urllib3 would warn of each one closed.
        if conn is not None and self.pool is not None and self.pool.full():
            conn.close()
        else:
            super()._put_conn(conn)

    def close_idle(self) -> None:
        """Close the connections nobody uses right now; they are made anew when they are needed."""
        idle, held = self.pool, []
        if idle is None:
            return  # the pool itself is closed
        with contextlib.suppress(queue.Empty):
            while True:
                held.append(idle.get(block=False))
        for connection in held:
            if connection is not None:
                connection.close()
            with contextlib.suppress(queue.Full):
                idle.put(connection, block=False)


class _SecurePool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
    certificate: Any = (
        None  # the server's, as ``getpeercert`` of Python's sockets has it; empty where it is not checked
    )

    def _validate_conn(self, conn: Any) -> None:
        if conn.is_closed:
            conn.connect()
        self.certificate = conn.sock.getpeercert()
        # Between a process and its own machine there is nobody; urllib3 would warn of each request.
        if conn.proxy is not None or not ipaddress.ip_address(conn.sock.getpeername()[0].partition("%")[0]).is_loopback:
            super()._validate_conn(conn)


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """requests' adapter over these connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of direct connections."""
        self._made_with = args, kwargs
        self._pools: dict[tuple[Any, ...], Any] = {}
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the pool for a request. requests finds it out anew for each, looking for a folder of certificates."""
        origin = str(request.url).split("/", 3)[:3]
        # Its files are looked at again only where there are any: a renewed certificate takes a new pool.
        stamp = verify.stamp() if origin[0].lower() == "https:" else ()
        key = (*origin, verify, stamp, *(proxies or {}).items())
        pool = self._pools.get(key)
        if pool is None or pool.pool is None:  # closed, as the pools used least are
            pool = self._pools[key] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return pool

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Return where a pool connects to, and with which context: ``verify`` is a `Tls`."""
        host, _ = super().build_connection_pool_key_attributes(request, True, cert)  # noqa: FBT003 - the signature is requests'
        return host, {"ssl_context": verify.context()} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the pool's context has it all."""

    def certificate(self) -> Any:
        """Return the certificate a server showed last, as ``getpeercert`` of Python's sockets has it, or None."""
        pools = reversed(list(self._pools.values()))
        return next((pool.certificate for pool in pools if isinstance(pool, _SecurePool)), None)

    def close_idle(self) -> None:
        """Close every connection that nobody uses right now."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in list(manager.pools.keys()):
                pool = manager.pools.get(key)
                if isinstance(pool, _Pool):
                    pool.close_idle()

    def after_fork(self) -> None:
        """Forget every pool in a child process: close its ends of the parent's sockets, take no lock to do it."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            # Two threads of the parent may have been amid a change of these: private, but the only way past locks.
            for pool in list(manager.pools._container.values()):  # noqa: SLF001 - see above
                if pool.pool is None:
                    continue
                for connection in list(pool.pool.queue):
                    if connection is not None and connection.sock is not None:
                        connection.sock.close()
                # What closes the pool when it is collected would wait for a lock whose holder is gone.
                pool.pool.__init__(pool.pool.maxsize)
        self.proxy_manager = {}
        self.init_poolmanager(*self._made_with[0], **self._made_with[1])

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pool of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
