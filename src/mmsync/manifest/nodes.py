"""Questions asked of YAML nodes; whatever does not fit is noted as an error on the page."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from mmsync.engines import EXTENSIONS
from mmsync.manifest.yaml_loader import MAP, MERGE, NULL, SEQ, STR, Page, nearest
from mmsync.printable import printable

if TYPE_CHECKING:
    from yaml.nodes import Node

KEEP_OUT = "a manifest is shared: give the token with --token-file or MMSYNC_TOKEN, or in a profile"
"""The hint where a secret was found."""

KEEP_OR_EMPTY = 'write "" to empty it, or leave the key out to keep what the server has'
"""The hint where a description has no value."""

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
        page: Where errors go.
        known: The keys that may stand there.
        what: What the mapping is, for messages: ``a model``.
        secretive: Whether people put secrets there: an unknown key that is or names one is not repeated.
    """
    if node.tag != MAP or isinstance(node.value, str):
        hint = f"{what} has keys: {', '.join(known)}"
        page.add_error(node, "wrong-type", f"{what} must be a mapping, but this is {described(node)}", hint)
        return {}
    found: dict[str, Pair] = {}
    merged: dict[str, Pair] = {}
    for key, value in node.value:
        if key.tag == MERGE:
            _merge(page, value, known, what, merged, secretive=secretive)
            continue
        if key.tag == NULL or isinstance(key.value, list):
            page.add_error(
                key, "unknown-key", f"a key must be text, but this is {described(key)}", "write `key: value`"
            )
            continue
        word: str = key.value
        if word not in known:
            _unknown(page, key, known, what, secretive=secretive)
        elif word in found:
            first = page.place(found[word].key)
            summary = f"the key {word} is there twice"
            page.add_error(key, "duplicate-key", summary, f"keep one; the first is on line {first.line}")
        else:
            found[word] = Pair(key, value)
    return {**merged, **found}


def _merge(
    page: Page, value: Node, known: Collection[str], what: str, merged: dict[str, Pair], *, secretive: bool
) -> None:
    # Of several merged mappings the earlier wins (YAML's merge key).
    for source in value.value if value.tag == SEQ else [value]:
        if source.tag != MAP:
            page.add_error(
                source, "wrong-type", f"`<<` takes a mapping, but this is {described(source)}", "write `<<: *name`"
            )
            continue
        for word, pair in pairs(page, source, known, what, secretive=secretive).items():
            merged.setdefault(word, pair)


def _unknown(page: Page, key: Node, known: Collection[str], what: str, *, secretive: bool) -> None:
    if secretive and _SECRET_KEY.search(key.value):
        page.add_error(key, "secret", "a secret does not belong in a manifest", KEEP_OUT)
        return
    meant = nearest(key.value, known)
    hint = f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}"
    shown = "of that name" if secretive and not _WORD.fullmatch(key.value) else repr(printable(key.value, 60))
    page.add_error(key, "unknown-key", f"{what} has no key {shown}", hint)


def text(page: Page, node: Node, what: str, *, secret: bool = False, if_empty: str = "give it a text") -> str | None:
    """Return the node's text, or None once the error is noted.

    Args:
        page: Where errors go.
        what: What the text is, for messages.
        secret: Whether the value may hold a secret and is never to be shown.
        if_empty: The hint where there is no value.
    """
    if node.tag == STR and isinstance(node.value, str):
        return node.value
    if node.tag == NULL:
        page.add_error(node, "wrong-type", f"{what} is empty", if_empty)
    elif not node.tag.startswith("tag:yaml.org,2002:") or not _is_plain(node):
        page.add_error(node, "wrong-type", f"{what} has a tag, {_tag(node)}", "remove the tag")
    elif isinstance(node.value, str):
        shown = "this" if secret else printable(node.value, 60)
        hint = "put it in quotes" if secret else f'quote it: "{shown}"'
        page.add_error(node, "wrong-type", f"{what} must be text, but YAML reads {shown} as {described(node)}", hint)
    else:
        page.add_error(
            node, "wrong-type", f"{what} must be text, but this is {described(node)}", "write one line of text"
        )
    return None


def _tag(node: Node) -> str:
    return printable(node.tag.replace("tag:yaml.org,2002:", "!!"), 60)


def _is_plain(node: Node) -> bool:
    kind = node.tag.rpartition(":")[2]
    return kind in _KINDS or kind in ("str", "seq", "map")


def boolean(page: Page, node: Node, what: str) -> bool:
    """Return a yes-or-no value; False once the error is noted."""
    if node.tag.endswith(":bool") and isinstance(node.value, str):
        return node.value.lower() in ("true", "yes", "on")
    page.add_error(
        node, "wrong-type", f"{what} must be true or false, but this is {described(node)}", "write true or false"
    )
    return False


def items(page: Page, node: Node, what: str, hint: str) -> list[Node]:
    """Return the items of a list; none once the error is noted."""
    if node.tag == SEQ and isinstance(node.value, list):
        found: list[Node] = node.value
        return found
    is_null = node.tag == NULL
    problem = f"{what} is empty" if is_null else f"{what} must be a list, but this is {described(node)}"
    page.add_error(node, "wrong-type", problem, hint)
    return []


def absent(page: Page, node: Node, found: dict[str, Pair], key: str, what: str, hint: str) -> bool:
    """Tell whether ``key`` is missing, and note that as an error."""
    if key in found:
        return False
    page.add_error(node, "missing-key", f"{what} has no {key}", hint)
    return True


# Control characters, line separators, lone surrogates, and what hides or reorders characters: a name with one of
# those looks like another name. The joiners U+200C and U+200D are letters' business in Persian and Indic scripts.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_PIN = re.compile("[0-9a-f]{64}")

MAX_NAME = 1_000
"""Characters of the longest name that is taken; it has to fit into an address."""

PIN_LENGTH = 64
"""Hex digits of a sha256."""


def name_error(name: str) -> tuple[str, str] | None:
    """Return what is wrong with a model's name and the hint, or None."""
    if not name:
        return "the name is empty", "give the model a name"
    if len(name) > MAX_NAME:
        return f"the name is {len(name):,} characters long", f"give it one of at most {MAX_NAME:,}"
    if found := _HIDDEN.search(name):
        return f"the name holds a control or invisible character, U+{ord(found[0]):04X}", "remove it"
    if name != name.strip():
        return f"the name {printable(name, 60)!r} starts or ends with a space", "remove the space"
    if name in (".", ".."):
        # RFC 3986, 5.2.4: clients and proxies take such a path segment out, percent-encoded or not.
        return f"the name {name!r} cannot be part of a URL", "choose another"
    return None


def pattern_error(glob: str) -> tuple[str, str] | None:
    """Return what is wrong with a glob for names and the hint, or None."""
    if len(glob) > MAX_NAME:
        return f"the pattern is {len(glob):,} characters long", f"no name has more than {MAX_NAME:,}"
    if not glob:
        return "an empty pattern matches no name", 'remove it, or write "*" for every name'
    if found := _HIDDEN.search(glob):
        return f"the pattern holds a control or invisible character, U+{ord(found[0]):04X}", "remove it"
    if glob != glob.strip():
        return f"the pattern {printable(glob, 60)!r} starts or ends with a space", "remove the space"
    # fnmatch takes an unclosed bracket for itself; whoever wrote one meant a set of characters.
    if _has_open_bracket(glob):
        return (
            f"the pattern {printable(glob, 60)!r} has a `[` that is never closed",
            "close it, or write [[] for itself",
        )
    return None


def _has_open_bracket(glob: str) -> bool:
    at = glob.find("[")
    while at >= 0:
        # As fnmatch reads it: a `]` right behind `[` or `[!` is one of the set.
        first = at + 1 + (glob[at + 1 : at + 2] == "!")
        end = glob.find("]", first + (glob[first : first + 1] == "]"))
        if end < 0:
            return True
        at = glob.find("[", end)
    return False


def is_pin(text: str) -> bool:
    """Tell whether ``text`` is a sha256: 64 lower-case hex digits."""
    return _PIN.fullmatch(text) is not None


def engine_error(engine: str) -> tuple[str, str] | None:
    """Return what is wrong with an engine's code and the hint, or None; an unknown one is no error."""
    if not engine.strip() or _HIDDEN.search(engine) or engine != engine.strip():
        return "the engine is empty or holds stray spaces or control characters", "name an engine, for example ONNX"
    return None


def engine_warning(engine: str) -> tuple[str, str, str] | None:
    """Return code, summary and hint where the engine is not one that is known of, or None."""
    if engine in EXTENSIONS:
        return None
    shown = printable(engine, 60)
    if engine.upper() in EXTENSIONS:
        return "engine-case", f"the engine {shown} is spelt {engine.upper()}", f"write {engine.upper()}"
    meant = nearest(engine, EXTENSIONS)
    hint = f"did you mean {meant}?" if meant else f"known engines: {', '.join(EXTENSIONS)}"
    return "unknown-engine", f"the engine {shown} is not a known one; the server may refuse it", hint


def extension_warning(engine: str, file: str) -> tuple[str, str, str] | None:
    """Return code, summary and hint where the file's name is not that of the engine's models, or None."""
    expected = EXTENSIONS.get(engine)
    if not expected or file.lower().endswith(expected):
        return None
    summary = f"an {engine} model" if engine[0] in "AEIOU" and engine != "UNICODE" else f"a {engine} model"
    return "extension", f"{summary} usually ends in {' or '.join(expected)}", "check engine and file"
