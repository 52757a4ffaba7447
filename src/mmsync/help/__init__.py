"""The pages of ``mmsync help``: Markdown in the package, found by topic, and the entries of the page of codes."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib.resources import files
from typing import NamedTuple

TOPICS = {
    "install": "Install mmsync for your own work.",
    "connecting": "How a server, its token, certificates and proxies reach mmsync.",
    "manifest": "models.yaml, key by key.",
    "environments": "One manifest, several servers; promotion; shards.",
    "plans": "Plan, save, review, apply; deleting, and what guards it.",
    "watch": "Run the watcher for good.",
    "ci": "Plans by pull request: workflows, options, permissions.",
    "client": "Call a server from Python.",
    "troubleshooting": "What one sees, why, and what to do.",
    "formats": "The JSON documents and lines that programs read.",
    "exit-codes": "What the exit status says.",
    "diagnostics": "Every code: what it means, and what to do.",
}
"""Each topic with the line that lists it, in the order to read them in."""

_ENTRY = re.compile(r"^### `([^`]+)`\n", re.MULTILINE)
_NEAR = 3


class Entry(NamedTuple):
    """The entry of one code, as Markdown."""

    code: str
    text: str


def page(topic: str) -> str:
    """Return the page of a topic of `TOPICS`, as Markdown."""
    return files(__name__).joinpath(f"{topic}.md").read_text("utf-8")


def without_comments(text: str) -> str:
    """Return Markdown without comments, which speak to tests."""
    return re.sub(r"^<!-- .* -->\n", "", text, flags=re.MULTILINE)


def entries() -> tuple[Entry, ...]:
    """Return every entry of the page of codes, in its order."""
    # Before the first section an example shows an entry. One ends where the next begins, or the next section.
    _, *parts = _ENTRY.split(page("diagnostics").partition("\n## ")[2])
    return tuple(
        Entry(code, f"### `{code}`\n{re.split('^## ', text, maxsplit=1, flags=re.MULTILINE)[0].rstrip()}\n")
        for code, text in zip(parts[::2], parts[1::2], strict=True)
    )


def find_entries(code: str) -> tuple[Entry, ...]:
    """Return the entry of a code; for one without its room's name, all that end so."""
    wanted, known = code.strip().lower(), entries()
    exact = tuple(entry for entry in known if entry.code == wanted)
    return exact or tuple(entry for entry in known if entry.code.partition("/")[2] == wanted)


def near_codes(code: str) -> list[str]:
    """Return the codes that ``code`` was probably meant to be, the nearest first; the room's name may be missing."""
    known = [entry.code for entry in entries()]
    wanted = code.strip().lower()
    found = get_close_matches(wanted, known, _NEAR)
    by_suffix = {each.partition("/")[2]: each for each in known}
    found += [by_suffix[each] for each in get_close_matches(wanted.rpartition("/")[2], by_suffix, _NEAR)]
    return list(dict.fromkeys(found))[:_NEAR]
