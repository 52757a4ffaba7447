"""Questions asked of YAML nodes; whatever does not fit is noted as a fault on the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from mmsync.manifest.loader import MAP, MERGE, NULL, SEQ, STR
from mmsync.manifest.page import Page, nearest
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from yaml.nodes import Node

__all__ = ["Pair", "absent", "boolean", "described", "items", "pairs", "text"]

_KINDS = {
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "timestamp": "a date",
    "null": "nothing",
    "merge": "a merge key",
    "value": "a default value",
    "binary": "binary data",
}


class Pair(NamedTuple):
    """A key of a mapping and its value."""

    key: Node
    value: Node


def described(node: Node) -> str:
    """Say what ``node`` is, as the end of the sentence "but this is …"."""
    if node.tag == SEQ:
        return "a list"
    if node.tag == MAP:
        return "a mapping"
    if node.tag == STR:
        return "text"
    return _KINDS.get(node.tag.rpartition(":")[2]) or f"tagged {printable(node.tag, 40)}"


def pairs(page: Page, node: Node, known: Collection[str], what: str) -> dict[str, Pair]:
    """Return the pairs of a mapping whose keys are ``known``, merge keys (``<<``) filled in.

    Args:
        page: Where faults go.
        node: Ought to be a mapping.
        known: The keys that may stand there.
        what: What the mapping is, for messages: ``a model``.
    """
    if node.tag != MAP or isinstance(node.value, str):
        way_on = f"{what} has keys: {', '.join(known)}"
        page.fault(node, "wrong-type", f"{what} must be a mapping, but this is {described(node)}", way_on)
        return {}
    found: dict[str, Pair] = {}
    merged: dict[str, Pair] = {}
    for key, value in node.value:
        if key.tag == MERGE:
            _merge(page, value, known, what, merged)
            continue
        if key.tag == NULL or isinstance(key.value, list):
            page.fault(key, "unknown-key", f"a key must be text, but this is {described(key)}", "write `key: value`")
            continue
        word: str = key.value
        if word not in known:
            _unknown(page, key, known, what)
        elif word in found:
            first = page.place(found[word].key)
            summary = f"the key {word} is there twice"
            page.fault(key, "duplicate-key", summary, f"keep one; the first is on line {first.line}")
        else:
            found[word] = Pair(key, value)
    return {**merged, **found}


def _merge(page: Page, value: Node, known: Collection[str], what: str, merged: dict[str, Pair]) -> None:
    # Of several merged mappings the earlier wins (YAML's merge key).
    for source in value.value if value.tag == SEQ else [value]:
        if source.tag != MAP:
            page.fault(
                source, "wrong-type", f"`<<` takes a mapping, but this is {described(source)}", "write `<<: *name`"
            )
            continue
        for word, pair in pairs(page, source, known, what).items():
            merged.setdefault(word, pair)


def _unknown(page: Page, key: Node, known: Collection[str], what: str) -> None:
    meant = nearest(key.value, known)
    way_on = f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}"
    page.fault(key, "unknown-key", f"{what} has no key {printable(key.value, 60)!r}", way_on)


def text(page: Page, node: Node, what: str, *, secret: bool = False) -> str | None:
    """Return the node's text, or None once the fault is noted; with ``secret`` the value is never shown."""
    if node.tag == STR and isinstance(node.value, str):
        return node.value
    if node.tag == NULL:
        page.fault(node, "wrong-type", f"{what} is empty", "give it a text, or leave the key out")
    elif isinstance(node.value, str) and node.tag.startswith("tag:yaml.org,2002:"):
        shown = "this" if secret else printable(node.value, 60)
        way_on = "put it in quotes" if secret else f"quote it: {json.dumps(shown, ensure_ascii=False)}"
        page.fault(node, "wrong-type", f"{what} must be text, but YAML reads {shown} as {described(node)}", way_on)
    else:
        page.fault(node, "wrong-type", f"{what} must be text, but this is {described(node)}", "write one line of text")
    return None


def boolean(page: Page, node: Node, what: str) -> bool:
    """Return a yes-or-no value; False once the fault is noted."""
    if node.tag.endswith(":bool") and isinstance(node.value, str):
        return node.value.lower() in ("true", "yes", "on")
    page.fault(
        node, "wrong-type", f"{what} must be true or false, but this is {described(node)}", "write true or false"
    )
    return False


def items(page: Page, node: Node, what: str, way_on: str) -> list[Node]:
    """Return the items of a list; none once the fault is noted."""
    if node.tag == SEQ and isinstance(node.value, list):
        found: list[Node] = node.value
        return found
    is_null = node.tag == NULL
    problem = f"{what} is empty" if is_null else f"{what} must be a list, but this is {described(node)}"
    page.fault(node, "wrong-type", problem, way_on)
    return []


def absent(page: Page, node: Node, found: dict[str, Pair], key: str, what: str, way_on: str) -> bool:
    """Tell whether ``key`` is missing, and note that as a fault."""
    if key in found:
        return False
    page.fault(node, "missing-key", f"{what} has no {key}", way_on)
    return True
