"""Who may ask: the token, where a browser's request comes from, and the sessions of those who gave it the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

_MOST_SESSIONS = 64
_SESSION_SECONDS = 12 * 3600.0
# What a proxy adds: the client is then not the one that is connected.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z.-]+))(?::[0-9]*)?")


class Token:
    """The token a server wants."""

    def __init__(self, token: str) -> None:
        self._token = token.encode("utf-8")

    def is_sent_with(self, request: Request) -> bool:
        """Return whether one of the two headers of the contract holds it."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = (request.headers.get("standalonetoken", ""), bearer if scheme.lower() == "bearer" else "")
        # Header values come decoded from latin-1, whatever the client meant them to be.
        return any([self.is_bytes(token.strip().encode("latin-1")) for token in given])  # noqa: C419 - always both

    def is_bytes(self, given: bytes) -> bool:
        """Compare in a time that tells nothing of the token."""
        return hmac.compare_digest(given, self._token)


class Sessions:
    """Sessions of browsers, kept in memory only: each is a random name that says nothing of the token.

    At most 64 at a time, the oldest gives way, and each ends after twelve hours. Only digests of the names are kept.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[bytes, float] = {}  # by digest, oldest first

    def begin(self) -> str:
        """Return the name of a new session."""
        name = secrets.token_urlsafe(32)
        self._began[_digest(name)] = self._clock()
        while len(self._began) > _MOST_SESSIONS:
            del self._began[next(iter(self._began))]
        return name

    def is_open(self, name: str) -> bool:
        """Return whether there is a session of that name, and it goes on."""
        began = self._began.get(_digest(name))  # a digest is nothing that one could come closer to by time
        return began is not None and self._clock() - began < _SESSION_SECONDS

    def end(self, name: str) -> None:
        """End a session, if there is one of that name."""
        self._began.pop(_digest(name), None)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def is_local(request: Request) -> bool:
    """Return whether a browser on this machine asks, by a name of this machine.

    A page of another site that had its own name point here (DNS rebinding) still sends that name as ``Host``.
    """
    if request.client is None or any(header in request.headers for header in _FORWARDED):
        return False
    return _is_loopback(request.client.host) and _is_loopback(_host_name(request.headers.get("host", "")))


def is_of_own_page(request: Request) -> bool:
    """Return whether a form was sent from a page of this server, not from another site's (CSRF).

    A browser says so with ``Origin``, a recent one with ``Sec-Fetch-Site`` too; what says neither is no browser.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    return site in {"same-origin", "none"} and origin in {None, f"http://{request.headers.get('host', '')}"}


def _host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without a port; empty where there is none of a known form."""
    found = _HOST.fullmatch(host.lower())
    return found[1] or found[2] if found else ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
