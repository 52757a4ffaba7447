"""One entry as text, in the style of the entries it comes to stand behind."""

from __future__ import annotations

import json
from typing import NamedTuple

from mmsync.manifest.writer import Entry, prose, quoted, scalar

_KEYS = ("name", "engine", "file", "description", "sha256")
_NOT_INSPECTED = ("inspect", "false")


class Style(NamedTuple):
    """The way an entry is written; the defaults are those of a manifest that mmsync writes."""

    indent: int = 2  # of the dash
    key_indent: int = 4  # of the keys
    gap: int = 1  # spaces behind the dash
    is_alone: bool = False  # whether the dash has a line of its own
    aligned: int = 0  # from a key to its value, where all values begin in one column; 0 where they do not
    order: tuple[str, ...] = ()  # the keys as they follow each other
    quote: str = ""  # what names and files are quoted in
    is_flow: bool = False  # whether it is in braces
    is_json: bool = False  # whether its keys are quoted as well
    padding: str = ""  # between the braces and what is in them, where it is on one line
    margin: str = ""  # what the line begins with that it begins on
    inner_margin: str | None = None  # what the lines of its keys begin with; None where it is on one line


def block_entry(entry: Entry, style: Style) -> str:
    """Return the lines of an item of a block list, each with its end."""
    margin = " " * style.indent
    if style.is_flow:
        return f"{margin}-{' ' * style.gap}{flow_entry(entry, style)}\n"
    indent = style.key_indent
    between = "\n" + " " * indent if style.is_alone else " " * (indent - style.indent - 1)
    # A text of several lines stands in by as much below its key as the keys do below the dash.
    deeper = " " * (indent + max(indent - style.indent, 1))
    lines = []
    for key, value in _pairs(entry, style.order):
        text = prose(value, deeper) if key == "description" else _value(key, value, style.quote)
        lines.append(f"{key}:".ljust(max(style.aligned, len(key) + 2)) + text)
    return f"{margin}-{between}" + ("\n" + " " * indent).join(lines) + "\n"


def flow_entry(entry: Entry, style: Style) -> str:
    """Return a mapping in braces, over several lines where its style is; without a line end behind it."""
    pairs = _pairs(entry, style.order)
    if style.is_json:
        parts = [f'"{key}": {_json_value(key, value)}' for key, value in pairs]
    else:
        parts = [f"{key}: {_flow_value(key, value, style.quote)}" for key, value in pairs]
    if style.inner_margin is None:
        return "{" + style.padding + ", ".join(parts) + style.padding + "}"
    inner = style.inner_margin
    return "{\n" + inner + f",\n{inner}".join(parts) + f"\n{style.margin}}}"


def _pairs(entry: Entry, order: tuple[str, ...]) -> list[tuple[str, str]]:
    found = [(key, value) for key in _KEYS if (value := getattr(entry, key)) is not None]
    found += [] if entry.inspect else [_NOT_INSPECTED]
    # As the others have them; what none of them has, behind.
    return sorted(found, key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))


def _value(key: str, value: str, quote: str) -> str:
    if (key, value) == _NOT_INSPECTED:
        return value
    if key == "sha256":
        return quoted(value)  # all digits would be a number
    if key in ("name", "file"):
        if quote == '"':
            return quoted(value)
        if quote == "'" and value.isprintable() and value.isascii():
            return "'" + value.replace("'", "''") + "'"
    return scalar(value)


def _json_value(key: str, value: str) -> str:
    return value if (key, value) == _NOT_INSPECTED else json.dumps(value, ensure_ascii=False)


def _flow_value(key: str, value: str, quote: str) -> str:
    # What ends a plain text in braces does not elsewhere.
    text = _value(key, value, quote)
    return quoted(value) if text == value and any(sign in value for sign in ",?") else text
