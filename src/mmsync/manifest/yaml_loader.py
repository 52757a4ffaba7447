"""YAML text to nodes: PyYAML's parser with a quicker resolver and a limit on depth.

PyYAML is imported inside `loader_class`: a process that never reads a manifest never pays for it.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import zip_longest
from time import thread_time
from typing import TYPE_CHECKING, Any, Literal

from mmsync.printable import printable
from mmsync.types import Diagnostic, Source

if TYPE_CHECKING:
    from yaml import YAMLError
    from yaml.nodes import Node

_PREFIX = "tag:yaml.org,2002:"
STR = _PREFIX + "str"
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


class TooDeep(Exception):
    """Collections are nested deeper than any manifest needs; ``parent`` is the innermost one allowed."""

    def __init__(self, parent: Node) -> None:
        self.parent = parent
        super().__init__()


class TooMany(Exception):
    """The text holds more nodes than memory should be given to."""


class NotYaml(Exception):
    """The text is not YAML, or several documents; ``reason`` is what PyYAML says."""

    def __init__(self, reason: YAMLError) -> None:
        self.reason = reason
        super().__init__()


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


def compose(data: bytes, check: Callable[[], None] = lambda: None) -> Node | None:
    """Return the root node of the one document in ``data``, or None where there is none.

    Args:
        data: YAML in UTF-8.
        check: Called now and then; what it raises ends the reading.

    Raises:
        NotYaml: The text is not YAML, or several documents.
        TooDeep: It is nested too deeply.
        TooMany: It holds too many nodes.
    """
    made = loader_class()
    try:
        loader = made(data)
        loader.check = check
        root: Node | None = loader.get_single_node()
    except made.error as error:
        raise NotYaml(error) from error
    return root


@cache
def loader_class(*, pure: bool = False) -> type[Any]:
    """Return the loader: on libyaml, or all Python where PyYAML was built without it (or ``pure`` asks for that)."""
    # Where a manifest is empty, missing or no text, nothing of it is needed: it takes longer than reading a small one.
    import yaml  # noqa: PLC0415 - see above

    bases = _bases(yaml, pure=pure)
    scalar, sequence = yaml.ScalarNode, yaml.SequenceNode
    resolvers = _resolvers(yaml.SafeLoader.yaml_implicit_resolvers)

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
                    for tag, matches in resolvers.get(value[0] if value else "", ()):
                        if matches(value):
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


def _bases(yaml: Any, *, pure: bool) -> tuple[type[Any], ...]:
    """Return the classes that make up the parser and composer; the first takes the text."""
    if yaml.__with_libyaml__ and not pure:
        return (yaml.cyaml.CParser,)
    return (yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser, yaml.composer.Composer)


def _checked(loader: Any, node: Node) -> int:
    """Return at how many nodes to check again."""
    if loader.depth > _MAX_DEPTH:
        raise TooDeep(node)
    if loader.nodes > _MAX_NODES:
        raise TooMany
    loader.check()
    return int(min(loader.nodes + 4096, _MAX_NODES))


def _resolvers(own: dict[str, list[tuple[str, Any]]]) -> dict[str, list[tuple[str, Any]]]:
    """Return, by the first character of a plain scalar, the tags it may have and what tells whether it does."""
    resolvers: dict[str, list[tuple[str, Any]]] = {
        first: [(tag, pattern.match) for tag, pattern in rules] for first, rules in own.items()
    }
    for first in "+-.0123456789":
        resolvers.setdefault(first, []).append((_PREFIX + "float", _YAML_12_FLOAT.match))
    resolvers["0"].append((_PREFIX + "int", _YAML_12_OCTAL.match))
    return resolvers


_FREE = 10_000
_RATIO = 10
_MAX_ALIAS_DEPTH = 100  # through aliases; an alias inside its own anchor has no end


def expands_too_far(root: Node) -> bool:
    """Tell whether ``root`` with every alias written out is over ten times as many nodes as the file holds.

    Up to 10,000 nodes are free, so that a small file may repeat itself. Time is linear in the nodes of the file.
    """
    sizes: dict[int, int] = {}
    try:
        expanded = _size(root, sizes, 0)
    except RecursionError:
        return True
    return expanded > _FREE + _RATIO * len(sizes)


def _size(node: Node, sizes: dict[int, int], depth: int) -> int:
    if depth > _MAX_ALIAS_DEPTH:
        raise RecursionError
    known = sizes.get(id(node))
    if known is not None:
        return known
    size = 1
    if not isinstance(node.value, str):
        for item in node.value:
            if isinstance(item, tuple):
                size += _size(item[0], sizes, depth + 1) + _size(item[1], sizes, depth + 1)
            else:
                size += _size(item, sizes, depth + 1)
    sizes[id(node)] = size
    return size


_ODD_BREAK = re.compile("[\x85\u2028\u2029]")
_BREAK = re.compile("(\r\n|[\r\n\x85\u2028\u2029])")


class OutOfTime(Exception):
    """Reading the manifests takes longer than whoever asked has time for."""


class Budget:
    """Processor time of this thread that reading may take.

    Args:
        seconds: How much; None for as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._ends = None if seconds is None else thread_time() + seconds

    def check(self) -> None:
        """Return while there is time left.

        Raises:
            OutOfTime: There is none.
        """
        if self._ends is not None and thread_time() > self._ends:
            raise OutOfTime


class Page:
    """Collects what is wrong with one manifest, each error with its place.

    Attributes:
        file: The manifest's path as the user named it.
        budget: How long reading it may take.
        confined: Whether no link may lead outside.
        found: Errors and warnings, in the order they were found.
        errors: How many of them are errors.
    """

    def __init__(self, file: str, budget: Budget, *, confined: bool) -> None:
        self.file = file
        self.budget = budget
        self.confined = confined
        self.found: list[Diagnostic] = []
        self.errors = 0
        self._lines: list[tuple[int, int]] | None = None

    def number_lines(self, text: str) -> None:
        """Take note of where lines begin: YAML 1.1 also ends them at U+0085, U+2028 and U+2029, and no editor does."""
        self._lines = []
        line = behind = 0
        parts = iter(_BREAK.split(text))
        for part, line_break in zip_longest(parts, parts, fillvalue=""):
            self._lines.append((line, behind))
            is_odd = _ODD_BREAK.match(line_break) is not None
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
    ) -> None:
        """Note an error; ``code`` is without the room's name."""
        self.errors += severity == "error"
        source = at if isinstance(at, Source) else self.place(at)
        self.found.append(Diagnostic(severity, f"manifest/{code}", summary, detail, source, printable(model)))

    def add_warning(self, at: Node | Source | None, code: str, summary: str, detail: str, *, model: str = "") -> None:
        """Note something doubtful that does not stop the run."""
        self.add_error(at, code, summary, detail, severity="warning", model=model)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` was probably meant to be, letter case aside, or None."""
    from difflib import get_close_matches  # noqa: PLC0415 - 3 ms, and a manifest without errors never needs it

    by_folded = {name.casefold(): name for name in known}
    # A hostile key may be megabytes long, and the comparison is quadratic.
    close = get_close_matches(word[:60].casefold(), by_folded, n=1, cutoff=0.7)
    return by_folded[close[0]] if close else None


TOO_DEEP = ("too-deep", "nested too deeply for a manifest", "models are a plain list of flat mappings")
"""Code, summary and hint of a document that is nested deeper than any manifest."""

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
    """Note what ``error`` says of ``text`` as one error with its place."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        _unprintable(page, text)
        return
    words = str(getattr(error, "problem", None) or "")
    if "another document" in words:
        source = _source(page, text, mark.line, mark.column)
        page.add_error(
            source, "several-documents", "a second YAML document", "one file holds one manifest: remove `---`"
        )
        return
    if "nesting depth" in words:  # PyYAML 6.0.4's own limit, met while it looks ahead of ours
        source = _source(page, text, mark.line, mark.column)
        page.add_error(source, *TOO_DEEP)
        return
    if "cannot start any token" in words:
        _bad_start(page, text, mark.line, mark.column)
        return
    for fragment, at_start, summary, hint in _WORDS:
        if fragment in words:
            begun = getattr(error, "context_mark", None)
            place = begun if at_start and begun is not None else mark
            page.add_error(_source(page, text, place.line, place.column), "syntax", summary, hint)
            return
    plain = re.sub(r"\s*'.*|\W+$", "", words) or "not YAML"
    page.add_error(
        _source(page, text, mark.line, mark.column), "syntax", plain, "check indentation, quotes and brackets"
    )


def _bad_start(page: Page, text: str, line: int, column: int) -> None:
    lines = _lines(text)
    character = lines[line][column : column + 1] if line < len(lines) else ""
    source = _source(page, text, line, column)
    if character == "\t":
        page.add_error(source, "tab", "a tab where YAML allows only spaces", "indent with spaces")
    else:
        shown = f"`{character}`" if character.isprintable() else f"U+{ord(character):04X}"
        page.add_error(source, "syntax", f"a text cannot start with {shown}", "put it in quotes")


def _unprintable(page: Page, text: str) -> None:
    found = re.search(_NOT_PRINTABLE, text)  # compiled only for a text in error: that takes 6 ms
    source = end_of(page, text[: found.start()] if found else "")
    if found is None:
        page.add_error(source, "syntax", "not YAML", "check the file")
        return
    code = f"U+{ord(found[0]):04X}"
    page.add_error(source, "control-character", f"a control character, {code}", "remove it; is the file text at all?")


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
