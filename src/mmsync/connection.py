"""Opening a server: a client of the right generation, the name the ledger knows it by, and the ledger."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from mmsync.errors import SettingsError
from mmsync.printable import masked_url, printable
from mmsync.types import ServerName

if TYPE_CHECKING:
    from mmsync.client import Client
    from mmsync.ledger import Ledger

LOCAL = "local:"

IfMissing = Literal["make", "imagine", "refuse"]
"""What becomes of a ``local:`` folder that is not there, or no server's: it is made, taken for an empty one, or an error."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open client, the name its server has in the ledger, and the ledger."""

    client: Client
    server: ServerName
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server: whose certificates are trusted, which one is shown, and through which proxy."""

    cacert: str | None = None  # a file or folder of certificates to trust in place of the system's
    client_cert: str | None = None  # a file with the client's certificate, and its key where there is no other file
    client_key: str | None = None
    proxy: str | None = field(
        default=None, repr=False
    )  # may hold a password; ``none`` is no proxy whatever else names one
    insecure: bool = False  # certificates are not checked, and no proxy is used; only for this very machine
    sources: tuple[tuple[str, str], ...] = ()  # who gave each of these, by its name

    def client_settings(self) -> dict[str, Any]:
        """Return keywords of `Client`."""
        by_name = dict(self.sources)
        names = {"verify": "cacert", "cert": "client_cert", "proxies": "proxy"}
        settings: dict[str, Any] = {"sources": {ours: by_name[name] for ours, name in names.items() if name in by_name}}
        if self.insecure:
            settings |= {"verify": False, "proxies": NO_PROXY}
        elif self.cacert is not None:
            settings["verify"] = self.cacert
        if self.client_cert is not None:
            settings["cert"] = self.client_cert if self.client_key is None else (self.client_cert, self.client_key)
        if self.proxy == NO_PROXY_WORD:
            settings["proxies"] = NO_PROXY
        elif self.proxy is not None and not self.insecure:
            settings["proxies"] = {"http": self.proxy, "https": self.proxy}
        return settings


NO_PROXY_WORD = "none"
NO_PROXY = {"no_proxy": "*"}  # what requests takes for: whatever the environment says


@dataclass(frozen=True, slots=True)
class Target:
    """A server, ready to connect to."""

    url: str  # ``http(s)://…`` or ``local:FOLDER``
    token: str = field(default="", repr=False)  # Never shown. Empty for ``local:``.
    auth_type: str = "standalone"  # ``standalone`` or ``bearer``
    domain: str | None = None  # where given, the server is of the older generation (LegacyClient)
    # seconds to connect, for the head of an answer and between two bytes; None means the client's 30
    timeout: float | None = None
    max_list_bytes: int | None = None  # the longest list of models that is read; None means the client's 64 MiB
    route: Route = Route()
    # who gave url, token, auth_type, domain and timeout, for a person to read; what is missing is nobody's
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@contextlib.contextmanager
def connect(
    url: str,
    token: str = "",
    *,
    auth_type: str = "standalone",
    domain: str | None = None,
    timeout: float | None = None,
    route: Route = Route(),
    jobs: int = 8,
    ledger: Path | str | None = None,
    warn: Callable[[str], None] = lambda _sentence: None,
) -> Iterator[Connection]:
    """Open a server for the length of a ``with``.

    Args:
        url: The server's URL, or ``local:FOLDER`` for an embedded one over that folder (needs no token).
        token: The access token.
        auth_type: ``standalone`` or ``bearer``.
        domain: The domain, for servers before 2.4.0.
        timeout: Seconds to connect and between two bytes; None means 30.
        route: Certificates and proxy.
        jobs: How many requests may go on at a time.
        ledger: The ledger's file; None remembers nothing beyond the ``with``.
        warn: Called with one sentence where something is odd but no error.

    Raises:
        ModelManagerError: The URL is not one.
        SettingsError: Certificates would go unchecked on another machine (``Route.insecure``).
        ValueError: The auth type is not one.
    """
    from mmsync.ledger import Ledger  # noqa: PLC0415 - SQLite, which whoever only needs a Target does without

    target = Target(url, token, auth_type, domain, timeout, route=route)
    with contextlib.ExitStack() as stack:
        client, server = stack.enter_context(open_client(target, jobs=jobs, warn=warn))
        path = None if ledger is None else expanded(ledger)
        yield Connection(client, server, stack.enter_context(Ledger(path, warn=warn, now=int(time.time()))))


@contextlib.contextmanager
def open_client(
    target: Target, *, jobs: int, warn: Callable[[str], None], if_missing: IfMissing = "make"
) -> Iterator[tuple[Client, ServerName]]:
    """Open a client, for ``local:`` with an embedded server; `SettingsError` where its folder or the route is refused."""
    from mmsync import client as http  # noqa: PLC0415 - 100 ms for the HTTP library, which validate does without

    if target.route.insecure:
        refuse_unchecked(target.url, dict(target.route.sources).get("insecure", "insecure"))
    with contextlib.suppress(ValueError):  # no address at all: nothing will be sent to it
        parts = urlsplit(target.url)
        if parts.scheme == "http" and parts.hostname and target.token and not is_loopback(parts.hostname):
            warn("the token travels over plain http to another machine; use https")
    with contextlib.ExitStack() as stack:
        url, token, name = target.url, target.token, ""
        if url.startswith(LOCAL):
            from mmsync.server import is_of_others, running  # noqa: PLC0415 - an extra, and only for local:

            folder = expanded(url.removeprefix(LOCAL))
            name = f"{LOCAL}{folder.resolve()}"
            if if_missing != "make" and (not folder.exists() or is_of_others(folder)):
                if if_missing == "refuse":
                    what = "that folder is no Model Manager's" if folder.exists() else "there is no such folder"
                    raise SettingsError(f"{url}: {what}", "correct --url; apply would make one there")
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mmsync-")))
            address = stack.enter_context(running(folder))
            url, token = address.url, address.token
        auth = http.auth.create_auth_from_token(token, target.auth_type)
        # While a job sends a file, the one before is saved and the next model is read.
        settings: dict[str, Any] = {"timeout": target.timeout, "pool_size": 4 * jobs + 2}
        # What this process itself serves is not asked for through a proxy.
        settings |= {"proxies": NO_PROXY} if name else target.route.client_settings()
        if target.max_list_bytes:
            settings["max_list_bytes"] = target.max_list_bytes
        made = (
            http.LegacyClient(url, target.domain, auth, **settings)
            if target.domain
            else http.Client(url, auth, **settings)
        )
        generation = "before 2.4.0, with domains" if target.domain else "2.4.0 or later"
        logging.getLogger("mmsync.client").info(
            "the server is %s (generation %s)", name or printable(masked_url(url), 300), generation
        )
        yield stack.enter_context(made), ServerName(name or http.normalise_url(url), target.domain or "")


def expanded(path: Path | str) -> Path:
    """Return the path with ``~`` or ``~USER`` replaced by that home folder; `SettingsError` where none is known."""
    text = os.path.expanduser(path)  # noqa: PTH111 - Path's raises what nobody expects
    if text == str(path) and text.startswith("~"):
        home = text.partition("/")[0]
        raise SettingsError(
            f"{text}: no home folder is known for {home}", f"write ./{text} if it is a name, or set HOME"
        )
    return Path(text)


def refuse_unchecked(url: str, source: str) -> None:
    """Raise `SettingsError` unless a server's certificate may go unchecked; ``source`` names who asked for that."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if url.startswith(LOCAL) or is_loopback(host):
        return
    raise SettingsError(
        f"{source}: certificates go unchecked on this machine alone, and {masked_url(url)} is another",
        "give the certificate of the server or of its authority as --cacert FILE",
    )


def is_loopback(host: str) -> bool:
    """Return whether a host, by its name or address, is this machine for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
