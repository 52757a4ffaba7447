"""The lines that diagnostics point into, from the text that was read; never one that may hold a secret.

A manifest is no place for secrets, which is why they are found where one is wrong: a token under ``server``, an address
with a password, another file named with ``-f``. A line that could be any of those is left out, and a diagnostic without
its line still says what is wrong and where.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from mmsync.manifest.nodes import SECRET_KEY
from mmsync.types import Diagnostic, Excerpt, Source

MOST_EXCERPTS = 100
"""Diagnostics of one reading that get their line: nobody reads more, and ten thousand would take long to look through."""

_AROUND = 400  # characters kept before and behind the place: more than a terminal shows on a line
_LINES_ABOVE = 1_000  # lines that are looked through for what a line stands under, before its section's key is taken
_LINE_END = re.compile("\r\n|[\r\n]")

# Where none of the keys is, it is another file: a token's, a profile's, an environment's.
_IS_MANIFEST = re.compile(r"""^[ {]*["']?(?:version|scope|defaults|models|discover)["']?[ ]*:""", re.MULTILINE)

# Whatever stands under it is not repeated by the messages either.
_SERVER = re.compile(r"""\s*["']?server\b""")
_KEY = re.compile(r"""[\s-]*["']?[A-Za-z][A-Za-z _-]{0,24}["']?\s*:(?=\s|\Z)""")
_HARMLESS = re.compile(r"\s*(?:[0-9]{1,3}|true|false|[|>\[{])?\s*\Z")

# An address, suspicious with a user, a query or a fragment; the beginnings of well-known tokens; a word as long as one.
_ADDRESS = re.compile(r"://\S*")
_TOKEN = re.compile(
    r"eyJ[\w-]{8}|\bgh[a-z]_\w{8}|\bgithub_pat_|\bglpat-|\bxox[a-z]-|\bAKIA[0-9A-Z]{8}|\bsk-\w{8}|-----BEGIN"
)
_LONG_WORD = re.compile(r"[A-Za-z0-9+=]{20,}")
_LONGEST = 30_000  # characters of a line that are looked through; a longer one is not shown
_DEEPEST = 200  # columns of indentation that are told apart


def with_excerpts(found: Sequence[Diagnostic], pages: Mapping[str, tuple[str, Container[Source]]]) -> list[Diagnostic]:
    """Return the diagnostics, the first of them with their lines.

    ``pages`` has, by the file, its text and the places of which no more than a key may be shown.
    """
    lines: dict[str, _Lines] = {}
    made = list(found)
    for index, diagnostic in enumerate(made[:MOST_EXCERPTS]):
        source = diagnostic.source
        text, private = pages.get(source.file, ("", ())) if source else ("", ())
        if source is None or not text or diagnostic.code == "manifest/secret":
            continue
        if source.file not in lines:
            found_lines = _LINE_END.split(text) if _IS_MANIFEST.search(text) else []
            sections = [number for number, line in enumerate(found_lines) if line and line[0] not in " \t-#"]
            lines[source.file] = _Lines(found_lines, sections, {})
        if excerpt := _excerpt(lines[source.file], source, is_private=source in private):
            made[index] = replace(diagnostic, excerpt=excerpt)
    return made


class _Lines(NamedTuple):
    lines: list[str]
    sections: list[int]  # the indices of those that begin a section of the manifest, ascending
    known: dict[int, bool]  # by the index, whether a line is suspicious; ten thousand stand under the same

    def is_suspicious(self, number: int) -> bool:
        if number not in self.known:
            self.known[number] = _is_suspicious(self.lines[number])
        return self.known[number]


def _excerpt(found: _Lines, source: Source, *, is_private: bool) -> Excerpt | None:
    if source.line > len(found.lines) or _may_hold_secret(found, source.line - 1):
        return None
    line, caret = found.lines[source.line - 1], source.column - 1
    if is_private:
        key = _KEY.match(line)
        if key is None or caret >= key.end():
            return None
        line = line if _HARMLESS.match(line, key.end()) else f"{key[0]} …"
    if not line.strip():
        return None
    caret = min(caret, len(line))
    begin, end = max(caret - _AROUND, 0), caret + _AROUND
    return Excerpt(line[begin:end], caret - begin, begin == 0, end >= len(line))


def _may_hold_secret(found: _Lines, number: int) -> bool:
    """Tell whether a line, one that it stands under, or one that it may go on from looks like it is about a secret."""
    lines, line = found.lines, found.lines[number]
    if found.is_suspicious(number):
        return True
    depth, is_continued = _depth(line), not _KEY.match(line)
    for above in range(number - 1, max(number - 1 - _LINES_ABOVE, -1), -1):
        if not depth and not is_continued:
            return False
        other = lines[above]
        if not other.strip():
            continue
        if _depth(other) < depth or is_continued:
            if found.is_suspicious(above):
                return True
            depth = min(depth, _depth(other))
        is_continued = False
    section = bisect_left(found.sections, number) - 1
    return section >= 0 and found.is_suspicious(found.sections[section])


def _is_suspicious(line: str) -> bool:
    if len(line) > _LONGEST or SECRET_KEY.search(line) or _SERVER.match(line) or _TOKEN.search(line):
        return True
    if any(not {"@", "?", "#"}.isdisjoint(found[0]) for found in _ADDRESS.finditer(line)):
        return True
    words = (found[0] for found in _LONG_WORD.finditer(line))
    return "sha256" not in line and any(not word.isalpha() and not word.isdecimal() for word in words)


def _depth(line: str) -> int:
    """Return how deep a line stands; an item of a list is deeper than a key in the same column."""
    rest = line[:_DEEPEST].lstrip(" ")
    return 2 * (min(len(line), _DEEPEST) - len(rest)) + rest.startswith("-")
