"""The places of the parts of a manifest's text: the parser's events and marks, and what is asked of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mmsync.manifest.surrogates import with_stand_ins
from mmsync.manifest.yaml_loader import loader_class

if TYPE_CHECKING:
    from yaml import Mark

# Where the parser ends a line; its marks count lines so.
BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_USUAL_INDENT = 2
ROOT = 2
"""The event of the document's root: behind the starts of the stream and of the document."""


class Span(NamedTuple):
    """A node among the events of the parser: its first, and the one behind its last."""

    start: int
    end: int


class Layout:
    """A text, which the parser can read, with its events."""

    def __init__(self, text: str) -> None:
        self.text = text
        breaks = [match.span() for match in BREAK.finditer(text)]
        self._starts = [0, *(end for _, end in breaks)]
        self._ends = [*(start for start, _ in breaks), len(text)]
        found = [text[start:end] for start, end in breaks]
        # The one that prevails.
        self.newline = max(sorted(set(found)), key=found.count) if found else "\n"
        self.events = list(_read(text, "event"))
        self._dashes = [self.at(token.start_mark) for token in _read(text, "token") if kind(token) == "BlockEntryToken"]

    def at(self, mark: Mark) -> int:
        """Return the place in the text that a mark means."""
        if mark.line >= len(self._starts):
            return len(self.text)  # the parser ends the last line where the text does not
        return min(self._starts[mark.line] + mark.column, len(self.text))

    def start(self, span: Span) -> int:
        """Return where a node begins, with its anchor and tag."""
        return self.at(self.events[span.start].start_mark)

    def line(self, place: int) -> tuple[int, int, int]:
        """Return where the line of a place begins, where it ends, and where the next one begins."""
        match = BREAK.search(self.text, place)
        start = max(self.text.rfind(sign, 0, place) for sign in "\r\n\x85\u2028\u2029") + 1
        return (start, *(match.span() if match else (len(self.text), len(self.text))))

    def margin(self, place: int) -> str:
        """Return the spaces and tabs that the line of a place begins with."""
        start, end, _ = self.line(place)
        return self.text[start : end - len(self.text[start:end].lstrip(" \t"))]

    def pairs(self, start: int) -> list[tuple[str, Span]]:
        """Return the keys that are text of the mapping that begins with the event ``start``, and their values."""
        found = []
        at = start + 1
        while kind(self.events[at]) != "MappingEndEvent":
            value = Span(self._behind(at), self._behind(self._behind(at)))
            if kind(self.events[at]) == "ScalarEvent":
                found.append((self.events[at].value, value))
            at = value.end
        return found

    def items(self, span: Span) -> list[Span]:
        """Return the items of a list."""
        found = []
        at = span.start + 1
        while at < span.end - 1:
            found.append(Span(at, self._behind(at)))
            at = found[-1].end
        return found

    def _behind(self, start: int) -> int:
        depth, at = 0, start
        while True:
            depth += kind(self.events[at]).endswith("StartEvent") - kind(self.events[at]).endswith("EndEvent")
            at += 1
            if depth == 0:
                return at

    def end(self, span: Span) -> int:
        """Return where the last of what is written of a node ends; of a block of text, a place in its last line."""
        for event in reversed(self.events[span.start : span.end]):
            start, end = self.at(event.start_mark), self.at(event.end_mark)
            if kind(event).endswith("EndEvent") and start == end:
                continue  # the end of a block is wherever the next thing begins
            if getattr(event, "style", None) not in ("|", ">"):
                return end
            header = self.text[start : self.line(start)[1]].partition("#")[0]
            # Empty lines behind a text that keeps them (`|+`) are part of it.
            return max(end - 1, 0) if "+" in header else len(self.text[:end].rstrip())
        return self.at(self.events[span.start].end_mark)

    def behind_comments(self, end: int, indent: int) -> int:
        """Return where the lines end that belong to what ends at ``end``: comments that stand in by ``indent``."""
        after = place = self.line(end)[2]
        while place < len(self.text):
            _, stop, behind = self.line(place)
            line = self.text[place:stop]
            if line.strip():
                if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) < max(indent, 1):
                    break
                after = behind
            place = behind
        return after

    def dash(self, item: Span) -> int:
        """Return the place of the dash of an item of a block list."""
        return max(dash for dash in self._dashes if dash <= self.start(item))

    def usual_indent(self) -> int:
        """Return by how much the items of the first block list stand in."""
        for dash in self._dashes:
            start = self.line(dash)[0]
            if not self.text[start:dash].strip(" "):
                return dash - start
        return _USUAL_INDENT

    def has_blank_lines(self) -> bool:
        """Return whether any line is empty, but for those at the end."""
        lines = [self.text[start:end] for start, end in zip(self._starts, self._ends, strict=True)]
        return any(not line.strip() for line in "\n".join(lines).rstrip().split("\n"))


def kind(event: object) -> str:
    """Return what an event or token of the parser is, by the name of its class."""
    return type(event).__name__


def _read(text: str, what: str) -> Any:
    loader = loader_class()(with_stand_ins(text.encode()))
    check, get = getattr(loader, f"check_{what}"), getattr(loader, f"get_{what}")
    while check():
        yield get()
