"""The server's HTTP interface, one level below the clients: requests out, JSON in, errors raised."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mmsync.client._multipart import FileForm
from mmsync.client._responses import decode_response, error_of, is_success, read_answer, validate_or_raise_error
from mmsync.client._transport import PROXY_PASSWORD, Transport
from mmsync.client.auth import AuthCallable
from mmsync.client.error import ModelManagerError, UnexpectedResponse
from mmsync.client.retry import RetryPolicy
from mmsync.client.validator import is_valid_url
from mmsync.printable import masked_url

if TYPE_CHECKING:
    import requests

__all__ = ["Api", "decode_response", "valid_methods", "validate_or_raise_error"]

valid_methods = ("get", "post", "patch", "put", "delete")

_DEFAULT_TIMEOUT = 30
_PARTIAL = 206
_PROXY_WANTS_PASSWORD = 407
# What requests.request takes besides the method and the address.
_OPTIONS = frozenset(
    {"params", "data", "json", "headers", "cookies", "files", "auth", "hooks"}
    | {"timeout", "allow_redirects", "proxies", "stream", "verify", "cert"}
)


class Api:
    """Sends requests with one authentication over one pool of connections. Safe in threads.

    ``api.get(url)``, ``api.post(url, json=…)`` and so on return the decoded answer; keywords are those of
    ``requests.request`` and win over those given here.

    Args:
        pool_size: How many idle connections are kept.
        sources: Who gave ``verify``, ``cert`` and ``proxies``, by these names, for messages: ``{"verify": "--cacert"}``.
        kwargs: Keywords of ``requests.request`` for every request; ``timeout`` is 30 s where it is not given.

    Raises:
        TypeError: A keyword is not one of requests'.

    Attributes:
        timeout: Seconds, or a pair of (connect, read) seconds: for a connection, for the head of an answer, and
            between two bytes. A body or an upload that goes on for longer needs 4 KiB a second.
        request_options: The other keywords.
        hints: What to tell the reader of an error, by HTTP status.
        transport: What carries the requests.
    """

    def __init__(
        self,
        auth: AuthCallable | None = None,
        *,
        pool_size: int = 32,
        retry: RetryPolicy | None = None,
        sources: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        _check_options(kwargs)
        self.auth = auth
        self.timeout = kwargs.pop("timeout", None) or _DEFAULT_TIMEOUT
        self.request_options = kwargs
        self.retry = retry or RetryPolicy()
        self.hints = dict.fromkeys((401, 403), "check the token and the authentication type")
        self.transport = Transport(pool_size, sources)

    def get(self, endpoint: str, **kwargs: Any) -> Any:
        """Return the decoded answer to a GET, which is repeated after transient errors."""
        return self.retry.run(lambda: self._decoded("get", endpoint, kwargs))

    def post(self, endpoint: str, **kwargs: Any) -> Any:
        """Return the decoded answer to a POST, sent once."""
        return self._decoded("post", endpoint, kwargs)

    def patch(self, endpoint: str, **kwargs: Any) -> Any:
        """Return the decoded answer to a PATCH, sent once."""
        return self._decoded("patch", endpoint, kwargs)

    def put(self, endpoint: str, **kwargs: Any) -> Any:
        """Return the decoded answer to a PUT, sent once."""
        return self._decoded("put", endpoint, kwargs)

    def delete(self, endpoint: str, **kwargs: Any) -> Any:
        """Return the decoded answer to a DELETE, sent once."""
        return self._decoded("delete", endpoint, kwargs)

    def __call__(self, endpoint: str, **kwargs: Any) -> Any:
        """Return the decoded answer to a GET."""
        return self.get(endpoint, **kwargs)

    def _decoded(self, method: str, endpoint: str, kwargs: dict[str, Any]) -> Any:
        return read_answer(self.request(endpoint, method=method, **kwargs))

    def request(
        self, endpoint: str, *, method: str = "get", form: FileForm | None = None, **kwargs: Any
    ) -> requests.Response:
        """Send one request, once, and return its successful answer with the body unread.

        Args:
            method: The HTTP method, in any case.
            form: A file to send as the body.
            kwargs: Keywords of ``requests.request`` for this request.

        Raises:
            ModelManagerError: The way failed, or the answer is an error.
        """
        _check_options(kwargs)
        response = self.transport.send(method, endpoint, self.build_request_options(**kwargs), form)
        if response.status_code == _PARTIAL:
            response.close()
            raise UnexpectedResponse(
                msg="HTTP 206: the server sent a part, and was asked for the whole",
                status=_PARTIAL,
                hint="check the address; a proxy or cache on the way may be at fault",
            )
        if is_success(response.status_code):
            return response
        error = error_of(response)
        error.retry_after = self.retry.retry_after(response.headers.get("Retry-After"))
        error.hint = error.hint or self.hints.get(response.status_code, "")
        if response.status_code == _PROXY_WANTS_PASSWORD:
            error.hint = PROXY_PASSWORD
            if proxy := self.transport.route_to(endpoint, self.build_request_options(**kwargs)).proxy:
                error.msg = f"The proxy {proxy} refuses: {error.msg}"
        raise error

    def build_request_options(self, **kwargs: Any) -> dict[str, Any]:
        """Return the keywords of a request: those given here over those of the object."""
        return {**self.request_options, "auth": self.auth, "timeout": self.timeout, **kwargs}

    def close(self) -> None:
        """Close idle connections. A later request opens new ones."""
        self.transport.session.close()


def _check_options(options: dict[str, Any]) -> None:
    if unknown := options.keys() - _OPTIONS:
        raise TypeError(f"{min(unknown)!r} is not a keyword of requests")


class EndpointRenderer(abc.ABC):
    """The addresses of one server.

    Attributes:
        url: The server's address, without a trailing slash.
        wrong_generation: What to do where this server answers 404.
    """

    wrong_generation: str

    def __init__(self, url: str) -> None:
        if not is_valid_url(url):
            raise ModelManagerError(
                msg=f"Invalid url: '{masked_url(str(url))}'",
                hint="it looks like https://HOST/mlmodelmanager, without a query",
            )
        self.url = url.rstrip("/")

    @abc.abstractmethod
    def models(self) -> str:
        """Return the address of the list, which is also where a model is saved."""

    def model(self, name: str) -> str:
        """Return the address of one model; every reserved character of ``name`` is percent-encoded, ``/`` too.

        Raises:
            ModelManagerError: The name is empty, or cannot be part of an address.
        """
        # A path of dots is resolved away by every HTTP library, percent-encoded or not: it would address the list.
        if not name or name in (".", ".."):
            raise ModelManagerError(msg=f"Invalid name: '{name}'")
        try:
            return f"{self.models()}/{quote(name, safe='')}"
        except UnicodeError as error:
            raise ModelManagerError(msg=f"Invalid name: {name!a}") from error

    def image_upload(self) -> str:
        """Return the address that takes a model's file for review."""
        return f"{self.models()}/images/upload"


class LatestEndpointRenderer(EndpointRenderer):
    """The addresses of a server 2.4.0 or later: the domain comes from the token."""

    wrong_generation = (
        "check the path of the address; if that is right, the server may be older than 2.4.0: name the domain "
        "(--domain DOMAIN; in Python, LegacyClient(url, domain, auth))"
    )

    def models(self) -> str:
        """Return ``{url}/models``."""
        return f"{self.url}/models"


class LegacyEndpointRenderer(EndpointRenderer):
    """The addresses of a server before 2.4.0, which stand under a domain."""

    wrong_generation = (
        "check the path of the address and the domain; if those are right, the server may be 2.4.0 or later: leave "
        "out the domain (--domain; in Python, Client(url, auth))"
    )

    def __init__(self, url: str, domain: str) -> None:
        super().__init__(url)
        if not domain or domain in (".", ".."):
            raise ModelManagerError(msg=f"Invalid domain: '{domain}'")
        self.domain = domain

    def models(self) -> str:
        """Return ``{url}/domains/{domain}/models``."""
        return f"{self.url}/domains/{quote(self.domain, safe='')}/models"
