"""YAML text to nodes, and `Page`, which gives every error of a manifest its line and column.

The parser is PyYAML's, with a quicker resolver and a limit on depth.

PyYAML is imported inside `loader_class`: a process that never reads a manifest never pays for it.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import zip_longest
from time import thread_time
from typing import TYPE_CHECKING, Any, Literal

from mmsync.manifest.surrogates import half_alone, restored, with_stand_ins
from mmsync.printable import printable
from mmsync.types import Diagnostic, Source

if TYPE_CHECKING:
    from yaml.nodes import Node

_PREFIX = "tag:yaml.org,2002:"
STR = _PREFIX + "str"
BOOL = _PREFIX + "bool"
SEQ = _PREFIX + "seq"
MAP = _PREFIX + "map"
MERGE = _PREFIX + "merge"
NULL = _PREFIX + "null"

# A manifest is four deep. libyaml's composer recurses in C without a limit of its own: 200,000 brackets end the
# process with a segmentation fault, so the depth is counted here, node by node.
_MAX_DEPTH = 50

# A node takes some 400 bytes, two characters of text can make one. 100,000 models are a million nodes.
_MAX_NODES = 3_000_000

# Numbers that PyYAML, which is of YAML 1.1, takes for text and YAML 1.2 readers (editors, schema checkers) do not.
_YAML_12_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+\Z")
_YAML_12_OCTAL = re.compile(r"0o[0-7]+\Z")

TOO_DEEP = ("too-deep", "nested too deeply for a manifest", "models are a plain list of flat mappings")


class Unreadable(Exception):
    """The one error that keeps a manifest from being read; ``args`` are those of `Page.add_error`."""


class NotYaml(Exception):
    """The text is not YAML, or several documents; its argument is PyYAML's error."""


@contextmanager
def paused_gc() -> Iterator[None]:
    """Switch the cycle collector off meanwhile: walking half a million new nodes again and again doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def compose(data: bytes, check: Callable[[], None] = lambda: None, *, nodes: int = 0) -> Node | None:
    """Return the root node of the one document in ``data``, YAML in UTF-8, or None where there is none.

    ``check`` is called now and then; what it raises ends the reading. Raises `NotYaml`, or `Unreadable` where the
    document is nested too deeply, holds too many nodes, with the ``nodes`` of it that are not in ``data``, has a
    node whose tag calls it something it is not, or half a character.
    """
    made = loader_class()
    given = with_stand_ins(data)
    try:
        loader = made(given)
        loader.check = check
        loader.nodes = nodes
        root: Node | None = loader.get_single_node()
    except made.error as error:
        raise NotYaml(error) from error
    if root is not None and any(sign in data for sign in _TAG_SIGNS):
        _check_tags(root, check)
    if root is not None and given is not data:
        _restore_characters(root, data, check)
    return root


def _restore_characters(root: Node, data: bytes, check: Callable[[], None]) -> None:
    """Make of the stand-ins what they stand for; `Unreadable` where that is half a character."""
    for node in _nodes(root, check):
        if node.id != "scalar":
            continue
        value = restored(node.value, unescaped=node.style == '"')
        if value is None:
            mark = node.start_mark
            found = half_alone(lines_of(data.decode()), mark.line, mark.column)
            line, column, shown = found or (mark.line, mark.column, "this")
            at = type(node)(node.tag, "", type(mark)("", 0, line, column, None, 0))
            hint = r"write both halves, such as \ud83d\udca5, or the character itself"
            raise Unreadable(at, "syntax", f"{shown} is half a character, without its other half", hint)
        node.value = value


# YAML's own tags cannot be written without one of these.
_TAG_SIGNS = (b"!!", b"!<", b"%TAG")
_ID_BY_TAG = {SEQ: "sequence", MAP: "mapping"} | {
    _PREFIX + kind: "scalar"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "binary", "merge", "value")
}
_KINDS = {"sequence": "a list", "mapping": "a mapping", "scalar": "a value"}


def _check_tags(root: Node, check: Callable[[], None]) -> None:
    """Raise `Unreadable` where a tag calls a node something it is not (``!!seq {a: b}``): tags are relied on."""
    for node in _nodes(root, check):
        if node.id != _ID_BY_TAG.get(node.tag, node.id):
            summary = f"{_KINDS[node.id]} is tagged {node.tag.replace(_PREFIX, '!!')}"
            raise Unreadable(node, "wrong-type", summary, "remove the tag")


def _nodes(root: Node, check: Callable[[], None]) -> Iterator[Any]:
    """Yield every node once, in the order of the text."""
    waiting: list[Any] = [root]  # of the nodes; the stubs leave out their id
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if not len(seen) & 0xFFF:
            check()
        yield node
        if node.id == "mapping":
            waiting += (part for pair in reversed(node.value) for part in reversed(pair))
        elif node.id == "sequence":
            waiting += reversed(node.value)


@cache
def loader_class(*, pure: bool = False) -> type[Any]:
    """Return the loader: on libyaml, or all Python where PyYAML was built without it (or ``pure`` asks for that)."""
    # Where a manifest is empty, missing or no text, nothing of it is needed: it takes longer than reading a small one.
    import yaml  # noqa: PLC0415 - see above

    # The classes that make up the parser and composer; the first takes the text.
    in_python = (yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser, yaml.composer.Composer)
    bases: tuple[type[Any], ...] = in_python if pure or not yaml.__with_libyaml__ else (vars(yaml.cyaml)["CParser"],)
    scalar, sequence = yaml.ScalarNode, yaml.SequenceNode
    known = resolvers()

    class Loader(*bases):  # type: ignore[misc]  # which parser is there is known only at run time
        check: Callable[[], object] = int  # as good as nothing
        error = yaml.YAMLError

        def __init__(self, data: bytes) -> None:
            for base in bases:
                base.__init__(self, *((data,) if base is bases[0] else ()))
            self.depth = 0
            self.nodes = 0
            self.next_check = 0

        def resolve(self, kind: type[Node], value: str | None, implicit: Any) -> str:
            if kind is scalar:
                if implicit[0]:
                    for tag, matches in known.get(value[0] if value else "", ()):
                        if matches(value or ""):
                            return tag
                return STR
            return SEQ if kind is sequence else MAP

        def descend_resolver(self, current_node: Any, _current_index: Any) -> None:
            self.depth += 1
            self.nodes += 1
            if self.depth > _MAX_DEPTH or self.nodes > self.next_check:
                self.next_check = _checked(self, current_node)

        def ascend_resolver(self) -> None:
            self.depth -= 1

    return Loader


def _checked(loader: Any, node: Node) -> int:
    """Return at how many nodes to check again."""
    if loader.depth > _MAX_DEPTH:
        raise Unreadable(node, *TOO_DEEP)
    if loader.nodes > _MAX_NODES:
        raise Unreadable(None, "too-large", "the manifest holds more than any could", "is it the right file?")
    loader.check()
    return int(min(loader.nodes + 4096, _MAX_NODES))


@cache
def resolvers() -> Mapping[str, Sequence[tuple[str, Callable[[str], object]]]]:
    """Return, by the first character of a plain scalar, the tags but text it may have and what tells whether it does."""
    from yaml import SafeLoader  # noqa: PLC0415 - as in `loader_class`

    own = SafeLoader.yaml_implicit_resolvers
    found = {first: [(tag, pattern.match) for tag, pattern in rules] for first, rules in own.items()}
    for first in "+-.0123456789":
        found.setdefault(first, []).append((_PREFIX + "float", _YAML_12_FLOAT.match))
    found["0"].append((_PREFIX + "int", _YAML_12_OCTAL.match))
    return found


_FREE = 10_000
_RATIO = 10
_MAX_ALIAS_DEPTH = 100  # through aliases; an alias inside its own anchor has no end


def expands_too_far(root: Node) -> bool:
    """Tell whether ``root`` with every alias written out is over ten times as many nodes as the file holds.

    Up to 10,000 nodes are free, so that a small file may repeat itself. Time is linear in the nodes of the file.
    """
    sizes: dict[int, int] = {}
    try:
        return _size(root, sizes, 0) > _FREE + _RATIO * len(sizes)
    except RecursionError:
        return True


def _size(node: Node, sizes: dict[int, int], depth: int) -> int:
    if depth > _MAX_ALIAS_DEPTH:
        raise RecursionError
    known = sizes.get(id(node))
    if known is not None:
        return known
    size = 1
    for item in node.value if not isinstance(node.value, str) else ():
        for part in item if isinstance(item, tuple) else (item,):
            size += _size(part, sizes, depth + 1)
    sizes[id(node)] = size
    return size


_BREAK = re.compile("(\r\n|[\r\n\x85\u2028\u2029])")


class Budget:
    """The seconds of this thread's processor time that reading may take; None for as long as it takes."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._ends = None if seconds is None else thread_time() + seconds

    def check(self) -> None:
        """Raise `Unreadable` where no time is left."""
        if self._ends is not None and thread_time() > self._ends:
            summary = f"reading the manifest takes more than {self._seconds:g} s"
            raise Unreadable(None, "too-slow", summary, "is it the right file? Several smaller ones can be given")


class Page:
    """A manifest file as the user named it, with the diagnostics collected on it, in the order they were found."""

    def __init__(self, file: str, budget: Budget, *, confined: bool) -> None:
        self.file = file
        self.budget = budget
        self.confined = confined  # whether no link may lead outside
        self.found: list[Diagnostic] = []
        self.errors = 0  # how many of them are errors
        self.text = ""  # what the file holds, once it is read
        self.private: set[Source] = set()  # the places whose lines, a key aside, may hold a secret
        self._lines: list[tuple[int, int]] | None = None

    def number_lines(self, text: str) -> None:
        """Take note of where lines begin: YAML 1.1 also ends them at U+0085, U+2028 and U+2029, and no editor does."""
        self._lines = []
        line = behind = 0
        parts = iter(_BREAK.split(text))
        for part, line_break in zip_longest(parts, parts, fillvalue=""):
            self._lines.append((line, behind))
            is_odd = line_break in ("\x85", "\u2028", "\u2029")
            behind = behind + len(part) + 1 if is_odd else 0
            line += not is_odd

    def at(self, line: int, column: int) -> Source:
        """Return the place that the parser's line and column, both from 0, are for an editor."""
        if self._lines is not None:
            line, behind = self._lines[min(line, len(self._lines) - 1)]
            column += behind
        return Source(self.file, line + 1, column + 1)

    def place(self, node: Node | None) -> Source:
        """Return where ``node`` starts; the top of the file for None."""
        if node is None:
            return Source(self.file, 1, 1)
        mark = node.start_mark
        return self.at(mark.line, mark.column)

    def add_error(
        self,
        at: Node | Source | None,
        code: str,
        summary: str,
        detail: str,
        *,
        severity: Literal["error", "warning"] = "error",
        model: str = "",
        is_private: bool = False,
    ) -> None:
        """Note an error; ``code`` is without the room's name. Where it ``is_private``, no value of its line is shown."""
        self.errors += severity == "error"
        source = at if isinstance(at, Source) else self.place(at)
        if is_private or at is None:
            self.private.add(source)
        self.found.append(Diagnostic(severity, f"manifest/{code}", summary, detail, source, printable(model)))

    def add_warning(self, at: Node | Source | None, code: str, summary: str, detail: str, *, model: str = "") -> None:
        """Note something doubtful that does not stop the run."""
        self.add_error(at, code, summary, detail, severity="warning", model=model)


def end_of(page: Page, before: str) -> Source:
    """Return the place that the text ``before`` reaches to."""
    lines = lines_of(before)
    return page.at(len(lines) - 1, len(lines[-1]))


def lines_of(text: str) -> list[str]:
    """Return the lines as YAML 1.1 breaks them, without their ends; at least one."""
    return _BREAK.split(text)[::2]
