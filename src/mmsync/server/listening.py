"""The socket a server listens on, bound before the server starts: whoever connects early waits in its queue."""

from __future__ import annotations

import socket

from mmsync.errors import MmsyncError

__all__ = ["QUEUE", "listen", "url_of"]

QUEUE = 2048
"""Connections that wait to be accepted."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ``port`` 0 takes a free one.

    Raises:
        MmsyncError: The address is taken, or is none of this machine's.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # The protocol is spelled out because asyncio turns Nagle's algorithm off only where it is: with it on, every
        # small answer waits 40 ms for the client's delayed acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(QUEUE)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        raise MmsyncError(f"cannot listen on {host} port {port}: {error}") from error
    return listener


def url_of(host: str, port: int) -> str:
    """Where a client on this machine reaches it, also where it listens on every address."""
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # it is replaced
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
