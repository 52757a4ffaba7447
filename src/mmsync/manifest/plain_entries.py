"""Entries written plainly, one ``key: value`` a line, which a long manifest repeats: read without the parser.

A parser makes a node of every key and every value, and that is what a large manifest spends its time on. So entries
that can be read in one way only are set aside, with empty lines in their place, and the parser gets the rest: all
lines and columns stay what they were. What surrounds them is still the parser's to say. The first and the last entry
of a row are left where they are; where the parser finds these two next to each other in the list of models, all that
stood between them, being of the same form, is in that list as well. Where it does not (they were lines of a text,
say), it gets the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mmsync.manifest.yaml_loader import MAP, SEQ, STR, resolvers

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, ScalarNode

# What YAML lets a line hold, without what some readers take for the end of one and without the byte order mark.
_CHARACTER = "[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff\\ufeff\\ufffe\\uffff{}]"
_NO_SIGN = _CHARACTER.format(":#") + "*+"
# A plain scalar that begins with no sign of YAML's; in it, `:` and `#` mean something beside a space alone.
_PLAIN = rf"[\w./(]{_NO_SIGN}(?:(?::(?=\S)|(?<! )#){_NO_SIGN})*+(?<! )"
_DOUBLE_QUOTED = '"' + _CHARACTER.format('"\\\\') + '*+"'
_SINGLE_QUOTED = "'" + _CHARACTER.format("'") + "*+'"
_PAIR = rf"(name|engine|file|description|sha256): ({_PLAIN}|{_DOUBLE_QUOTED}|{_SINGLE_QUOTED})\r?\n"
_EMPTY_LINES = "(?: *+(?:#" + _CHARACTER.format("") + "*+)?\r?\n)*+"
_MOST_PAIRS = 5

ENTRY = rf"^( *+)- {_PAIR}" + rf"(?:\1  {_PAIR})?+" * (_MOST_PAIRS - 1) + _EMPTY_LINES
"""One entry, with the empty lines and comments behind it: a regular expression, for lines, that never goes back."""

_LEAST = 3  # entries in a row, two of which stay


class PlainEntry(NamedTuple):
    """An entry that was set aside."""

    line: int  # where it begins, from 0
    fields: dict[str, str]  # values by key, no key twice, each on the line below the one before

    def node(self, column: int) -> MappingNode:
        """Return it as the parser would have; ``column``, from 0, is where its keys begin."""
        from yaml import MappingNode, Mark, ScalarNode  # noqa: PLC0415 - see yaml_loader, which has loaded it by now

        def scalar(value: str, line: int, column: int) -> ScalarNode:
            return ScalarNode(STR, value, Mark("", 0, line, column, None, 0))

        pairs = [
            (scalar(key, line, column), scalar(value, line, column + len(f"{key}: ")))
            for line, (key, value) in enumerate(self.fields.items(), self.line)
        ]
        return MappingNode(MAP, pairs, Mark("", 0, self.line, column, None, 0))


class Row(NamedTuple):
    """Entries that were set aside and stood one behind the other."""

    before: int  # the line, from 0, of the entry before them, which was left in the text
    after: int  # that of the entry behind them, which was as well
    column: int  # where the keys of all of them begin, from 0
    entries: list[PlainEntry]


def set_aside(text: str) -> tuple[str, list[Row]]:
    """Return the text with empty lines in place of what is set aside, and that."""
    rows: list[Row] = []
    rest: list[str] = []
    done = 0  # the place in the text up to which it is in ``rest``, or set aside
    for run in _runs(text):
        first, *between, last = run.entries
        rest += text[done : run.start], "\n" * (last.line - between[0].line)
        done = run.end
        rows.append(Row(first.line, last.line, run.column, between))
    return "".join([*rest, text[done:]]), rows


class _Run(NamedTuple):
    """Entries that stand one behind the other, two of which stay."""

    column: int  # where their keys begin, from 0
    entries: list[PlainEntry]
    start: int  # the place in the text of the second
    end: int  # of the last


def _runs(text: str) -> Iterator[_Run]:
    entries: list[PlainEntry] = []
    indent = ""
    second = last = end = line = 0
    for match in _pattern().finditer(text):
        if (fields := _fields(match)) is None:
            continue  # and the next one does not begin where the last one ended
        start, until = match.span()
        line += text.count("\n", last, start)
        if start != end or match[1] != indent:
            if len(entries) >= _LEAST:
                yield _Run(len(indent) + len("- "), entries, second, last)
            entries, indent, second = [], match[1], until
        entries.append(PlainEntry(line, fields))
        last, end = start, until
    if len(entries) >= _LEAST:
        yield _Run(len(indent) + len("- "), entries, second, last)


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(ENTRY, re.MULTILINE)  # on first use: 3 ms, and a small manifest does without


@cache
def _ambiguous() -> frozenset[str]:
    """Return what a value begins with that is not simply the text that is written."""
    return frozenset("\"'") | resolvers().keys()


def _fields(match: re.Match[str]) -> dict[str, str] | None:
    """Return an entry's values by key; None where YAML takes one for something else than text, or a key is there twice."""
    count = match.lastindex or 0
    words = iter(match.groups()[1:count])
    fields = dict(zip(words, words))  # noqa: B905 - they are pairs, and `strict` makes it a third slower
    if 2 * len(fields) + 1 != count:
        return None
    ambiguous = _ambiguous()
    for key, value in fields.items():
        if value[0] in ambiguous:
            if value[0] in "\"'":
                fields[key] = value[1:-1]
            elif any(matches(value) for _tag, matches in resolvers()[value[0]]):
                return None
    return fields


def are_neighbours(models: Node, rows: list[Row]) -> bool:
    """Tell whether the parser found the entries before and behind each row next to each other in the list ``models``."""
    marks = [item.start_mark for item in models.value] if models.tag == SEQ and isinstance(models.value, list) else []
    pairs = {(one.line, one.column, other.line, other.column) for one, other in pairwise(marks)}
    return all((row.before, row.column, row.after, row.column) in pairs for row in rows)
