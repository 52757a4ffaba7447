"""Addresses: which are valid, and which are the same."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from mmsync.client.error import ModelManagerError
from mmsync.printable import masked_url

__all__ = ["is_loopback_url", "is_valid_url", "normalise_url"]

_HOST = re.compile(r"[^\s\x00-\x20\x7f\"#%/<>?@\\^`{|}\[\]]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_valid_url(url: str) -> bool:
    """Return whether ``url`` can be the address of a server: http or https, a host, perhaps a port and a path.

    Single-label hosts and hosts with an underscore are valid: clusters are full of them. A query or fragment is
    not: the paths of the API are appended to the address.
    """
    return _split(url) is not None


def _split(url: str) -> SplitResult | None:
    # urlsplit drops line ends and tabs silently; an address with any is a mistake to report.
    if not isinstance(url, str) or not url or re.search(r"[\s\x00-\x20\x7f\\]", url):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or parts.query or parts.fragment or port == 0:
        return None
    # urlsplit has checked what stands in brackets: an IPv6 address, perhaps with a zone.
    if not ("[" in parts.netloc or _HOST.fullmatch(host)) or host.startswith(".") or ".." in host:
        return None
    return parts


def normalise_url(url: str) -> str:
    """Return the one way to write ``url``, so that equal servers have equal names.

    Scheme and host in lower case, no default port, no trailing slash, no user or password.

    Raises:
        ModelManagerError: ``url`` is not the address of a server.
    """
    parts = _split(url)
    if parts is None:
        raise ModelManagerError(msg=f"Invalid url: '{masked_url(str(url))}'")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def is_loopback_url(url: str) -> bool:
    """Return whether a server at ``url``, by the name or address there, is on this very machine."""
    host = getattr(_split(url), "hostname", None) or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
