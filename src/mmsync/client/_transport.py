"""One request on the wire: the session, what it sends, and which redirects it follows."""

from __future__ import annotations

import importlib.util
import os
import re
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import BadStatusLine, HTTPException, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.cookies import cookiejar_from_dict
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError

from mmsync._version import __version__
from mmsync.client import _request_log
from mmsync.client._connection_pool import Adapter, TooSlow
from mmsync.client._multipart import FileForm, FormAborted
from mmsync.client._tls import Tls, explained, tls_of
from mmsync.client.error import ModelManagerError, RedirectRefused, TransportError
from mmsync.client.validator import normalise_url
from mmsync.printable import masked_url, printable

_NEVER_CONNECTED = (NewConnectionError, ConnectTimeoutError)
_NETWORK = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_HOPELESS = (requests.exceptions.SSLError, requests.exceptions.InvalidProxyURL)
# What OpenSSL makes of bytes that are no TLS; and how a TLS alert begins, which is what a TLS server makes of http.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_TLS_ALERT = "\x15\x03"


@dataclass(frozen=True, slots=True)
class Route:
    """The way of requests to a server: the proxy in words with who named it, empty for none, and the certificates."""

    proxy: str = ""
    tls: Tls = field(default_factory=Tls)


_DIRECT = Route()


@contextmanager
def translated(url: str, form: FileForm | None = None, route: Route = _DIRECT) -> Iterator[None]:
    """Turn every error of requests, urllib3, http.client and sockets within into a `ModelManagerError`.

    What a form's file or callback raised comes out unchanged.
    """
    try:
        yield
    except FormAborted as aborted:
        raise aborted.cause from aborted.cause.__cause__
    except (requests.RequestException, HTTPError, HTTPException, OSError, UnicodeError) as error:
        # The request travels with requests' errors, and in it the token: leave it behind.
        if isinstance(error, requests.RequestException):
            error.request = error.response = None
        # A request whose last bytes were held back never was a complete one.
        unsent = form is not None and form.started and not form.complete
        raise _mapped(error, url, route, unsent=unsent) from error


def _mapped(error: Exception, url: str, route: Route, *, unsent: bool) -> ModelManagerError:
    place = masked_url("{0.scheme}://{0.netloc}".format(urlsplit(url)))
    *_, reason = _chain(error)
    said = printable(str(getattr(reason, "strerror", None) or reason) or type(reason).__name__, 300)
    if isinstance(error, (LocationValueError, requests.exceptions.InvalidURL)):
        return ModelManagerError(msg=said)
    if isinstance(error, _HOPELESS):
        hint = ""
        if getattr(reason, "reason", None) in _NO_TLS:
            said, hint = "what answers there does not speak TLS", "check the port, or write http:// in the address"
        elif told := explained(reason, route.tls):
            said, hint = told
        return TransportError(f"No secure connection to {place}: {said}", sent=False, again=False, hint=hint)
    if isinstance(error, requests.exceptions.ProxyError):
        what = f"The proxy {route.proxy} to {place} failed" if route.proxy else f"The proxy to {place} failed"
        return TransportError(f"{what}: {said}", sent=False, connected=False, hint=_proxy_hint(said, route.proxy))
    if isinstance(error, requests.ConnectTimeout) or any(isinstance(link, _NEVER_CONNECTED) for link in _chain(error)):
        return TransportError(f"Cannot connect to {place}: {said}", sent=False, connected=False)
    if isinstance(error, requests.Timeout) or isinstance(reason, TimeoutError):
        what = (
            f"The server at {place} is too slow" if isinstance(reason, TooSlow) else f"No answer from {place} in time"
        )
        hint = "what listens there may not speak TLS: check the port, or write http:// in the address"
        in_handshake = "handshake" in said
        return TransportError(f"{what}: {said}", sent=not unsent, timed_out=True, hint=hint if in_handshake else "")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return TransportError(f"The answer from {place} cannot be decoded: {said}")
    if isinstance(error, (*_NETWORK, HTTPError, HTTPException, ConnectionError, TimeoutError)):
        if isinstance(reason, BadStatusLine) and str(reason).startswith(_TLS_ALERT):
            hint = "write https:// in the address"
            return TransportError(f"{place} answers with TLS, not with http", sent=False, again=False, hint=hint)
        other = "https" if place.startswith("http:") else "http"
        hint = f"try again; if it stays so, check the address: a port for {other} breaks off like this"
        broke_off = isinstance(reason, (RemoteDisconnected, ConnectionResetError))
        what = f"The connection to {place} broke: {said}"
        return TransportError(what, sent=not unsent, hint=hint if broke_off else "")
    return ModelManagerError(msg=said)


def _proxy_hint(said: str, proxy: str) -> str:
    if "407" in said:
        return PROXY_PASSWORD
    if proxy.lower().endswith("_proxy)"):  # a variable of the environment names it
        return "correct the proxy, or name the server in NO_PROXY if it is reached without one"
    return "correct the proxy, or leave it out (on the command line, --proxy none) if the server is reached without one"


PROXY_PASSWORD = "the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT"  # noqa: S105 - it says how one is given


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those it was made from, which urllib3 and requests keep in different places."""
    seen: set[int] = set()
    link: Any = error
    while isinstance(link, BaseException) and id(link) not in seen:
        seen.add(id(link))
        yield link
        inner = next((arg for arg in link.args if isinstance(arg, BaseException)), None)
        link = getattr(link, "reason", None) or inner or link.__cause__


_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z0-9+.-]+)://)?(?P<user>.*@)?(?P<host>[^\s/?#@:\[\]]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE | re.DOTALL,
)
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")


def check_proxy(url: str, proxies: Mapping[str, str], given: str = "proxies=") -> str:
    """Return the proxy that requests to ``url`` take and who names it, in words; empty for none.

    Raises `ModelManagerError` if it cannot be one: its address is malformed, or of a kind that needs a package which
    is not installed; the error says who names it, which is ``given`` for any that is not from the environment.
    """
    proxy = select_proxy(url, dict(proxies))
    if not proxy:
        return ""
    variable = f"{urlsplit(url).scheme}_proxy"
    names = (variable, variable.upper(), "all_proxy", "ALL_PROXY")
    source = next((name for name in names if os.environ.get(name) == proxy), given)
    found = _ADDRESS.fullmatch(proxy)
    scheme = (found["scheme"] or "http").lower() if found else ""
    if not found or (found["user"] and not found["scheme"]) or int(found["port"] or 1) not in range(1, 65_536):
        wrong, hint = "is not an address", "write http://HOST:PORT"
    elif re.search(r"[/?#\s]", found["user"] or ""):
        wrong = "has a sign in its user or password that an address cannot hold"
        hint = "write / as %2F, # as %23 and ? as %3F"
    elif scheme in _SOCKS and importlib.util.find_spec("socks") is None:
        wrong, hint = "speaks SOCKS, for which a package is missing", "pip install PySocks"
    elif scheme not in ("http", "https", *_SOCKS):
        wrong, hint = "is of no kind that is known", "write http://, https:// or socks5h://"
    else:
        return f"{masked_url(proxy)} ({source})"
    raise ModelManagerError(msg=f"the proxy {masked_url(proxy)} ({source}) {wrong}", hint=hint)


_MAX_REDIRECTS = 10
_KEEPING_METHOD = frozenset({307, 308})
_REDIRECTS = _KEEPING_METHOD | {301, 302, 303}


class _Session(requests.Session):
    """Sends what it is given: redirects and the environment are decided here, not in requests."""

    def __init__(self, pool_size: int) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = f"mmsync/{__version__} {requests.utils.default_user_agent()}"
        self.adapter = Adapter(pool_maxsize=pool_size)
        self.mount("http://", self.adapter)
        self.mount("https://", self.adapter)
        self.keep_no_cookies()

    def keep_no_cookies(self) -> None:
        """Start with an empty jar that stays so."""
        self.cookies = cookiejar_from_dict({})  # type: ignore[no-untyped-call]  # untyped in types-requests
        # Requests are independent of one another, as the official client's are: no cookie is kept.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the signature is requests'
        """Return None, always: `Transport` follows redirects itself."""
        return


class Transport:
    """A pool of connections to one server, safe in threads; as many as ``pool_size`` of them have one each."""

    def __init__(self, pool_size: int, sources: Mapping[str, str] | None = None) -> None:
        self.session = _Session(pool_size)
        self._sources = sources or {}
        # By scheme and host: what the caller gave, and what became of it.
        self._settings: dict[tuple[str, str], tuple[list[Any] | None, dict[str, Any], Route]] = {}
        _transports.add(self)

    def close_idle(self) -> None:
        """Close the connections nobody uses right now; the next request is sent on a new one.

        A server may end a connection it kept just when a request is on its way. A read is simply sent again; a write
        has to be read back first, and should not meet the same end on the connection of that very reading.
        """
        self.session.adapter.close_idle()

    def send(
        self, method: str, url: str, options: Mapping[str, Any], form: FileForm | None = None
    ) -> requests.Response:
        """Send one request and return its answer with the body unread; redirects within the origin are followed.

        ``options`` are keywords of ``requests.request``; ``form`` is sent as the body instead of what they say. Raises
        `TransportError` if the way failed, `RedirectRefused` if the server points elsewhere or a write may not
        follow, `ModelManagerError` if the request cannot be made of these options, and unchanged what the form's file
        or progress callback raised.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            with translated(url):
                settings, route = self._settings_for(url, options)
            response = self._sent(method, url, options, form, settings, route)
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or not location or not options.get("allow_redirects", True):
                return response
            response.close()
            _request_log.end(response)
            url = _followed(method, url, location, response.status_code)
        raise RedirectRefused(msg=f"More than {_MAX_REDIRECTS} redirects", status=response.status_code)

    def _sent(
        self,
        method: str,
        url: str,
        options: Mapping[str, Any],
        form: FileForm | None,
        settings: dict[str, Any],
        route: Route,
    ) -> requests.Response:
        """Send one request and return its answer, which keeps the record of the request where there is one."""
        record = None
        _request_log.current.request = f"{method.upper()} {urlsplit(url).path}"
        try:
            with translated(url, form, route):
                request = self._prepared(method, url, options, form)
                record = _request_log.begin(method, request.url or url)
                response = self.session.send(
                    request, stream=True, allow_redirects=False, timeout=options.get("timeout"), **settings
                )
        except Exception as error:
            if record is not None:
                record.failed(error)
            raise
        if record is not None:
            record.sent = int(request.headers.get("Content-Length") or 0)
            response.mmsync_record = record  # type: ignore[attr-defined]  # it goes with the answer, to its last byte
        return response

    def _prepared(
        self, method: str, url: str, options: Mapping[str, Any], form: FileForm | None
    ) -> requests.PreparedRequest:
        headers = CaseInsensitiveDict(self.session.headers)
        headers.update(options.get("headers") or {})
        if form is not None:
            headers["Content-Type"] = form.content_type
        request = requests.PreparedRequest()
        request.prepare(
            method=method.upper(),
            url=url,
            headers={name: value for name, value in headers.items() if value is not None},
            data=form if form is not None else options.get("data"),
            **{name: options.get(name) for name in ("files", "json", "params", "auth", "cookies", "hooks")},
        )
        # http.client would refuse these headers too, and show the token in its message.
        for name, value in request.headers.items():
            try:
                raw = value if isinstance(value, bytes) else str(value).encode("latin-1")  # type: ignore[unreachable]  # an authentication may set bytes
            except UnicodeError:
                raw = b"\n"
            if b"\n" in raw or b"\r" in raw or b"\0" in raw:
                what = (
                    f"The header {printable(str(name), 60)} holds a line end or another character that cannot be sent"
                )
                raise ModelManagerError(msg=what)
        return request

    def route_to(self, url: str, options: Mapping[str, Any]) -> Route:
        """Return how ``url`` is reached; raises `ModelManagerError` for a proxy that cannot be one."""
        with translated(url):
            return self._settings_for(url, options)[1]

    def _settings_for(self, url: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], Route]:
        """Return keywords for requests, and the route to ``url``.

        Proxies, ``verify`` and ``cert`` come from the caller's keywords first, then from the environment, read once an
        origin.
        """
        key = urlsplit(url)[:2]  # scheme and host
        own = [options.get(name) for name in ("proxies", "verify", "cert")]
        before, kept, route = self._settings.get(key, (None, {}, _DIRECT))
        if before != own:
            with requests.Session() as reader:
                merged = reader.merge_environment_settings(url, dict(own[0] or {}), None, own[1], own[2])
            kept = dict(merged.get("proxies") or {})
            proxy = check_proxy(url, kept, self._sources.get("proxies", "from proxies="))
            route = Route(proxy, tls_of(own[1], own[2], self._sources))
            self._settings[key] = own, kept, route
        # A copy: requests fills in what it misses. What TLS goes by takes the place of requests' own two keywords.
        return {"proxies": dict(kept), "verify": route.tls, "cert": None}, route


# Every transport alive, for a fork to find: on one connection, parent and child would read each other's answers.
_transports: weakref.WeakSet[Transport] = weakref.WeakSet()


def _after_fork() -> None:
    """Drop the parent's connections in a child process, and the locks that its threads may have held."""
    for transport in list(_transports):
        transport.session.adapter.after_fork()
        transport.session.keep_no_cookies()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)


def _followed(method: str, url: str, location: str, status: int) -> str:
    """Return where a redirect leads, if it may be followed."""
    try:
        target = urljoin(url, location.encode("latin-1").decode("utf-8"))
        here, there = urlsplit(url), urlsplit(target)
        same = normalise_url(f"{there.scheme}://{there.netloc}") == normalise_url(f"{here.scheme}://{here.netloc}")
    except (ValueError, ModelManagerError):
        raise RedirectRefused(msg=f"The server redirects to {printable(location, 200)}", status=status) from None
    shown = printable(masked_url(target), 200)
    if not same:
        what = f"to another origin, {shown}: refused, the token would follow"
        hint = "if that is the right address, use it as the server's address"
    elif method.upper() not in ("GET", "HEAD") and status not in _KEEPING_METHOD:
        what = f"a write to {shown} with status {status}, which would lose its body"
        hint = "use the address it points to as the server's address"
    else:
        return target.partition("#")[0]  # a fragment is the reader's business, never the server's
    raise RedirectRefused(msg=f"The server redirects {what}", status=status, hint=hint)
