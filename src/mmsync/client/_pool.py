"""Connections that notice an answer whose headers were cut short.

http.client takes the end of a connection for the end of the headers: half an answer would pass for a complete one
with an empty body, which here means "saved" or "no such model".
"""

from __future__ import annotations

import contextlib
import queue
from http.client import HTTPResponse, RemoteDisconnected
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

__all__ = ["Adapter"]


class _Lines:
    """The reading end of a connection while its answer's headers are read."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.last = b"\n"

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.source.readline(limit)
        return self.last

    def close(self) -> None:
        self.source.close()

    def flush(self) -> None:
        self.source.flush()


class _Response(HTTPResponse):
    def begin(self) -> None:
        lines = _Lines(self.fp)
        self.fp = lines  # type: ignore[assignment]  # http.client only reads lines of it until the headers end
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = lines.source
        if not lines.last.endswith(b"\n"):
            raise RemoteDisconnected("the headers of the answer were cut short")


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Quiet(HTTPConnectionPool):
    def _put_conn(self, conn: Any) -> None:
        # More threads than idle connections kept is no fault; urllib3 would warn of each one closed.
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


class _Pool(_Quiet):
    ConnectionCls = _Connection


class _SecurePool(_Quiet, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """requests' adapter over these connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def close_idle(self) -> None:
        """Close every connection that nobody uses right now."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in list(manager.pools.keys()):
                pool = manager.pools.get(key)
                if isinstance(pool, _Quiet):
                    pool.close_idle()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pool of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
