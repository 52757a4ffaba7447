"""Which addresses may be sent the operator's token although somebody else named them.

A manifest, a saved plan or a profile is often written by others than those who set ``MMSYNC_TOKEN``: a pull request
changes the manifest. So a token only goes where the same trust names the server, or to an origin the operator allows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmsync.errors import SettingsError
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AllowedServers", "origin"]

_PORTS = {"http": "80", "https": "443"}
# Only what every reader of addresses reads alike: two that disagree on the host would let a token out.
_AUTHORITY = r"(?P<host>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
_ADDRESS = re.compile(rf"(?P<scheme>https?)://{_AUTHORITY}(?:/[^\\\s]*)?", re.IGNORECASE | re.ASCII)
_PATTERN = re.compile(
    rf"(?:(?P<scheme>https?)://)?(?P<any>\*\.)?{_AUTHORITY.replace('[0-9]{1,5}', '[0-9]{1,5}|[*]')}/?",
    re.IGNORECASE | re.ASCII,
)


def origin(url: str) -> str | None:
    """Return scheme, host and port of an address, the usual port left out; None where it is no plain address."""
    parts = _parts(url)
    if parts is None:
        return None
    scheme, host, port = parts
    return f"{scheme}://{host}" + (f":{port}" if port != _PORTS[scheme] else "")


def _parts(url: str) -> tuple[str, str, str] | None:
    found = _ADDRESS.fullmatch(url)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    return scheme, found["host"].lower(), found["port"] or _PORTS[scheme]


class AllowedServers:
    """The origins the operator allows beyond what flags and environment name.

    Args:
        patterns: Each ``[SCHEME://]HOST[:PORT]``. Without a scheme https is meant, without a port the scheme's usual
            one; ``*`` as port is any, and ``*.`` before the host any host below it.

    Raises:
        SettingsError: One of them is not of that form.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns: list[tuple[str, bool, str, str]] = []
        for pattern in (part for text in patterns for part in re.split(r"[\s,]+", text) if part):
            found = _PATTERN.fullmatch(pattern)
            if found is None:
                raise SettingsError(
                    f"--allow-server {printable(pattern)}: not the origin of a server",
                    "write https://HOST, https://HOST:PORT or https://*.DOMAIN",
                )
            scheme = (found["scheme"] or "https").lower()
            self._patterns.append((scheme, bool(found["any"]), found["host"].lower(), found["port"] or _PORTS[scheme]))

    def __contains__(self, url: str) -> bool:
        parts = _parts(url)
        if parts is None:
            return False
        scheme, host, port = parts
        return any(
            scheme == its_scheme
            and its_port in ("*", port)
            and (host.endswith(f".{its_host}") if below else host == its_host)
            for its_scheme, below, its_host, its_port in self._patterns
        )
