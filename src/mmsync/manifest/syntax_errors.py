"""Errors of the parser, said in words that name what is wrong with the text and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmsync.manifest.indentation import Misaligned, colon_out_of_place, out_of_line, without_colon
from mmsync.manifest.yaml_loader import TOO_DEEP, Page, Unreadable, end_of, lines_of
from mmsync.types import Source

if TYPE_CHECKING:
    from yaml import Mark, YAMLError

# What YAML 1.1 lets a file hold (section 5.1, "c-printable").
_NOT_PRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"

# (words of the parser, at the place where the construct began?, summary, hint); the first that fits is taken.
# The words are those of libyaml and, where it differs, of the parser in Python.
_WORDS = (
    ("mapping values are not allowed", False, "a `:` where none can be", 'put text that holds ": " in quotes'),
    ("sequence entries are not allowed", False, "a list item where none can be", "start the list on its own line"),
    ("undefined alias", False, "an alias without its anchor", 'quote text that starts with "*"'),
    ("alphabetic or numeric character", False, "`*` or `&` without a name", 'quote text that starts with "*" or "&"'),
    ("duplicate anchor", False, "an anchor that is there already", "give it another name"),
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


def explained(page: Page, error: YAMLError, text: str) -> Unreadable:
    """Return what ``error`` says of ``text``, with its place."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        found = re.search(_NOT_PRINTABLE, text)  # compiled only for a text in error: that takes 6 ms
        if found is None:
            return Unreadable(None, "syntax", "not YAML", "check the file")
        summary, hint = f"a control character, U+{ord(found[0]):04X}", "remove it; is the file text at all?"
        return Unreadable(end_of(page, text[: found.start()]), "control-character", summary, hint)
    words = str(getattr(error, "problem", None) or "")
    source = _source(page, text, mark)
    if "another document" in words:
        hint = "one file holds one manifest: remove `---`"
        return Unreadable(source, "several-documents", "a second YAML document", hint)
    if "nesting depth" in words:  # PyYAML 6.0.4's own limit, met while it looks ahead of ours
        return Unreadable(source, *TOO_DEEP)
    begun_at = getattr(error, "context_mark", None) or mark
    if (odd := _odd_space(lines_of(text), {mark.line, mark.line - 1, begun_at.line})) is not None:
        return Unreadable(page.at(odd[0], odd[1]), *odd_space(odd[2]))
    if "cannot start any token" in words:
        lines = lines_of(text)
        character = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
        if character == "\t":
            return Unreadable(source, *odd_space(character))
        shown = f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
        return Unreadable(source, "syntax", f"a text cannot start with {shown}", "put it in quotes")
    if misaligned := _misaligned(words, lines_of(text), mark, begun_at):
        return Unreadable(page.at(misaligned.line, misaligned.column), "syntax", misaligned.summary, misaligned.hint)
    summary, hint, is_begun = _worded(words)
    if "undefined alias" in words:
        hint = _alias_hint(lines_of(text)[mark.line], mark.column) or hint
    return Unreadable(_source(page, text, begun_at) if is_begun else source, "syntax", summary, hint)


def _alias_hint(line: str, column: int) -> str:
    """Return what to do about an alias whose anchor is missing; empty where it seems to be none."""
    found = re.compile(r"\*([\w-]{1,60})(?=[\s,\]}]|$)").match(line, column)
    if found is None:
        return ""
    if line[:column].rstrip(" [").endswith("<<:"):
        return f"define `&{found[1]}` above it first"
    return f'quote text that starts with "*", or define `&{found[1]}` above it first'


def _worded(words: str) -> tuple[str, str, bool]:
    """Return summary and hint for the parser's words, and whether the place is that where the construct began."""
    for fragment, at_start, summary, hint in _WORDS:
        if fragment in words:
            return summary, hint, at_start
    return re.sub(r"\s*'.*|\W+$", "", words) or "not YAML", "check indentation, quotes and brackets", False


def _misaligned(words: str, lines: list[str], mark: Mark, begun_at: Mark) -> Misaligned | None:
    """Return the line whose indentation, `:` or `-` is why the parser stopped; None where that cannot be told."""
    if mark.line < len(lines) and "mapping values are not allowed" in words:
        return colon_out_of_place(lines, mark.line, mark.column)
    if "could not find expected ':'" in words:
        return without_colon(lines, begun_at.line)
    if any(fragment in words for fragment in ("expected key", "block end>", "'-' indicator", "<document start")):
        return out_of_line(lines, mark.line, mark.column)
    return None


# Spaces that look like one and are none to YAML, and where they are no part of a text: before it.
ODD_SPACES = "\t\xa0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff"
_ODD_SPACE = re.compile(rf"(?:[ -]*|[^'\"#]*?\w:)([{ODD_SPACES}])[ {ODD_SPACES}]*[^\s#]")


def _odd_space(lines: list[str], numbers: set[int]) -> tuple[int, int, str] | None:
    """Return the first space in these lines that is none to YAML: its line and column, from 0, and itself."""
    for number in sorted(numbers):
        found = _ODD_SPACE.match(lines[number]) if 0 <= number < len(lines) else None
        if found:
            return number, found.start(1), found[1]
    return None


def odd_space(character: str) -> tuple[str, str, str]:
    """Return code, summary and hint for a space that is none to YAML."""
    if character == "\t":
        return "tab", "a tab where YAML allows only spaces", "indent with spaces"
    return "syntax", f"{space_name(character)}, where YAML allows only plain spaces", "replace it with spaces"


def space_name(character: str) -> str:
    """Return what a space that is not U+0020 is called, with its code point."""
    name = "a no-break space" if character == "\xa0" else "a space of another kind"
    return f"{name}, U+{ord(character):04X}"


def _source(page: Page, text: str, mark: Mark) -> Source:
    line, column = mark.line, mark.column
    # The parser may point behind the last line end: say the end of the last line that there is.
    lines = lines_of(text)
    if line >= len(lines) - 1:
        while len(lines) > 1 and not lines[-1]:
            lines.pop()
        if line >= len(lines):
            line, column = len(lines) - 1, len(lines[-1])
    return page.at(line, min(column, len(lines[line])))
