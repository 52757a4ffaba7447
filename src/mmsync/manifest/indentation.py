"""Lines of YAML that do not line up: which one it is, and with what it is to be lined up.

The parser names the place where it can go no further, which is often the line behind the one that is wrong. What is
above that place is read here once more, by its indentation alone; where that tells nothing, the parser's words stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mmsync.printable import printable

TOP_KEYS = ("version", "server", "scope", "defaults", "models", "discover")
"""The keys of a manifest itself, by which one that only seems to be a model's is told."""

_HARMLESS = ("version", "name", "engine", "file")  # keys whose values are no secrets

# What is read of a text in error: more lines than one model ever has, and more characters than a key.
_MOST_LINES = 2_000
_MOST_CHARACTERS = 2_000

_DASHES = r"(?:-(?: +|$))*"
_QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')"""
_BLOCK_SCALAR = r"[|>][-+0-9]*(?:\s+#.*)?$"
_CLOSING = {"[": "]", "{": "}", '"': '"', "'": "'"}


class Misaligned(NamedTuple):
    """A line that does not fit what is above or below it; line and column from 0."""

    line: int
    column: int
    summary: str
    hint: str


class _Line(NamedTuple):
    """A line by its parts; columns from 0."""

    number: int
    dashes: list[int]  # the columns of its `-`
    column: int  # where what is behind them begins
    key: str | None  # the key before its first `: `; None where there is none
    value: str  # what is behind that, or all of it

    @property
    def start(self) -> int:
        return self.dashes[0] if self.dashes else self.column


@dataclass
class _Block:
    """A mapping or an item that is still open where the parser stopped."""

    column: int
    is_item: bool
    lines: dict[str, int] = field(default_factory=dict)  # of the keys of a mapping, in order
    value: str = ""  # of the last key, or of the item
    first: int = 0  # the line it begins on
    is_only: bool = True  # whether no other item of the list is above it

    @property
    def key(self) -> str:
        """The last key."""
        return next(reversed(self.lines), "")

    def lined_up(self, *, first: bool = False) -> str:
        name, line = next(iter(self.lines.items() if first else reversed(self.lines.items())))
        return f"line it up with {_key_text(name)} (line {line + 1})"


def colon_out_of_place(lines: Sequence[str], number: int, column: int) -> Misaligned | None:
    """Explain a ``:`` where none can be; None where it stands within the value of its own line."""
    line = _parsed(number, lines[number])
    if line is None or line.key is None or not lines[number][column:].startswith(":"):
        return None
    if lines[number][line.column : column].strip() != line.key:
        return None
    blocks, above = _open_blocks(lines, number)
    if above is None:
        return None
    if above.key is None and (above.dashes or not _continues(blocks, above)):
        return without_colon(lines, above.number)
    if above.key and above.key.startswith("-"):
        return _without_space(above)
    return _further(blocks, line)


def without_colon(lines: Sequence[str], number: int) -> Misaligned | None:
    """Explain a line that should be ``key: value`` and has no ``: ``; None where it has one."""
    line = _parsed(number, lines[number]) if number < len(lines) else None
    if line is None or line.key is not None or line.value[:1] in ("", *_CLOSING):
        return None
    # A key is short and of letters; an address such as https://host is no key that lacks its space.
    found = re.match(r"([A-Za-z_][\w-]{0,40})(:(?!/)|\s+|$)(.*)", line.value)
    hint = "write `key: value`"
    if found and found[2] == ":":
        hint = f"put a space behind the colon: {_pair(found[1], found[3])}"
    elif found and (found[1] in TOP_KEYS or found[3]):
        hint = f"write {_pair(found[1], found[3])}"
    return Misaligned(number, line.column, "a line without its `: `", hint)


def out_of_line(lines: Sequence[str], number: int, column: int) -> Misaligned | None:
    """Explain a line that is neither a key nor an item of what is above it; None where its indentation is not why."""
    line = _parsed(number, lines[number]) if number < len(lines) else None
    if line is None or line.start != column or (line.key is None and not line.dashes):
        return None
    blocks, above = _open_blocks(lines, number)
    if line.key and line.key.startswith("-") and any(block.is_item for block in blocks):
        return _without_space(line)
    if line.dashes:
        return _item(blocks, line)
    return _key_too_far_left(blocks, line) if above and above.column > line.column else _further(blocks, line)


def _key_too_far_left(blocks: list[_Block], line: _Line) -> Misaligned | None:
    inner = [block for block in blocks if not block.is_item and block.column > line.column]
    if not inner or line.key is None:
        return None
    outer = [block for block in blocks if not block.is_item and block.column < line.column]
    if not outer and line.column == 0:  # the very first key is further in than the others
        name, first = next(iter(inner[0].lines.items()))
        hint = f"line it up with {_key_text(line.key)} (line {line.number + 1})"
        return Misaligned(first, inner[0].column, f"{_key_text(name)} is indented, and the keys below it are not", hint)
    if outer and line.key in TOP_KEYS and not outer[0].column:
        return Misaligned(line.number, line.column, f"{_key_text(line.key)} is indented", outer[0].lined_up())
    item = next((block for block in blocks if block.is_item and block.column >= line.column), None)
    mapping = inner[0] if item is None else next((block for block in inner if block.column > item.column), inner[0])
    above = outer[-1].column if outer else 0
    # The only item, of which no more than one line was read: that line is out of place, and not all those below it.
    if item and item.is_only and len(mapping.lines) == 1 and line.column - 2 > above:
        summary = "the item is indented further than its keys below it"
        hint = f"put its `-` two columns left of {_key_text(line.key)} (line {line.number + 1})"
        return Misaligned(item.first, item.column, summary, hint)
    summary = f"{_key_text(line.key)} is indented less than the keys above it"
    hint = mapping.lined_up(first=True)
    if item and line.key in mapping.lines:
        summary, hint = f"{_key_text(line.key)} is there already, and begins no item", "begin the item with `- `"
    return Misaligned(line.number, line.column, summary, hint)


def _further(blocks: list[_Block], line: _Line) -> Misaligned | None:
    """Explain a line that is indented further than the key above it, which has a value."""
    if line.dashes:
        return _item(blocks, line)
    block = next((block for block in reversed(blocks) if not block.is_item), None)
    if block is None or block.column >= line.column or not block.value:
        return None
    hint = block.lined_up()
    if block.lines[block.key] < line.number - 1:
        hint += ', or put text that holds ": " in quotes'
    what = _key_text(line.key or "")
    return Misaligned(line.number, line.column, f"{what} is indented further than the key above it", hint)


def _item(blocks: list[_Block], line: _Line) -> Misaligned | None:
    items = [block for block in blocks if block.is_item]
    if items:
        hint = f"line its `-` up with that of line {items[-1].first + 1}"
        return Misaligned(line.number, line.start, "the item is not in line with those above it", hint)
    key = next((block for block in reversed(blocks) if block.value), None)
    if key is None:
        return None
    summary = f"a list under {_key_text(key.key)}, which has a value already"
    return Misaligned(
        line.number, line.start, summary, f"remove the value of {_key_text(key.key)} (line {key.lines[key.key] + 1})"
    )


def _without_space(line: _Line) -> Misaligned:
    hint = f"write {_key_text('- ' + (line.key or '').lstrip('-'))}"
    return Misaligned(line.number, line.column, "a `-` without the space behind it", hint)


def _continues(blocks: list[_Block], line: _Line) -> bool:
    """Tell whether a line without a key is more of the text above it."""
    return bool(blocks) and bool(blocks[-1].value) and blocks[-1].column < line.column


def _open_blocks(lines: Sequence[str], number: int) -> tuple[list[_Block], _Line | None]:
    """Return what is open before line ``number``, from the outermost on, and the last line that holds anything."""
    blocks: list[_Block] = []
    line = None
    for line in _content(lines, number):
        for column in line.dashes:
            closed = _close(blocks, column)
            is_only = not any(block.is_item and block.column == column for block in closed)
            value = line.value if line.key is None else ""
            blocks.append(_Block(column, is_item=True, value=value, first=line.number, is_only=is_only))
        if line.key is None:
            continue
        _close(blocks, line.column)
        if not blocks or blocks[-1].column < line.column:
            blocks.append(_Block(line.column, is_item=False, first=line.number))
        blocks[-1].lines.pop(line.key, None)
        blocks[-1].lines[line.key] = line.number
        blocks[-1].value = line.value
    return blocks, line


def _close(blocks: list[_Block], column: int) -> list[_Block]:
    """Take away, and return, the blocks that end where something begins at ``column``; a list may stand under its key."""
    closed = []
    while blocks and (blocks[-1].column > column or (blocks[-1].column == column and blocks[-1].is_item)):
        closed.append(blocks.pop())
    return closed


def _content(lines: Sequence[str], number: int) -> Iterator[_Line]:
    """Yield the lines before ``number`` that hold anything, without those of texts and lists that go over several."""
    deeper_than, closing = -1, ""
    for at in range(max(number - _MOST_LINES, 0), number):
        text = lines[at][:_MOST_CHARACTERS]
        if closing:
            closing = "" if closing in text else closing
            continue
        if deeper_than >= 0 and (not text.strip() or len(text) - len(text.lstrip(" ")) > deeper_than):
            continue
        deeper_than = -1
        line = _parsed(at, text)
        if line is None:
            continue
        yield line
        if re.match(_BLOCK_SCALAR, line.value):
            deeper_than = line.start if line.key is None else line.column
        elif (closing := _CLOSING.get(line.value[:1], "")) and closing in line.value[1:]:
            closing = ""


def _parsed(number: int, text: str) -> _Line | None:
    """Return the parts of a line; None where it is empty, a comment, or a mark such as ``---``."""
    text = text[:_MOST_CHARACTERS].rstrip()
    content = text.lstrip(" ")
    if not content or content.startswith(("#", "---", "...", "%")):
        return None
    dashes = re.match(_DASHES, content)
    lead = len(text) - len(content)
    behind = dashes.end() if dashes else 0
    columns = [lead + at for at, character in enumerate(content[:behind]) if character == "-"]
    rest = content[behind:]
    quoted = re.match(_QUOTED, rest) if rest[:1] in ("'", '"') else None
    if rest[:1] in _CLOSING and not quoted:
        return _Line(number, columns, lead + behind, None, rest)
    colon = re.compile(r"\s*:(?:\s|$)" if quoted else r".*?:(?=\s|$)").match(rest, quoted.end() if quoted else 0)
    comment = re.search(r"(?:^|\s)#", rest)
    if colon is None or (comment and not quoted and comment.start() < colon.end()):
        return _Line(number, columns, lead + behind, None, rest[: comment.start()].rstrip() if comment else rest)
    key = rest[: colon.end()].rstrip().removesuffix(":").rstrip()
    value = rest[colon.end() :].strip()
    return _Line(number, columns, lead + behind, key, "" if value.startswith("#") else value)


def _pair(key: str, value: str) -> str:
    return f"`{key}: {printable(value, 40)}`" if key in _HARMLESS and value else f"`{key}:{' …' if value else ''}`"


def _key_text(key: str) -> str:
    """Return a key as it is shown: a text that only stands where a key does may be a secret."""
    return f"`{key}`" if re.fullmatch("(?:- )?[A-Za-z_][A-Za-z _-]{0,24}", key) else "this"
