"""One living comment on a pull request, and one open issue for drift: found by header and author, written in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mmsync.ci.decisions import may_write
from mmsync.ci.github_api import GitHub, GitHubError
from mmsync.ci.header import Header, read_header

Compose = Callable[["Text | None"], str]


class Text(NamedTuple):
    """A comment, or an issue, of ours.

    ``number`` is the comment's id or the issue's number.
    """

    number: int
    url: str
    header: Header
    body: str


class Written(NamedTuple):
    """The outcome of writing: ``url`` of what is there, and whether it is ours that is there now."""

    url: str
    is_mine: bool


def find_comment(api: GitHub, repository: str, pull_request: int, key: str, author: str) -> Text | None:
    """Return our comment with this key, the oldest of several, or None; raises `GitHubError`.

    Only what ``author`` wrote is ours: anybody may write a comment that begins as ours do.
    """
    found = _comments(api, repository, pull_request, key)
    return next((text for text, login in found if login.lower() == author.lower()), None)


def _comments(api: GitHub, repository: str, pull_request: int, key: str) -> list[tuple[Text, str]]:
    entries = api.pages(f"/repos/{repository}/issues/{pull_request}/comments")
    return [found for entry in entries if (found := _text(entry, "id", key)) is not None]


def _text(entry: Any, number: str, key: str) -> tuple[Text, str] | None:
    """Return an entry of a list as a text with our key, and who wrote it."""
    if not isinstance(entry, dict) or not isinstance(entry.get(number), int):
        return None
    header = read_header(entry.get("body"))
    login = (entry.get("user") or {}).get("login")
    if header is None or header.key != key or not isinstance(login, str):
        return None
    body = str(entry["body"]).replace("\r\n", "\n")
    return Text(entry[number], str(entry.get("html_url") or ""), header, body), login


def write_comment(
    api: GitHub, repository: str, pull_request: int, mine: Header, compose: Compose, *, author: str, head: str = ""
) -> Written:
    """Put a comment in the place of ours with the same key, or make the first; raises `GitHubError`.

    Args:
        api: GitHub.
        repository: ``owner/name``.
        pull_request: Its number.
        mine: What the header will say of key, state, commit, run and attempt.
        compose: Returns the body, given the comment that is there or None.
        author: Whose comments are ours.
        head: The head of the pull request as it is now, or "".
    """
    there = find_comment(api, repository, pull_request, mine.key, author)
    if there is None:
        made = api.call("POST", f"/repos/{repository}/issues/{pull_request}/comments", {"body": compose(None)})
        number, url, login = _made(made, "id")
        # Another run may have made one at the same moment, and an app's token does not tell beforehand who it is.
        others = [text for text, by in _comments(api, repository, pull_request, mine.key) if by == login]
        oldest = min(others, key=lambda text: text.number, default=None)
        if oldest is None or oldest.number >= number:
            return Written(url, is_mine=True)
        api.call("DELETE", f"/repos/{repository}/issues/comments/{number}")
        there = oldest
    if not may_write(there.header, mine, head):
        return Written(there.url, is_mine=False)
    place = f"/repos/{repository}/issues/comments/{there.number}"
    body = compose(there)
    api.call("PATCH", place, {"body": body})
    # An older run may have read before this wrote, and written after it: GitHub has no conditional write.
    now = read_header((api.call("GET", place) or {}).get("body"))
    if now is not None and now != read_header(body):
        if not may_write(now, mine, head):
            return Written(there.url, is_mine=False)
        api.call("PATCH", place, {"body": body})
    return Written(there.url, is_mine=True)


def _made(answer: Any, number: str) -> tuple[int, str, str]:
    login = (answer.get("user") or {}).get("login") if isinstance(answer, dict) else None
    if not isinstance(login, str) or not isinstance(answer.get(number), int):
        raise GitHubError("what was made is not told of in GitHub's answer")
    return answer[number], str(answer.get("html_url") or ""), login


def find_issue(api: GitHub, repository: str, key: str, author: str) -> Text | None:
    """Return our open issue with this key, the oldest of several, or None; raises `GitHubError`."""
    for entry in api.pages(f"/repos/{repository}/issues?state=open&sort=created&direction=asc"):
        found = None if isinstance(entry, dict) and entry.get("pull_request") else _text(entry, "number", key)
        if found is not None and found[1].lower() == author.lower():
            return found[0]
    return None


def write_issue(api: GitHub, repository: str, there: Text | None, title: str, body: str) -> str:
    """Edit our open issue, or open one; return its address. Raises `GitHubError`."""
    if there is not None:
        api.call("PATCH", f"/repos/{repository}/issues/{there.number}", {"body": body})
        return there.url
    made = api.call("POST", f"/repos/{repository}/issues", {"title": title, "body": body})
    return str(made.get("html_url") or "") if isinstance(made, dict) else ""


def close_issue(api: GitHub, repository: str, there: Text, comment: str) -> None:
    """Say in a comment why, and close our issue; raises `GitHubError`."""
    api.call("POST", f"/repos/{repository}/issues/{there.number}/comments", {"body": comment})
    api.call("PATCH", f"/repos/{repository}/issues/{there.number}", {"state": "closed", "state_reason": "completed"})
