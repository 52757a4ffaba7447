"""Questions asked of YAML nodes; whatever does not fit is noted as a fault on the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mmsync.manifest.loader import MAP, MERGE, NULL, SEQ, STR
from mmsync.manifest.page import Page, nearest
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from yaml.nodes import Node

__all__ = ["KEEP_OR_EMPTY", "KEEP_OUT", "Pair", "absent", "boolean", "described", "items", "pairs", "text"]

KEEP_OUT = "a manifest is shared: give the token with --token-file or MMSYNC_TOKEN, or in a profile"
"""The way on where a secret was found."""

KEEP_OR_EMPTY = 'write "" to empty it, or leave the key out to keep what the server has'
"""The way on where a description has no value."""

_SECRET_KEY = re.compile(
    r"token|passw|passphrase|secret|credential|bearer|authori|\bauth\b|api.?key|private.?key|\bpwd\b|\buser(?:name)?\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z][a-z _-]{0,24}", re.IGNORECASE)

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
    return _KINDS.get(node.tag.rpartition(":")[2]) or f"tagged {_tag(node)}"


def pairs(page: Page, node: Node, known: Collection[str], what: str, *, secretive: bool = False) -> dict[str, Pair]:
    """Return the pairs of a mapping whose keys are ``known``, merge keys (``<<``) filled in.

    Args:
        page: Where faults go.
        node: Ought to be a mapping.
        known: The keys that may stand there.
        what: What the mapping is, for messages: ``a model``.
        secretive: Whether people put secrets there: an unknown key that is or names one is not repeated.
    """
    if node.tag != MAP or isinstance(node.value, str):
        way_on = f"{what} has keys: {', '.join(known)}"
        page.fault(node, "wrong-type", f"{what} must be a mapping, but this is {described(node)}", way_on)
        return {}
    found: dict[str, Pair] = {}
    merged: dict[str, Pair] = {}
    for key, value in node.value:
        if key.tag == MERGE:
            _merge(page, value, known, what, merged, secretive=secretive)
            continue
        if key.tag == NULL or isinstance(key.value, list):
            page.fault(key, "unknown-key", f"a key must be text, but this is {described(key)}", "write `key: value`")
            continue
        word: str = key.value
        if word not in known:
            _unknown(page, key, known, what, secretive=secretive)
        elif word in found:
            first = page.place(found[word].key)
            summary = f"the key {word} is there twice"
            page.fault(key, "duplicate-key", summary, f"keep one; the first is on line {first.line}")
        else:
            found[word] = Pair(key, value)
    return {**merged, **found}


def _merge(
    page: Page, value: Node, known: Collection[str], what: str, merged: dict[str, Pair], *, secretive: bool
) -> None:
    # Of several merged mappings the earlier wins (YAML's merge key).
    for source in value.value if value.tag == SEQ else [value]:
        if source.tag != MAP:
            page.fault(
                source, "wrong-type", f"`<<` takes a mapping, but this is {described(source)}", "write `<<: *name`"
            )
            continue
        for word, pair in pairs(page, source, known, what, secretive=secretive).items():
            merged.setdefault(word, pair)


def _unknown(page: Page, key: Node, known: Collection[str], what: str, *, secretive: bool) -> None:
    if secretive and _SECRET_KEY.search(key.value):
        page.fault(key, "secret", "a secret does not belong in a manifest", KEEP_OUT)
        return
    meant = nearest(key.value, known)
    way_on = f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}"
    shown = "of that name" if secretive and not _WORD.fullmatch(key.value) else repr(printable(key.value, 60))
    page.fault(key, "unknown-key", f"{what} has no key {shown}", way_on)


def text(page: Page, node: Node, what: str, *, secret: bool = False, if_empty: str = "give it a text") -> str | None:
    """Return the node's text, or None once the fault is noted.

    Args:
        page: Where faults go.
        node: Ought to be text.
        what: What the text is, for messages.
        secret: Whether the value may hold a secret and is never to be shown.
        if_empty: The way on where there is no value.
    """
    if node.tag == STR and isinstance(node.value, str):
        return node.value
    if node.tag == NULL:
        page.fault(node, "wrong-type", f"{what} is empty", if_empty)
    elif not node.tag.startswith("tag:yaml.org,2002:") or not _is_plain(node):
        page.fault(node, "wrong-type", f"{what} has a tag, {_tag(node)}", "remove the tag")
    elif isinstance(node.value, str):
        shown = "this" if secret else printable(node.value, 60)
        way_on = "put it in quotes" if secret else f'quote it: "{shown}"'
        page.fault(node, "wrong-type", f"{what} must be text, but YAML reads {shown} as {described(node)}", way_on)
    else:
        page.fault(node, "wrong-type", f"{what} must be text, but this is {described(node)}", "write one line of text")
    return None


def _tag(node: Node) -> str:
    return printable(node.tag.replace("tag:yaml.org,2002:", "!!"), 60)


def _is_plain(node: Node) -> bool:
    kind = node.tag.rpartition(":")[2]
    return kind in _KINDS or kind in ("str", "seq", "map")


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
