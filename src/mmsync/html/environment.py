"""The environment of the templates: everything is escaped, and what is missing is an error."""

from __future__ import annotations

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
