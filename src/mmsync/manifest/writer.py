"""From values to the text of a manifest that reads back as the same values.

By hand, not by PyYAML's emitter: it is two orders of magnitude faster, keeps the order of keys, and what it writes
is what a person would have written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mmsync.manifest.nodes import engine_error, name_error, unknown_engine

# What is text to YAML 1.1 and 1.2 without quotes, as long as it is none of the words below.
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_ ./,()'?!+%;&=-]*[A-Za-z0-9_./,()'?!+%;&=-])?", re.ASCII)
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"])
# Written as escapes: what YAML 1.1 does not let a file hold (section 5.1), takes for a line end, or shows as nothing.
_ESCAPED = re.compile(
    "[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLOCK_INDENT = "      "  # of a text of several lines, below an entry's keys


class Entry(NamedTuple):
    """One model to list; ``file`` is relative to the manifest.

    An engine of None leaves it to ``defaults``, a description of None leaves the server's alone.
    """

    name: str
    file: str
    engine: str | None = None
    description: str | None = None
    sha256: str | None = None
    as_it_is: bool = False  # whether it is to be sent whatever its signature, and whatever it looks like

    @property
    def inspect(self) -> bool:
        """The key ``inspect``: false for what is to be sent as it is, and for an engine that is not known of."""
        return not self.as_it_is and (self.engine is None or unknown_engine(self.engine) is None)


def unlistable(name: str, engine: str | None) -> str | None:
    """Return why no manifest can list such a model, or None where one can."""
    no_engine = ("the server does not say its engine", "")
    error = name_error(name) or (no_engine if engine is None else engine_error(engine))
    return error[0] if error else None


def manifest_text(
    entries: Iterable[Entry],
    *,
    heading: Sequence[str] = (),
    server: Mapping[str, str] | None = None,
    scope_hint: Sequence[str] = (),
    default_engine: str | None = None,
) -> str:
    """Return the manifest as text: ``heading`` as lines of comment, then ``entries`` in the order to list them.

    Names and engines that `unlistable` objects to are not read back. ``scope_hint`` are globs to suggest as the
    scope, in a comment: owning names allows deleting, which is for a person to decide.
    """
    parts = ["".join(f"{comment(line)}\n" for line in heading) + "version: 1\n"]
    if server:
        parts.append("server:\n" + "".join(f"  {key}: {scalar(value)}\n" for key, value in server.items()))
    if scope_hint:
        globs = ", ".join(quoted(glob) for glob in scope_hint)
        parts.append(
            "# The names this file owns. Without it nothing is ever deleted; with it, `--prune` deletes the models\n"
            "# on the server that match and are not listed here.\n" + comment(f"scope: [{globs}]") + "\n"
        )
    if default_engine:
        parts.append(f"defaults:\n  engine: {scalar(default_engine)}\n")
    listed = "\n".join(_entry(entry) for entry in entries)
    parts.append(f"models:\n{listed}" if listed else "models: []\n")
    return "\n".join(parts)


def comment(line: str) -> str:
    """Return a line as a comment, whatever it holds."""
    safe = _ESCAPED.sub(_escape, line)
    return f"# {safe}" if safe else "#"


def scalar(text: str) -> str:
    """Return ``text`` as one YAML scalar on one line, in quotes only where it needs them.

    Raises `ValueError` where it holds a lone surrogate, which no YAML can.
    """
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else quoted(text)


def quoted(text: str) -> str:
    """Return ``text`` in double quotes; raises what `scalar` does."""
    if _SURROGATE.search(text):
        raise ValueError("a lone surrogate cannot be written in YAML")
    # JSON's escapes are all YAML's as well (YAML 1.2, section 1.3); what is left over is what only YAML minds.
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - what two digits hold


def _entry(entry: Entry) -> str:
    lines = [f"  - name: {scalar(entry.name)}\n"]
    if entry.engine is not None:
        lines.append(f"    engine: {scalar(entry.engine)}\n")
    lines.append(f"    file: {scalar(entry.file)}\n")
    if entry.description is not None:
        lines.append(f"    description: {prose(entry.description, _BLOCK_INDENT)}\n")
    if entry.sha256 is not None:
        lines.append(f'    sha256: "{entry.sha256}"\n')  # all digits would be a number
    if entry.as_it_is:
        lines.append("    allow_signature_change: true\n")
    if not entry.inspect:
        lines.append("    inspect: false\n")
    return "".join(lines)


def prose(text: str, indent: str) -> str:
    """Return a text of several lines as a block below its key, where a block keeps it; anything else as one scalar."""
    body = text.removesuffix("\n")
    lines = body.split("\n")
    keeps = all(line == line.strip() and not _ESCAPED.search(line) for line in lines) and lines[0] and lines[-1]
    if len(lines) < 2 or not keeps:  # noqa: PLR2004 - two lines make a block
        return scalar(text)
    style = "|" if text.endswith("\n") else "|-"
    return style + "".join(f"\n{indent}{line}" if line else "\n" for line in lines)
