"""GitHub's REST API over HTTP: pages, retries and one token that goes nowhere else.

https://docs.github.com/rest
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from mmsync._version import __version__
from mmsync.errors import MmsyncError, SettingsError
from mmsync.printable import masked_url, printable

ACTIONS_BOT = "github-actions[bot]"
"""The author of what a job's own token writes."""

_ATTEMPTS = 4
_LONGEST_WAIT = 60.0  # seconds
_TIMEOUT = (10.0, 30.0)  # seconds to connect, and between bytes
_MOST_PAGES = 200
_MOST_BYTES = 64 * 2**20
_MOST_REDIRECTS = 3
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_TRANSIENT = (_TOO_MANY, 500, 502, 503, 504)


class GitHubError(MmsyncError):
    """GitHub refused a request, or could not be asked.

    Attributes:
        code: The HTTP status; 0 where there was no answer.
        is_forbidden: Whether the token may not do this: more than another attempt would be needed.
    """

    def __init__(self, message: str, code: int = 0, *, is_forbidden: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.is_forbidden = is_forbidden


class _Bearer(requests.auth.AuthBase):
    """Sends the token; as an auth of its own, so that no .netrc takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class GitHub:
    """GitHub's API at one address, asked with one token."""

    def __init__(self, address: str, token: str, *, sleep: Callable[[float], None], now: Callable[[], float]) -> None:
        """Raise `SettingsError` where the address is none that a token may go to.

        Args:
            address: Of the API, ``https://api.github.com``.
            token: The token.
            sleep: Waits so many seconds.
            now: The time, in seconds since 1970.
        """
        parts = urlsplit(address)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise SettingsError(
                f"GITHUB_API_URL {masked_url(address)} is not the https address of an API", "a runner sets it itself"
            )
        if not (token.isascii() and token.isprintable()):
            hint = "see that the workflow sets it to ${{ github.token }}, and to nothing more"
            raise SettingsError("GITHUB_TOKEN holds characters that a token cannot have", hint)
        self._base = address.rstrip("/")
        self._auth = _Bearer(token)
        self._sleep = sleep
        self._now = now
        self._session = requests.Session()
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": f"mmsync/{__version__}",
            }
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send one request and return what the answer holds; None where it holds nothing.

        A request that may be sent twice is retried; a ``POST`` only where GitHub has not taken it. Raises
        `GitHubError`.
        """
        return self._send(method, f"{self._base}{path}", body)[0]

    def pages(self, path: str) -> Iterator[Any]:
        """Yield the entries of a list, of one page after the other; raises `GitHubError`."""
        url: str | None = f"{self._base}{path}{'&' if '?' in path else '?'}per_page=100"
        for _ in range(_MOST_PAGES):
            if url is None:
                return
            entries, url = self._send("GET", url, None)
            if not isinstance(entries, list):
                raise GitHubError(f"GET {path}: the answer is not a list")
            yield from entries
        if url is not None:
            raise GitHubError(f"GET {path}: more than {_MOST_PAGES} pages")

    def login(self) -> str:
        """Return whom the token belongs to; a job's own token is told of no user, and is the Actions bot's."""
        try:
            found = self.call("GET", "/user")
        except GitHubError as error:
            if error.code in (_FORBIDDEN, _NOT_FOUND):
                return ACTIONS_BOT
            raise
        login = found.get("login") if isinstance(found, dict) else None
        if not isinstance(login, str) or not login:
            raise GitHubError("GET /user: the answer has no login")
        return login

    def _send(self, method: str, url: str, body: dict[str, Any] | None) -> tuple[Any, str | None]:
        """Return what the answer holds, and the address of the next page."""
        what = f"{method} {urlsplit(url).path}"
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._follow(method, url, body)
            except requests.RequestException as error:
                if attempt == _ATTEMPTS or method == "POST":
                    # Of the library's error only its kind: its text may quote anything.
                    raise GitHubError(f"{what}: no answer from GitHub ({type(error).__name__})") from error
                self._sleep(2.0 ** (attempt - 1))
                continue
            if answer.status_code < 400:  # noqa: PLR2004 - the first of the errors
                return _content(answer, what), self._next(answer)
            wait = self._wait(answer, attempt)
            limited = answer.status_code in (_FORBIDDEN, _TOO_MANY)
            if wait is None or attempt == _ATTEMPTS or (method == "POST" and not limited):
                raise _error(answer, what, is_limited=wait is not None)
            self._sleep(wait)
        raise AssertionError

    def _follow(self, method: str, url: str, body: dict[str, Any] | None) -> requests.Response:
        """Send a request, and follow redirects that stay at the same origin: a repository that was renamed."""
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._session.request(
                method, url, json=body, auth=self._auth, timeout=_TIMEOUT, allow_redirects=False, stream=True
            )
            if answer.status_code not in (301, 302, 307, 308):
                return answer
            answer.close()
            url = urljoin(url, answer.headers.get("Location", ""))
            if _origin(url) != _origin(self._base):
                raise GitHubError(f"{method} is redirected to another host, where the token does not go")
        raise GitHubError(f"{method} {urlsplit(url).path}: redirected too often")

    def _next(self, answer: requests.Response) -> str | None:
        url = answer.links.get("next", {}).get("url")
        if url is not None and _origin(url) != _origin(self._base):
            raise GitHubError("the next page is at another host, where the token does not go")
        return url

    def _wait(self, answer: requests.Response, attempt: int) -> float | None:
        """Return how many seconds to wait before another attempt; None where that would not help."""
        given = answer.headers.get("Retry-After", "")
        if re.fullmatch(r"\d{1,6}", given) and answer.status_code in (_FORBIDDEN, *_TRANSIENT):
            wait = float(given)
        elif answer.headers.get("X-RateLimit-Remaining") == "0" and answer.status_code in (_FORBIDDEN, _TOO_MANY):
            reset = answer.headers.get("X-RateLimit-Reset", "")
            wait = max(float(reset) - self._now(), 0.0) + 1 if re.fullmatch(r"\d{1,12}", reset) else _LONGEST_WAIT
        elif answer.status_code in _TRANSIENT:
            wait = 2.0 ** (attempt - 1)
        else:
            return None
        return wait if wait <= _LONGEST_WAIT else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _read(answer: requests.Response) -> bytes:
    content = b""
    try:
        for chunk in answer.iter_content(2**16):
            content += chunk
            if len(content) > _MOST_BYTES:
                raise GitHubError("an answer of GitHub is longer than any it gives")
    except requests.RequestException as error:
        raise GitHubError(f"an answer of GitHub broke off ({type(error).__name__})") from error
    finally:
        answer.close()
    return content


def _content(answer: requests.Response, what: str) -> Any:
    content = _read(answer)
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise GitHubError(f"{what}: the answer is not JSON") from error


def _error(answer: requests.Response, what: str, *, is_limited: bool) -> GitHubError:
    try:
        found = _content(answer, what)
    except GitHubError:
        found = None
    message = printable(str(found.get("message", "")), 200) if isinstance(found, dict) else ""
    status = answer.status_code
    forbidden = status in (_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND) and not is_limited
    return GitHubError(
        f"{what}: HTTP {status}{f', {message}' if message else ''}",
        status,
        is_forbidden=forbidden and answer.headers.get("X-RateLimit-Remaining") != "0",
    )
