"""The proxy on the way to a server: said to be malformed before requests tries it, and shows its password."""

from __future__ import annotations

import importlib.util
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.utils import select_proxy

from mmsync.client.error import ModelManagerError
from mmsync.printable import masked_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_proxy"]

_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z0-9+.-]+)://)?(?P<user>.*@)?(?P<host>[^\s/?#@:\[\]]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE | re.DOTALL,
)
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_MAX_PORT = 65_535


def check_proxy(url: str, proxies: Mapping[str, str]) -> None:
    """Refuse the proxy that requests to ``url`` would take if it cannot be one; the error names where it comes from.

    Raises:
        ModelManagerError: Its address is malformed, or of a kind that needs a package which is not installed.
    """
    proxy = select_proxy(url, dict(proxies))
    if not proxy:
        return
    where = f"the proxy {masked_url(proxy)} ({_source(url, proxy)})"
    found = _ADDRESS.fullmatch(proxy)
    scheme = (found["scheme"] or "http").lower() if found else ""
    if (
        found is None
        or (found["user"] and not found["scheme"])
        or int(found["port"] or 1) not in range(1, _MAX_PORT + 1)
    ):
        raise ModelManagerError(msg=f"{where} is not an address", hint="write http://HOST:PORT")
    if re.search(r"[/?#\s]", found["user"] or ""):
        raise ModelManagerError(
            msg=f"{where} has a sign in its user or password that an address cannot hold",
            hint="write / as %2F, # as %23 and ? as %3F",
        )
    if scheme in _SOCKS:
        if importlib.util.find_spec("socks") is None:
            raise ModelManagerError(
                msg=f"{where} speaks SOCKS, for which a package is missing", hint="pip install PySocks"
            )
    elif scheme not in ("http", "https"):
        raise ModelManagerError(
            msg=f"{where} is of no kind that is known", hint="write http://, https:// or socks5h://"
        )


def _source(url: str, proxy: str) -> str:
    scheme = urlsplit(url).scheme
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if os.environ.get(name) == proxy), "from proxies=")
