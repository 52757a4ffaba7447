"""YAML text to nodes: PyYAML's parser with a quicker resolver and a limit on depth.

PyYAML is imported inside `loader_class`: a process that never reads a manifest never pays for it.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yaml.nodes import Node

__all__ = ["MAP", "MERGE", "NULL", "SEQ", "STR", "TooDeep", "TooMany", "compose", "paused_gc"]

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
        yaml.YAMLError: The text is not YAML, or several documents.
        TooDeep: It is nested too deeply.
        TooMany: It holds too many nodes.
    """
    loader = loader_class()(data)
    loader.check = check
    try:
        root: Node | None = loader.get_single_node()
        return root
    finally:
        loader.dispose()


@cache
def loader_class(*, pure: bool = False) -> type[Any]:
    """Return the loader: on libyaml, or all Python where PyYAML was built without it (or ``pure`` asks for that)."""
    import yaml  # noqa: PLC0415 - lazily, see above

    bases = _parser(pure=pure or not yaml.__with_libyaml__)
    scalar, sequence = yaml.ScalarNode, yaml.SequenceNode
    resolvers = _resolvers()

    class Loader(*bases):  # type: ignore[misc]  # which parser is there is known only at run time
        check: Callable[[], object] = int  # as good as nothing

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

        def dispose(self) -> None:
            """Nothing to give back: unlike PyYAML's own, this loader keeps no state machine of bound methods."""

    return Loader


def _checked(loader: Any, node: Node) -> int:
    """Return at how many nodes to check again."""
    if loader.depth > _MAX_DEPTH:
        raise TooDeep(node)
    if loader.nodes > _MAX_NODES:
        raise TooMany
    loader.check()
    return int(min(loader.nodes + 4096, _MAX_NODES))


def _resolvers() -> dict[str, list[tuple[str, Any]]]:
    """Return, by the first character of a plain scalar, the tags it may have and what tells whether it does."""
    from yaml import SafeLoader  # noqa: PLC0415

    resolvers: dict[str, list[tuple[str, Any]]] = {
        first: [(tag, pattern.match) for tag, pattern in rules]
        for first, rules in SafeLoader.yaml_implicit_resolvers.items()
    }
    for first in "+-.0123456789":
        resolvers.setdefault(first, []).append((_PREFIX + "float", _YAML_12_FLOAT.match))
    resolvers["0"].append((_PREFIX + "int", _YAML_12_OCTAL.match))
    return resolvers


def _parser(*, pure: bool) -> tuple[type[Any], ...]:
    """Return the classes that make up the parser and composer; the first takes the text."""
    if not pure:
        from yaml._yaml import CParser  # noqa: PLC0415

        return (CParser,)
    from yaml.composer import Composer  # noqa: PLC0415
    from yaml.parser import Parser  # noqa: PLC0415
    from yaml.reader import Reader  # noqa: PLC0415
    from yaml.scanner import Scanner  # noqa: PLC0415

    return (Reader, Scanner, Parser, Composer)
