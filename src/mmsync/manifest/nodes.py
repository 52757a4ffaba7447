"""Questions asked of YAML nodes; whatever does not fit is noted as an error on the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeVar

from mmsync.engines import EXTENSIONS, normalised
from mmsync.manifest.syntax_errors import ODD_SPACES, odd_space, space_name
from mmsync.manifest.yaml_loader import MAP, MERGE, NULL, SEQ, STR, Page, lines_of
from mmsync.printable import printable
from mmsync.suggestions import nearest

if TYPE_CHECKING:
    from yaml.nodes import Node

_Value = TypeVar("_Value")

# The hint where a secret was found.
KEEP_OUT = "a manifest is shared: give the token with --token-file or MMSYNC_TOKEN, or in a profile"

SECRET_KEY = re.compile(
    r"token|passw|passphrase|secret|credential|bearer|authori|\bauth\b|api.?key|private.?key|\bpwd\b|\buser(?:name)?\b",
    re.IGNORECASE,
)
_ODD_START = re.compile(rf"-?([{ODD_SPACES}])")
_MOST_LOOKS = 50  # at the lines of unknown keys
_WORD = re.compile(r"[a-z][a-z _-]{0,24}", re.IGNORECASE)

# What keys begin with that mean nothing here, as in Docker Compose: a place for YAML anchors and for notes.
OWN_KEYS = "x-"

_KINDS = {
    SEQ: "a list",
    MAP: "a mapping",
    STR: "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "timestamp": "a date",
    "null": "nothing",
    "merge": "a merge key",
    "value": "a default value",
    "binary": "binary data",
}


def described(node: Node) -> str:
    """Return what ``node`` is, as the end of the sentence "but this is …"."""
    return _KINDS.get(node.tag) or _KINDS.get(node.tag.rpartition(":")[2]) or f"tagged {_tag(node)}"


def pairs(
    page: Page,
    node: Node,
    known: Collection[str],
    what: str,
    *,
    secretive: bool = False,
    extensible: bool = True,
) -> dict[str, Node]:
    """Return the values of a mapping by its keys, which are among ``known``, merge keys (``<<``) filled in.

    What does not fit is noted as an error about ``what``, for example ``a model``. Where it is ``secretive``, people
    put secrets there: an unknown key that is or names one is not repeated. Where it is ``extensible``, keys that begin
    with ``x-`` are the reader's own, whatever their values; one that names a secret is refused all the same.
    """
    if node.tag != MAP or isinstance(node.value, str):
        hint = f"{what} has keys: {', '.join(known)}"
        page.add_error(node, "wrong-type", f"{what} must be a mapping, but this is {described(node)}", hint)
        return {}
    found: dict[str, Node] = {}
    first: dict[str, Node] = {}  # the key nodes of what was found
    merged: dict[str, Node] = {}
    for key, value in node.value:
        if key.tag == MERGE:
            # Of several merged mappings the earlier wins (YAML's merge key).
            for source in value.value if value.tag == SEQ else [value]:
                if source.tag == MAP:
                    found_there = pairs(page, source, known, what, secretive=secretive, extensible=extensible)
                    merged = found_there | merged
                else:
                    summary = f"`<<` takes a mapping, but this is {described(source)}"
                    page.add_error(source, "wrong-type", summary, "write `<<: *name`")
        elif key.tag == NULL or isinstance(key.value, list):
            summary = f"a key must be text, but this is {described(key)}"
            page.add_error(key, "unknown-key", summary, "write `key: value`")
        elif extensible and key.value.startswith(OWN_KEYS):
            if SECRET_KEY.search(key.value):
                page.add_error(key, "secret", "a secret does not belong in a manifest", KEEP_OUT)
        elif key.value not in known:
            _unknown(page, key, known, what, secretive=secretive, extensible=extensible)
        elif key.value in found:
            hint = f"keep one; the first is on line {page.place(first[key.value]).line}"
            page.add_error(key, "duplicate-key", f"the key {key.value} is there twice", hint)
        else:
            first[key.value] = key
            found[key.value] = value
    return merged | found


def _unknown(page: Page, key: Node, known: Collection[str], what: str, *, secretive: bool, extensible: bool) -> None:
    if secretive and SECRET_KEY.search(key.value):
        page.add_error(key, "secret", "a secret does not belong in a manifest", KEEP_OUT)
        return
    if odd := _ODD_START.match(key.value):
        page.add_error(key, *odd_space(odd[1]))
        return
    meant = nearest(key.value, known)
    hint = f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}"
    if extensible and page.errors < _MOST_LOOKS and _defines_anchor(page, key):
        hint = f"name it {OWN_KEYS}{printable(key.value, 60)}: keys that begin with {OWN_KEYS} are yours"
    shown = "of that name" if secretive and not _WORD.fullmatch(key.value) else repr(printable(key.value, 60))
    page.add_error(key, "unknown-key", f"{what} has no key {shown}", hint, is_private=secretive)


def _defines_anchor(page: Page, key: Node) -> bool:
    """Tell whether an anchor is defined by the value of a key, which is what unknown keys are mostly for."""
    if "&" not in page.text or not _WORD.fullmatch(key.value):
        return False
    # A node does not keep its anchor.
    line = lines_of(page.text)[key.start_mark.line]
    return line.startswith(key.value, key.start_mark.column) and bool(
        re.compile(r" *: +&[^\s,\[\]{}]").match(line, key.start_mark.column + len(key.value))
    )


def text(page: Page, node: Node, what: str, *, secret: bool = False, if_empty: str = "give it a text") -> str | None:
    """Return the text of a node, or None once the error is noted.

    ``what`` the text is goes into messages, and ``if_empty`` is the hint where there is no value; a value that may
    hold a ``secret`` is never shown.
    """
    if node.tag == STR and isinstance(node.value, str):
        return node.value
    kind = node.tag.rpartition(":")[2]
    if node.tag == NULL:
        page.add_error(node, "wrong-type", f"{what} is empty", if_empty)
    elif not node.tag.startswith("tag:yaml.org,2002:") or kind not in {*_KINDS, "str", "seq", "map"}:
        page.add_error(node, "wrong-type", f"{what} has a tag, {_tag(node)}", "remove the tag")
    elif isinstance(node.value, str):
        shown = "this" if secret else printable(node.value, 60)
        hint = "put it in quotes" if secret else f'quote it: "{shown}"'
        page.add_error(node, "wrong-type", f"{what} must be text, but YAML reads {shown} as {described(node)}", hint)
    else:
        summary = f"{what} must be text, but this is {described(node)}"
        page.add_error(node, "wrong-type", summary, "write one line of text")
    return None


def _tag(node: Node) -> str:
    return printable(node.tag.replace("tag:yaml.org,2002:", "!!"), 60)


def description_text(page: Page, node: Node, what: str) -> str | None:
    """Return the text of a description, which may be empty, or None once the error is noted."""
    return text(page, node, what, if_empty='write "" to empty it, or leave the key out to keep what the server has')


def engine_text(page: Page, node: Node, what: str) -> str | None:
    """Return the code of an engine, or None once the error is noted; an unknown engine is no error.

    A known one in another case is read as the one that it is, and said: the server would refuse it as it is written.
    """
    engine = text(page, node, what)
    if engine is not None and (error := engine_error(engine)):
        page.add_error(node, "bad-engine", *error)
        return None
    if engine is not None and (code := normalised(engine)) != engine:
        page.add_warning(
            node, "engine-case", f"the engine {printable(engine, 60)} is spelt {code}", f"write {code}; it is read so"
        )
        return code
    return engine


def engine_of(page: Page, node: Node, found: dict[str, Node], what: str, default: str | None) -> str | None:
    """Return the engine that a model or rule names, else the default; None once the error is noted."""
    if "engine" not in found and default is None:
        page.add_error(node, "missing-key", f"{what} has no engine", "give it one, or one for all under defaults")
    return given(page, found, "engine", engine_text, default)


def boolean(page: Page, node: Node, what: str) -> bool:
    """Return a yes-or-no value; False once the error is noted."""
    if node.tag.endswith(":bool") and isinstance(node.value, str):
        return node.value.lower() in ("true", "yes", "on")
    summary = f"{what} must be true or false, but this is {described(node)}"
    page.add_error(node, "wrong-type", summary, "write true or false")
    return False


def items(page: Page, node: Node, what: str, hint: str) -> list[Node]:
    """Return the items of a list; none once the error is noted."""
    if node.tag == SEQ and isinstance(node.value, list):
        return list(node.value)
    summary = f"{what} is empty" if node.tag == NULL else f"{what} must be a list, but this is {described(node)}"
    page.add_error(node, "wrong-type", summary, hint)
    return []


def given(
    page: Page, found: dict[str, Node], key: str, read: Callable[[Page, Node, str], _Value], otherwise: _Value
) -> _Value:
    """Return what ``read`` makes of the value of ``key``; ``otherwise`` where the key is not there."""
    return read(page, found[key], key) if key in found else otherwise


def required(page: Page, node: Node, found: dict[str, Node], key: str, what: str, hint: str) -> str | None:
    """Return the text of ``key``, or None once it is noted that it is no text or missing from ``what``."""
    if key in found:
        return text(page, found[key], key)
    page.add_error(node, "missing-key", f"{what} has no {key}", hint)
    return None


# Control characters, line separators, lone surrogates, and what hides or reorders characters: a name with one of
# those looks like another name. The joiners U+200C and U+200D are letters' business in Persian and Indic scripts.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

# Unicode's category Zs, without the space that everybody types.
_SPACE_OF_ANOTHER_KIND = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")

MAX_NAME = 1_000  # characters of the longest name that is taken; it has to fit into an address


def name_error(name: str) -> tuple[str, str] | None:
    """Return what is wrong with a model's name and the hint, or None."""
    if not name:
        return "the name is empty", "give the model a name"
    if len(name) > MAX_NAME:
        return f"the name is {len(name):,} characters long", f"give it one of at most {MAX_NAME:,}"
    if found := _HIDDEN.search(name):
        return f"the name holds a control or invisible character, U+{ord(found[0]):04X}", "remove it"
    if name != name.strip():
        return f"the name {printable(name, 60)!r} starts or ends with {_edge(name)}", "remove the space"
    if name in (".", ".."):
        # RFC 3986, 5.2.4: clients and proxies take such a path segment out, percent-encoded or not.
        return f"the name {name!r} cannot be part of a URL", "choose another"
    return None


_CURLY_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f"


def name_warning(name: str) -> tuple[str, str, str] | None:
    """Return code, summary and hint where a name looks like another that is written plainly, or None."""
    if name.isascii():
        return None
    if name[0] in _CURLY_QUOTES and name[-1] in _CURLY_QUOTES:
        points = f"U+{ord(name[0]):04X} and U+{ord(name[-1]):04X}"
        hint = "write plain quotes, or none"
        return "odd-name", f"the quotes, {points}, are part of the name {printable(name, 60)}", hint
    if found := _SPACE_OF_ANOTHER_KIND.search(name):
        hint = "write a plain space: the two look alike, and are two names"
        return "odd-name", f"the name {printable(name, 60)} holds {space_name(found[0])}", hint
    return None


def unprintable_part(file: str) -> str:
    """Return what of a path that cannot be printed as it is no manifest can hold, in words."""
    odd = _SPACE_OF_ANOTHER_KIND.search(file)
    if odd and _SPACE_OF_ANOTHER_KIND.sub(" ", file).isprintable():
        return space_name(odd[0])
    return "a control character"


def _edge(text: str) -> str:
    """Return the space that a text starts or ends with, in words."""
    odd = _SPACE_OF_ANOTHER_KIND.search(text[: len(text) - len(text.lstrip())] + text[len(text.rstrip()) :])
    return space_name(odd[0]) if odd else "a space"


# A set as fnmatch reads it: a `]` right behind `[` or `[!` is one of the set.
_SET = re.compile(r"\[!?+\]?+[^\]]*+\]")


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
    if "[" in _SET.sub("", glob):
        summary = f"the pattern {printable(glob, 60)!r} has a `[` that is never closed"
        return summary, "close it, or write [[] for itself"
    return None


def engine_error(engine: str) -> tuple[str, str] | None:
    """Return what is wrong with the text of an engine's code and the hint, or None."""
    if engine.strip() != engine and engine.strip() and (edge := _edge(engine)) != "a space":
        return f"the engine {printable(engine.strip(), 60)} starts or ends with {edge}", "remove it"
    if not engine.strip() or _HIDDEN.search(engine) or engine != engine.strip():
        return "the engine is empty or holds stray spaces or control characters", "name an engine, for example ONNX"
    return None


def unknown_engine(engine: str, place: str = "") -> tuple[str, str, str] | None:
    """Return code, summary and hint where the engine is not one that is known of, or None.

    A server refuses those that it does not know only once the file was uploaded; that is told before. It may know
    others than we do: for those there is ``inspect: false``, which sends what we cannot judge; ``place`` says where
    that stands if not beside the engine.
    """
    if engine in EXTENSIONS:
        return None
    meant = nearest(engine, EXTENSIONS)
    hint = f"write {meant}" if meant else f"known engines: {', '.join(EXTENSIONS)}"
    hint += f"; where the server does have it, set inspect: false{place}"
    return "unknown-engine", f"there is no engine {printable(engine, 60)}", hint


def extension_warning(engine: str, file: str) -> tuple[str, str, str] | None:
    """Return code, summary and hint where the file's name is not that of the engine's models, or None."""
    expected = EXTENSIONS.get(engine)
    if not expected or file.lower().endswith(expected):
        return None
    # As they are said: an H2O, an ONNX, a UNICODE model.
    summary = f"an {engine} model" if engine[0] in "AEIO" or engine == "H2O" else f"a {engine} model"
    return "extension", f"{summary} usually ends in {' or '.join(expected)}", "check engine and file"
