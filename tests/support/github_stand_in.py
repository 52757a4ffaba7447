"""Stands in for GitHub's REST API on loopback: comments with pages, pull requests, issues; keeps what it was sent.

It answers with the fields that GitHub documents and this program reads, and as it does to a token of a job: ``/user`` is
403 unless ``users`` knows the token.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

JOB_TOKEN = "token-of-the-job"
BOT = "github-actions[bot]"
REPOSITORY = "acme/models"


class GitHubStandIn:
    """One repository. ``page_size`` caps what a client asks for; ``fail`` answers the next requests with a status."""

    def __init__(self) -> None:
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.pulls: dict[int, dict[str, Any]] = {}
        self.commits: dict[str, list[int]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.users: dict[str, str] = {}
        self.bots: dict[str, str] = {JOB_TOKEN: BOT}
        self.requests: list[tuple[str, str, str]] = []
        self.failures: list[tuple[re.Pattern[str], int, dict[str, str], int]] = []
        self.page_size = 100
        self.before_write = lambda: None
        self._next = 1000
        self._lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def fail(self, what: str, status: int, *, times: int = 1, **headers: str) -> None:
        """Answer the next requests whose ``METHOD path`` matches with this status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failures.append((re.compile(what), status, named, times))

    def pull(
        self, number: int, head: str, *, merge: str = "", labels: tuple[str, ...] = (), base: str = "main"
    ) -> None:
        """Make, or change, a pull request; one with a ``merge`` commit is merged by it."""
        self.pulls[number] = {
            "number": number,
            "head": {"sha": head, "repo": {"full_name": REPOSITORY}},
            "base": {"ref": base},
            "merged_at": "2026-01-01T00:00:00Z" if merge else None,
            "merge_commit_sha": merge or None,
            "labels": [{"name": label} for label in labels],
        }
        if merge and number not in self.commits.setdefault(merge, []):
            self.commits[merge].append(number)

    def comment(self, pull: int, body: str, login: str = BOT) -> dict[str, Any]:
        """Add a comment of anybody's."""
        with self._lock:
            self._next += 1
            made = {
                "id": self._next,
                "body": body,
                "user": {"login": login},
                "html_url": f"https://github.example/{REPOSITORY}/pull/{pull}#issuecomment-{self._next}",
            }
            self.comments.setdefault(pull, []).append(made)
            return made

    def bodies(self, pull: int, login: str = BOT) -> list[str]:
        """Return what somebody has written on a pull request."""
        return [each["body"] for each in self.comments.get(pull, []) if each["user"]["login"] == login]

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        """Answer a request."""
        with self._lock:
            self.requests.append((method, path, token))
            for index, (what, status, headers, times) in enumerate(self.failures):
                if what.match(f"{method} {path}"):
                    left = times - 1
                    self.failures[index : index + 1] = [(what, status, headers, left)] if left else []
                    return status, {"message": f"switched to {status}"}, headers
        if method in ("PATCH", "POST"):
            self.before_write()
        with self._lock:
            return self._route(method, path, self.users.get(token) or self.bots.get(token, ""), token, body)

    def _route(self, method: str, path: str, login: str, token: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(path)
        place = parts.path.removeprefix(f"/repos/{REPOSITORY}")
        if not login:
            return 401, {"message": "Bad credentials"}, {}
        if place == "/user":
            known = token in self.users
            return (200, {"login": login}, {}) if known else (403, {"message": "Resource not accessible"}, {})
        answer = self._comments(method, place, path, login, body) or self._issues(method, place, path, login, body)
        if answer is not None:
            return answer
        if found := re.fullmatch(r"/commits/([0-9a-f]+)/pulls", place):
            return self._page([self.pulls[number] for number in self.commits.get(found[1], [])], path)
        if (found := re.fullmatch(r"/pulls/(\d+)", place)) and int(found[1]) in self.pulls:
            return 200, self.pulls[int(found[1])], {}
        return 404, {"message": "Not Found"}, {}

    def _comments(self, method: str, place: str, path: str, login: str, body: Any) -> Any:
        if found := re.fullmatch(r"/issues/(\d+)/comments", place):
            number = int(found[1])
            if method == "GET":
                return self._page(self.comments.get(number, []), path)
            return 201, self.comment(number, body["body"], login), {}
        if found := re.fullmatch(r"/issues/comments/(\d+)", place):
            for kept in self.comments.values():
                for each in kept:
                    if each["id"] == int(found[1]):
                        if method == "DELETE":
                            kept.remove(each)
                            return 204, None, {}
                        each.update(body or {})
                        return 200, each, {}
        return None

    def _issues(self, method: str, place: str, path: str, login: str, body: Any) -> Any:
        if place == "/issues" and method == "GET":
            return self._page([each for each in self.issues.values() if each["state"] == "open"], path)
        if place == "/issues":
            self._next += 1
            url = f"https://github.example/{REPOSITORY}/issues/{self._next}"
            self.issues[self._next] = {
                "number": self._next,
                "state": "open",
                "user": {"login": login},
                "html_url": url,
                **body,
            }
            return 201, self.issues[self._next], {}
        if (found := re.fullmatch(r"/issues/(\d+)", place)) and int(found[1]) in self.issues:
            self.issues[int(found[1])].update(body)
            return 200, self.issues[int(found[1])], {}
        return None

    def _page(self, entries: list[Any], path: str) -> tuple[int, Any, dict[str, str]]:
        query = parse_qs(urlsplit(path).query)
        size = min(int(query.get("per_page", ["30"])[0]), self.page_size)
        number = int(query.get("page", ["1"])[0])
        headers = {}
        if number * size < len(entries):
            address = f"{self.url}{urlsplit(path).path}?per_page={size}"
            headers["Link"] = f'<{address}&page=1>; rel="first", <{address}&page={number + 1}>; rel="next"'
        return 200, entries[(number - 1) * size : number * size], headers


def _handler(github: GitHubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, content, headers = github.answer(self.command, self.path, token, body)
            text = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            pass

    return Handler
