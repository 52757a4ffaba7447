"""Entries added to the text of a manifest: only lines come in, and all that a person wrote stays as it is.

The parser's marks say where the list of models ends and how its last entry is written: the new ones are written so.
What comes out is parsed again, and is the same document but for the new entries, or it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmsync.manifest.entry_style import Style, block_entry, flow_entry
from mmsync.manifest.layout import BREAK, ROOT, Layout, Span, kind
from mmsync.manifest.nodes import OWN_KEYS
from mmsync.manifest.writer import Entry
from mmsync.manifest.yaml_loader import BOOL, MAP, SEQ, STR, NotYaml, Unreadable, compose, paused_gc

if TYPE_CHECKING:
    from yaml.nodes import Node

_BOM = b"\xef\xbb\xbf"
_MOST_BLANK_LINES = 2
_COMMA = re.compile(r"(?:\s|#[^\r\n]*+)*+,")


class CannotAppend(Exception):
    """The text is of a form that entries cannot be added to; the argument says which, in one clause."""


def append_entries(data: bytes, entries: Sequence[Entry]) -> bytes:
    """Return the manifest ``data``, which is valid, with these entries at the end of its models.

    An engine that is the manifest's default is left out of an entry. Raises `CannotAppend` where it cannot be done by
    putting lines in.
    """
    bom, text = data[: len(_BOM) * data.startswith(_BOM)], data.removeprefix(_BOM).decode()
    with paused_gc():
        before = _composed(text)
        usual = _default_engine(before)
        wanted = [entry._replace(engine=None) if entry.engine == usual else entry for entry in entries]
        added = _with_entries(Layout(text), wanted)
        if not _is_extended(before, _composed(added), wanted):
            raise CannotAppend("with the new entries the rest would not read as before")
    return bom + added.encode()


def pasted(entries: Sequence[Entry]) -> str:
    """Return the lines to put under ``models:`` by hand."""
    return "".join(block_entry(entry, Style()) for entry in entries)


def _with_entries(page: Layout, entries: Sequence[Entry]) -> str:
    root = page.events[ROOT]
    if kind(root) != "MappingStartEvent":
        raise CannotAppend("it is no mapping")
    models = dict(page.pairs(ROOT)).get("models")
    if models is None:
        return _with_section(page, entries, is_flow=root.flow_style)
    first, last = page.events[models.start], page.events[models.end - 1]
    if kind(first) != "SequenceStartEvent":
        raise CannotAppend("its models are an alias")
    items = page.items(models)
    if not first.flow_style:
        return _in_block(page, entries, items)
    opened, closed = page.text.index("[", page.start(models)), page.at(last.end_mark) - 1
    if items:
        return _in_flow(page, entries, items[-1], closed)
    if BREAK.search(page.text, opened, closed):
        raise CannotAppend("its empty list goes over several lines")
    if root.flow_style:
        style = Style(is_flow=True, is_json=page.events[ROOT + 1].style == '"')
        inside = ", ".join(flow_entry(entry, style) for entry in entries)
        return page.text[: opened + 1] + inside + page.text[closed:]
    return _in_place_of_none(page, entries, opened, closed)


def _insert(text: str, after: int, lines: str, newline: str) -> str:
    """Return the text with ``lines``, each with its end, where a line begins at ``after`` or the text ends."""
    lines = lines.replace("\n", newline)
    if after == len(text) and not BREAK.fullmatch(text[-1:]):
        # The last line has no end, and is to have none.
        return text + newline + lines.removesuffix(newline)
    return text[:after] + lines + text[after:]


def _in_block(page: Layout, entries: Sequence[Entry], items: Sequence[Span]) -> str:
    dash = page.dash(items[-1])
    start = page.line(dash)[0]
    if page.text[start:dash].strip(" "):
        raise CannotAppend("its list of models begins in the middle of a line")
    indent = dash - start
    style = Style(indent=indent, key_indent=indent + 2)
    blank = 0
    # Entries that are aliases show no style.
    written = [n for n, item in enumerate(items) if kind(page.events[item.start]) == "MappingStartEvent"]
    if written:
        which = written[-1]
        style = _block_style(page, items[which], indent)
    if len(items) > 1:
        between = page.text[page.end(items[-2]) : dash]
        blank = min(sum(not line.strip() for line in BREAK.split(between)[1:-1]), _MOST_BLANK_LINES)
    lines = "".join("\n" * blank + block_entry(entry, style) for entry in entries)
    return _insert(page.text, page.behind_comments(page.end(items[-1]), indent), lines, page.newline)


def _block_style(page: Layout, item: Span, indent: int) -> Style:
    """Return how an item of a block list is written."""
    pairs = page.pairs(item.start)
    dash = page.dash(item)
    if page.events[item.start].flow_style:
        return _flow_style(page, item)._replace(indent=indent, gap=max(page.start(item) - dash - 1, 1))
    keys = page.events[item.start + 1].start_mark.column
    columns = {
        key: page.events[value.start].start_mark
        for key, value in pairs
        if key not in ("<<", "description") and not key.startswith(OWN_KEYS)
    }
    starts, lengths = {mark.column for mark in columns.values()}, {len(key) for key in columns}
    return Style(
        indent=indent,
        key_indent=keys,
        is_alone=not page.text[dash + 1 : page.line(dash)[1]].partition("#")[0].strip(),
        aligned=starts.pop() - keys if len(starts) == 1 and len(lengths) > 1 else 0,
        order=tuple(key for key, _ in pairs),
        quote=_quote(page, pairs),
    )


def _flow_style(page: Layout, item: Span) -> Style:
    """Return how a mapping in braces is written."""
    pairs = page.pairs(item.start)
    opened, key = page.text.index("{", page.start(item)), page.events[item.start + 1]
    if not pairs:
        return Style(is_flow=True)
    inside = page.text[opened + 1 : page.at(key.start_mark)]
    is_long = BREAK.search(inside) is not None
    return Style(
        is_flow=True,
        margin=page.margin(opened),
        inner_margin=page.margin(page.at(key.start_mark)) if is_long else None,
        is_json=key.style == '"',
        padding="" if inside.strip(" ") else inside,
        order=tuple(name for name, _ in pairs),
        quote=_quote(page, pairs),
    )


def _quote(page: Layout, pairs: Sequence[tuple[str, Span]]) -> str:
    """Return the quotes that the entry's name and file stand in; none where not both do."""
    styles = {getattr(page.events[value.start], "style", "") for key, value in pairs if key in ("name", "file")}
    style = styles.pop() if len(styles) == 1 else ""
    return style if style in ("'", '"') else ""


def _in_place_of_none(page: Layout, entries: Sequence[Entry], opened: int, closed: int) -> str:
    """Return the text with a block of entries in place of ``[]``, the one thing that goes."""
    _, stop, after = page.line(closed)
    rest = page.text[closed + 1 : stop]
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise CannotAppend("something follows its empty list on the same line")
    # A comment stays in its column.
    hole = " " * (closed + 1 - opened) if rest.strip() else ""
    head = page.text[:opened] + hole if hole else page.text[:opened].rstrip(" ")
    text = head + page.text[closed + 1 if hole else stop :]
    indent = page.usual_indent()
    style = Style(indent=indent, key_indent=indent + 2)
    lines = "".join(block_entry(entry, style) for entry in entries)
    return _insert(text, after - (len(page.text) - len(text)), lines, page.newline)


def _in_flow(page: Layout, entries: Sequence[Entry], last: Span, closed: int) -> str:
    text, newline, end = page.text, page.newline, page.end(last)
    is_mapping = kind(page.events[last.start]) == "MappingStartEvent"
    style = _flow_style(page, last) if is_mapping else Style(is_flow=True)
    written = [flow_entry(entry, style).replace("\n", newline) for entry in entries]
    comma = _COMMA.match(text, end, closed)
    stop = page.line(comma.end() if comma else end)[1]
    if stop > closed:  # the bracket is on the same line
        place = comma.end() if comma else end
        inside = (" " if comma else ", ") + ", ".join(written) + ("," if comma else "")
        return text[:place] + inside + text[place:]
    margin = page.margin(page.start(last))
    lines = newline + f",{newline}".join(margin + entry for entry in written)
    if comma:
        return text[:stop] + lines + "," + text[stop:]
    return text[:end] + "," + text[end:stop] + lines + text[stop:]


def _with_section(page: Layout, entries: Sequence[Entry], *, is_flow: bool) -> str:
    """Return the text with a list of models behind everything else."""
    if is_flow:
        raise CannotAppend("it has no list of models")
    indent = page.usual_indent()
    style = Style(indent=indent, key_indent=indent + 2)
    end = page.end(Span(ROOT, len(page.events) - ROOT))
    lines = "\n" * page.has_blank_lines() + "models:\n" + "".join(block_entry(entry, style) for entry in entries)
    return _insert(page.text, page.behind_comments(end, 1), lines, page.newline)


_Plain = tuple[str, Any]  # a tag, and a text, a list of such or of pairs of such


def _composed(text: str) -> _Plain:
    """Return what a text says as values that can be compared, with the order of keys."""
    try:
        root = compose(text.encode())
    except (NotYaml, Unreadable) as error:
        raise CannotAppend("with the new entries it would be no YAML") from error
    if root is None:
        raise CannotAppend("it is empty")
    return _plain(root)


def _plain(node: Node) -> _Plain:
    if isinstance(node.value, str):
        return node.tag, node.value
    if node.value and isinstance(node.value[0], tuple):
        return node.tag, [(_plain(key), _plain(value)) for key, value in node.value]
    return node.tag, [_plain(item) for item in node.value]


_MODELS = (STR, "models")


def _value(found: _Plain, key: _Plain) -> _Plain | None:
    return next((value for name, value in found[1] if name == key), None) if found[0] == MAP else None


def _default_engine(root: _Plain) -> str | None:
    defaults = _value(root, (STR, "defaults"))
    engine = _value(defaults, (STR, "engine")) if defaults else None
    return engine[1] if engine and engine[0] == STR else None


def _is_extended(before: _Plain, after: _Plain, entries: Sequence[Entry]) -> bool:
    """Return whether ``after`` says what ``before`` does, in the same order, with these entries behind the models."""
    models = _value(after, _MODELS)
    if models is None or models[0] != SEQ or after[0] != MAP:
        return False
    count = len(models[1]) - len(entries)
    new = [(tag, sorted(pairs)) for tag, pairs in models[1][count:]]
    wanted = [_entry(entry) for entry in entries]
    left = [(key, (SEQ, models[1][:count]) if key == _MODELS else value) for key, value in after[1]]
    if _value(before, _MODELS) is None and left[-1] == (_MODELS, (SEQ, [])):
        left.pop()
    return new == wanted and before == (after[0], left)


def _entry(entry: Entry) -> _Plain:
    pairs = [((STR, key), (STR, value)) for key, value in entry._asdict().items() if isinstance(value, str)]
    pairs += [] if entry.inspect else [((STR, "inspect"), (BOOL, "false"))]
    return MAP, sorted(pairs)
