"""The server's HTTP interface, one level below the clients: requests out, JSON in, errors raised."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mmsync.client._transport import Transport, translated
from mmsync.client.error import EndpointNotFound, ModelManagerError, UnexpectedResponse, UnknownEngine
from mmsync.client.retry import RetryPolicy
from mmsync.printable import printable

if TYPE_CHECKING:
    import requests

    from mmsync.client._upload import FileForm
    from mmsync.client.auth import AuthCallable

__all__ = [
    "Api",
    "decode_response",
    "is_success",
    "read_answer",
    "read_body",
    "unexpected",
    "valid_methods",
    "validate_or_raise_error",
]

valid_methods = ("get", "post", "patch", "put", "delete")

_DEFAULT_TIMEOUT = 30
# A list of a million models is below this; anything above is a mistake or an attack.
_MAX_JSON = 1 << 29
_MAX_ERROR = 1 << 20
_CHUNK = 1 << 18
_NOT_OFFERED = frozenset({404, 405})
# What a server answers to an upload for an engine it does not know (seen; its enum lookup fails).
_UNKNOWN_ENGINE_STATUS = 500
# What requests.request takes besides the method and the address.
_OPTIONS = frozenset(
    [
        "params",
        "data",
        "json",
        "headers",
        "cookies",
        "files",
        "auth",
        "timeout",
        "allow_redirects",
        "proxies",
        "hooks",
        "stream",
        "verify",
        "cert",
    ]
)


def decode_response(response: requests.Response) -> Any:
    """Return the JSON value of a response read as a whole, or None where its body is not JSON."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


def validate_or_raise_error(status_code: int, response: Any, *, reason: str = "") -> None:
    """Return for a 2xx status; raise the server's error for any other.

    Args:
        status_code: The HTTP status.
        response: The decoded body. An object's ``code``, ``msg`` and ``cid`` make the error; without them it is
            made of the status.
        reason: The HTTP reason phrase.

    Raises:
        TokenError: The server's code is 5.
        ModelManagerError: Any other.
    """
    if not is_success(status_code):
        raise _made_of(status_code, response, reason)


def is_success(status_code: int) -> bool:
    """Return whether an HTTP status says that the request was done: 2xx."""
    return 200 <= status_code < 300  # noqa: PLR2004 - the range of HTTP's successes


def _made_of(status: int, body: Any, reason: str) -> ModelManagerError:
    told = body if isinstance(body, dict) else {}
    code = told.get("code")
    if isinstance(code, str) and code.isascii() and code[:9].isdigit():
        code = int(code[:9])
    code = code if isinstance(code, int) and code else status
    msg = printable(str(told.get("msg") or ""), 500) or f"HTTP {status} {printable(reason, 60)}".rstrip()
    kind = ModelManagerError
    if status in _NOT_OFFERED:
        kind = EndpointNotFound
    elif status == _UNKNOWN_ENGINE_STATUS and "No enum constant" in msg:
        kind = UnknownEngine
    error = kind.from_code(code, msg)
    error.status = status
    error.cid = printable(str(told.get("cid") or ""), 100)
    return error


class Api:
    """Sends requests with one authentication over one pool of connections. Safe in threads.

    ``api.get(url)``, ``api.post(url, json=…)`` and so on return the decoded answer; keywords are those of
    ``requests.request`` and win over those given here.

    Args:
        auth: The authentication, or None.
        pool_size: How many idle connections are kept.
        retry: When requests are repeated.
        kwargs: Keywords of ``requests.request`` for every request; ``timeout`` is 30 s where it is not given.

    Raises:
        TypeError: A keyword is not one of requests'.

    Attributes:
        auth: The authentication.
        timeout: Seconds, or a pair of (connect, read) seconds.
        request_options: The other keywords.
        retry: When requests are repeated.
        hints: What to tell the reader of an error, by HTTP status.
        transport: What carries the requests.
    """

    def __init__(
        self, auth: AuthCallable | None = None, *, pool_size: int = 32, retry: RetryPolicy | None = None, **kwargs: Any
    ) -> None:
        _check_options(kwargs)
        self.auth = auth
        self.timeout = kwargs.pop("timeout", None) or _DEFAULT_TIMEOUT
        self.request_options = kwargs
        self.retry = retry or RetryPolicy()
        self.hints = {
            401: "check the token and the authentication type",
            403: "check the token and the authentication type",
        }
        self.transport = Transport(pool_size)

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
            endpoint: Where to.
            method: The HTTP method, in any case.
            form: A file to send as the body.
            kwargs: Keywords of ``requests.request`` for this request.

        Raises:
            ModelManagerError: The way failed, or the answer is an error.
        """
        _check_options(kwargs)
        response = self.transport.send(method, endpoint, self.build_request_options(**kwargs), form)
        if is_success(response.status_code):
            return response
        raise self._error(response)

    def _error(self, response: requests.Response) -> ModelManagerError:
        try:
            body: Any = json.loads(read_body(response, _MAX_ERROR))
        except (ValueError, RecursionError, ModelManagerError):
            body = None
        error = _made_of(response.status_code, body, response.reason or "")
        error.retry_after = self.retry.retry_after(response.headers.get("Retry-After"))
        error.hint = error.hint or self.hints.get(response.status_code, "")
        return error

    def build_request_options(self, **kwargs: Any) -> dict[str, Any]:
        """Return the keywords of a request: those given here over those of the object."""
        return {**self.request_options, "auth": self.auth, "timeout": self.timeout, **kwargs}

    def close(self) -> None:
        """Close idle connections. A later request opens new ones."""
        self.transport.close()


def _check_options(options: dict[str, Any]) -> None:
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise TypeError(f"{unknown[0]!r} is not a keyword of requests")


def read_answer(response: requests.Response, limit: int = _MAX_JSON) -> Any:
    """Return the JSON value of a success of at most ``limit`` bytes, or None where its body is empty.

    Raises:
        UnexpectedResponse: The body is not JSON.
        TransportError: It was cut short.
    """
    content = read_body(response, limit)
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise unexpected(response, "is not JSON") from None


def unexpected(response: requests.Response, what: str) -> UnexpectedResponse:
    """Return the error for a success whose body is not as agreed: ``what`` says how."""
    kind = printable(response.headers.get("Content-Type", "no content type"), 60)
    return UnexpectedResponse(
        msg=f"HTTP {response.status_code} with a body that {what} ({kind})",
        status=response.status_code,
        hint="check the address; a proxy or a login page may have answered in place of the server",
    )


def read_body(response: requests.Response, limit: int) -> bytes:
    """Return the decoded body, leaving the connection fit for the next request.

    Raises:
        UnexpectedResponse: It is longer than ``limit`` bytes.
        TransportError: It was cut short.
    """
    parts, size = [], 0
    with translated(response.url):
        for chunk in response.iter_content(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                response.close()
                raise UnexpectedResponse(msg=f"A body of more than {limit} bytes", status=response.status_code)
    return b"".join(parts)
