"""The environment of the templates: everything is escaped, and what is missing is an error."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

import jinja2

from mmsync.printable import printable
from mmsync.quantities import counted, human_bytes, human_seconds

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def render(template: str, **values: object) -> str:
    """Return a page made from one of the templates."""
    return _environment().get_template(template).render(values)


def render_self_contained(template: str, style: str, **values: object) -> str:
    """Return a page that has its style inside, and with it a policy that admits that style and nothing else.

    The template gets ``style``, which it marks as safe, and ``policy``; nothing from elsewhere may stand before its
    ``</style>``. The page is ASCII, and holds nothing that a CI runner takes for a command, so that whatever it is written
    to leaves it as it is.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    page = render(template, style=style, policy=policy, **values) + "\n"
    head, end, body = page.partition("</style>")
    body = body.replace("::", ":&#58;").replace("##", "#&#35;")
    return (head + end + body).encode("ascii", "xmlcharrefreplace").decode("ascii")


@cache
def stylesheet(name: str) -> str:
    """Return a style sheet, after what all have in common."""
    return (asset("look.css") + asset(name)).decode("utf-8")


def asset(name: str) -> bytes:
    """Return a file that pages refer to: a style, a script, a picture."""
    return files("mmsync.html").joinpath("assets", name).read_bytes()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mmsync.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "printable": printable,
        "visible": visible,
        "lines": lines,
        "size": human_bytes,
        "seconds": human_seconds,
        "counted": counted,
        "number": lambda value: f"{value:,}",
        "iso": lambda at: _utc(at).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "moment": lambda at: f"{_utc(at):%Y-%m-%d %H:%M}",
        "ago": ago,
    }
    return environment


def visible(name: str, limit: int = 300) -> str:
    """Return a name that can be seen: in quotes where it is empty or ends in white space."""
    shown = printable(name, limit)
    return shown if shown and shown == shown.strip() else f'"{shown}"'


def lines(text: str, limit: int) -> str:
    """Return a text of several lines that can be seen, at most about ``limit`` characters of it."""
    shown = [printable(line, len(line) * 6) for line in text[:limit].splitlines()]
    return "\n".join(shown) + ("\u2026" if len(text) > limit else "")


def ago(at: float, now: float) -> str:
    """Return how long ago something was, in words.

    >>> ago(100.0, 102.0), ago(100.0, 400.0), ago(100.0, 7400.0), ago(0.0, 200_000.0)
    ('just now', '5 min ago', '2 h ago', '2 days ago')
    """
    seconds = now - at
    if seconds < 10:  # noqa: PLR2004 - a page is a few seconds old by itself
        return "just now"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s ago"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min ago"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR:.0f} h ago"
    return f"{seconds // _DAY:.0f} days ago"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
