"""Every fault of the way translated: the only place that knows the errors of requests, urllib3 and sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPException, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationValueError, NewConnectionError

from mmsync.client._connection_pool import TooSlow
from mmsync.client._multipart import FileForm, FormAborted
from mmsync.client.error import ModelManagerError, TransportError
from mmsync.printable import masked_url, printable

_NEVER_CONNECTED = (NewConnectionError, ConnectTimeoutError)
_NETWORK = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_HOPELESS = (requests.exceptions.SSLError, requests.exceptions.InvalidProxyURL)
# What OpenSSL makes of bytes that are no TLS; and how a TLS alert begins, which is what a TLS server makes of http.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
_TLS_ALERT = "\x15\x03"


@contextmanager
def translated(url: str, form: FileForm | None = None) -> Iterator[None]:
    """Turn every fault of requests, urllib3, http.client and sockets within into a `ModelManagerError`.

    What a form's file or callback raised comes out unchanged.
    """
    cause: BaseException
    try:
        yield
    except ModelManagerError:
        raise
    except FormAborted as aborted:
        cause = aborted.cause
        if not isinstance(cause, ModelManagerError):
            raise cause from None
    except (requests.RequestException, HTTPError, HTTPException, OSError, UnicodeError) as error:
        # The request travels with requests' errors, and in it the token: leave it behind.
        if isinstance(error, requests.RequestException):
            error.request = error.response = None
        # A request whose last bytes were held back never was a complete one.
        unsent = form is not None and form.started and not form.complete
        raise _mapped(error, url, unsent=unsent) from error
    else:
        return
    raise cause


def _mapped(error: Exception, url: str, *, unsent: bool) -> ModelManagerError:
    place = masked_url("{0.scheme}://{0.netloc}".format(urlsplit(url)))
    reason = _innermost(error)
    said = printable(str(getattr(reason, "strerror", None) or reason) or type(reason).__name__, 300)
    if isinstance(error, (LocationValueError, requests.exceptions.InvalidURL)):
        return ModelManagerError(msg=said)
    if isinstance(error, _HOPELESS):
        hint = ""
        if getattr(reason, "reason", None) in _NO_TLS:
            said, hint = "what answers there does not speak TLS", "check the port, or write http:// in the address"
        return TransportError(f"No secure connection to {place}: {said}", sent=False, again=False, hint=hint)
    if isinstance(error, requests.exceptions.ProxyError):
        return TransportError(f"The proxy to {place} failed: {said}", sent=False, connected=False)
    if isinstance(error, requests.ConnectTimeout) or any(isinstance(link, _NEVER_CONNECTED) for link in _chain(error)):
        return TransportError(f"Cannot connect to {place}: {said}", sent=False, connected=False)
    if isinstance(reason, TooSlow):
        return TransportError(f"The server at {place} is too slow: {said}", sent=not unsent, timed_out=True)
    if isinstance(error, requests.Timeout) or isinstance(reason, TimeoutError):
        return TransportError(f"No answer from {place} in time: {said}", sent=not unsent, timed_out=True)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return TransportError(f"The answer from {place} cannot be decoded: {said}")
    if isinstance(error, (*_NETWORK, HTTPError, HTTPException, ConnectionError, TimeoutError)):
        return _broken(place, reason, said, unsent=unsent)
    return ModelManagerError(msg=said)


def _broken(place: str, reason: BaseException, said: str, *, unsent: bool) -> TransportError:
    if isinstance(reason, BadStatusLine) and str(reason).startswith(_TLS_ALERT):
        hint = "write https:// in the address"
        return TransportError(f"{place} answers with TLS, not with http", sent=False, again=False, hint=hint)
    hint = ""
    if isinstance(reason, (RemoteDisconnected, ConnectionResetError)):
        other = "https" if place.startswith("http:") else "http"
        hint = f"try again; if it stays so, check the address: a port for {other} breaks off like this"
    return TransportError(f"The connection to {place} broke: {said}", sent=not unsent, hint=hint)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those it was made from, which urllib3 and requests keep in different places."""
    seen: set[int] = set()
    link: Any = error
    while isinstance(link, BaseException) and id(link) not in seen:
        seen.add(id(link))
        yield link
        first = link.args[0] if link.args else None
        inner = next((arg for arg in link.args if isinstance(arg, BaseException)), first)
        link = getattr(link, "reason", None) or (inner if isinstance(inner, BaseException) else None) or link.__cause__


def _innermost(error: BaseException) -> BaseException:
    *_, last = _chain(error)
    return last
