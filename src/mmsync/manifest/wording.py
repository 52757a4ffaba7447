"""What names, patterns, pins and engines must look like."""

from __future__ import annotations

import re

from mmsync.engines import EXTENSIONS
from mmsync.manifest.page import nearest
from mmsync.printable import printable

__all__ = [
    "MAX_NAME",
    "PIN_LENGTH",
    "engine_doubt",
    "engine_fault",
    "extension_doubt",
    "is_pin",
    "name_fault",
    "pattern_fault",
]

# Control characters, line separators, lone surrogates, and what hides or reorders characters: a name with one of
# those looks like another name. The joiners U+200C and U+200D are letters' business in Persian and Indic scripts.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_PIN = re.compile("[0-9a-f]{64}")

MAX_NAME = 1_000
"""Characters of the longest name that is taken; it has to fit into an address."""

PIN_LENGTH = 64
"""Hex digits of a sha256."""


def name_fault(name: str) -> tuple[str, str] | None:
    """Return what is wrong with a model's name and the way on, or None."""
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


def pattern_fault(glob: str) -> tuple[str, str] | None:
    """Return what is wrong with a glob for names and the way on, or None."""
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


def engine_fault(engine: str) -> tuple[str, str] | None:
    """Return what is wrong with an engine's code and the way on, or None; an unknown one is no fault."""
    if not engine.strip() or _HIDDEN.search(engine) or engine != engine.strip():
        return "the engine is empty or holds stray spaces or control characters", "name an engine, for example ONNX"
    return None


def engine_doubt(engine: str) -> tuple[str, str, str] | None:
    """Return code, summary and way on where the engine is not one that is known of, or None."""
    if engine in EXTENSIONS:
        return None
    shown = printable(engine, 60)
    if engine.upper() in EXTENSIONS:
        return "engine-case", f"the engine {shown} is spelt {engine.upper()}", f"write {engine.upper()}"
    meant = nearest(engine, EXTENSIONS)
    way_on = f"did you mean {meant}?" if meant else f"known engines: {', '.join(EXTENSIONS)}"
    return "unknown-engine", f"the engine {shown} is not a known one; the server may refuse it", way_on


def extension_doubt(engine: str, file: str) -> tuple[str, str, str] | None:
    """Return code, summary and way on where the file's name is not that of the engine's models, or None."""
    expected = EXTENSIONS.get(engine)
    if not expected or file.lower().endswith(expected):
        return None
    summary = f"an {engine} model" if engine[0] in "AEIOU" and engine != "UNICODE" else f"a {engine} model"
    return "extension", f"{summary} usually ends in {' or '.join(expected)}", "check engine and file"
