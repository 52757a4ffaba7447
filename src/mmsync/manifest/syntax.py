"""What PyYAML says of broken text, in words for the people who write manifests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yaml import YAMLError

    from mmsync.manifest.page import Page
    from mmsync.states import Source

__all__ = ["TOO_DEEP", "end_of", "explain"]

TOO_DEEP = ("too-deep", "nested too deeply for a manifest", "models are a plain list of flat mappings")
"""Code, summary and way on of a document that is nested deeper than any manifest."""

# What YAML 1.1 lets a file hold (section 5.1, "c-printable").
_NOT_PRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"

# (words of the parser, at the place where the construct began?, summary, way on); the first that fits is taken.
# The words are those of libyaml and, where it differs, of the parser in Python.
_WORDS = (
    ("mapping values are not allowed", False, "a `:` where none can be", 'put text that holds ": " in quotes'),
    ("sequence entries are not allowed", False, "a list item where none can be", "start the list on its own line"),
    ("undefined alias", False, "an alias without its anchor", 'quote text that starts with "*"'),
    ("alphabetic or numeric character", False, "`*` or `&` without a name", 'quote text that starts with "*" or "&"'),
    ("duplicate anchor", False, "an anchor that is there already", "give it another name"),
    ("another document", False, "", ""),
    ("unexpected end of stream", True, "a quote that is never closed", "close it"),
    ("unexpected document indicator", True, "a quote that is never closed", "close it"),
    ("' or ']'", True, "a `[` that is never closed, or an item without a comma", "close it with `]`"),
    ("' or '}'", True, "a `{` that is never closed, or a pair without a comma", "close it with `}`"),
    ("escape char", False, "an unknown escape in a quoted text", "use '…' quotes, or double the backslash"),
    ("escape code", False, "an unknown escape in a quoted text", "use '…' quotes, or double the backslash"),
    ("node content", False, "a value is missing", "check brackets, commas and quotes"),
    ("could not find expected ':'", False, "a key without its `:`", "write `key: value`"),
    ("incompatible YAML document", False, "a %YAML directive for another version", "remove it"),
    ("tag handle", False, "an unknown tag", 'quote text that starts with "!"'),
    ("expected key", False, "not a key of the mapping above it", "line the keys up, and check quotes and brackets"),
    ("<block end>", False, "not a key of the mapping above it", "line the keys up, and check quotes and brackets"),
    ("'-' indicator", False, "not an item of the list above it", "line the items up, each with `- `"),
)


def explain(page: Page, error: YAMLError, text: str) -> None:
    """Note what ``error`` says of ``text`` as one fault with its place."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        _unprintable(page, text)
        return
    words = str(getattr(error, "problem", None) or "")
    if "another document" in words:
        source = _source(page, text, mark.line, mark.column)
        page.fault(source, "several-documents", "a second YAML document", "one file holds one manifest: remove `---`")
        return
    if "nesting depth" in words:  # PyYAML 6.0.4's own limit, met while it looks ahead of ours
        source = _source(page, text, mark.line, mark.column)
        page.fault(source, *TOO_DEEP)
        return
    if "cannot start any token" in words:
        _bad_start(page, text, mark.line, mark.column)
        return
    for fragment, at_start, summary, way_on in _WORDS:
        if fragment in words:
            begun = getattr(error, "context_mark", None)
            place = begun if at_start and begun is not None else mark
            page.fault(_source(page, text, place.line, place.column), "syntax", summary, way_on)
            return
    plain = re.sub(r"\s*'.*|\W+$", "", words) or "not YAML"
    page.fault(_source(page, text, mark.line, mark.column), "syntax", plain, "check indentation, quotes and brackets")


def _bad_start(page: Page, text: str, line: int, column: int) -> None:
    lines = _lines(text)
    character = lines[line][column : column + 1] if line < len(lines) else ""
    source = _source(page, text, line, column)
    if character == "\t":
        page.fault(source, "tab", "a tab where YAML allows only spaces", "indent with spaces")
    else:
        shown = f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
        page.fault(source, "syntax", f"a text cannot start with {shown}", "put it in quotes")


def _unprintable(page: Page, text: str) -> None:
    found = re.search(_NOT_PRINTABLE, text)  # compiled only for a text at fault: that takes 6 ms
    source = end_of(page, text[: found.start()] if found else "")
    if found is None:
        page.fault(source, "syntax", "not YAML", "check the file")
        return
    code = f"U+{ord(found[0]):04X}"
    page.fault(source, "control-character", f"a control character, {code}", "remove it; is the file text at all?")


def _source(page: Page, text: str, line: int, column: int) -> Source:
    # The parser may point behind the last line end: say the end of the last line that there is.
    lines = _lines(text)
    if line >= len(lines) - 1:
        while len(lines) > 1 and not lines[-1]:
            lines.pop()
        if line >= len(lines):
            line, column = len(lines) - 1, len(lines[-1])
    return page.at(line, min(column, len(lines[line])))


def end_of(page: Page, before: str) -> Source:
    """Return the place that the text ``before`` reaches to."""
    lines = _lines(before)
    return page.at(len(lines) - 1, len(lines[-1]))


def _lines(text: str) -> list[str]:
    """Return the lines as YAML 1.1 breaks them, without their ends; at least one."""
    return re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
