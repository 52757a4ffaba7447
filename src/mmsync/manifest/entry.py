"""One entry of ``models``, checked thoroughly."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmsync.manifest.loader import MAP
from mmsync.manifest.nodes import Pair, absent, boolean, pairs, text
from mmsync.manifest.wording import engine_doubt, engine_fault, extension_doubt, is_pin, name_fault
from mmsync.printable import printable
from mmsync.states import Desired, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml.nodes import Node

    from mmsync.manifest.page import Page
    from mmsync.manifest.places import Refusal
    from mmsync.manifest.settings import Defaults

__all__ = ["Rules", "claim", "in_folder", "outside", "read_closely"]

_KEYS = ("name", "engine", "file", "description", "sha256", "allow_signature_change")
_SHOWN = 5


class Rules(NamedTuple):
    """What one manifest's entries are held against.

    Attributes:
        defaults: What models get where they do not say.
        scope: The globs one of which a name must match; None where there are none.
        folder: The manifest's folder as the user named it; empty means the working directory.
        taken: Names already given, over all manifests, with the place of each.
        look: Says why a path may not be used; None where files are not to be checked.
    """

    defaults: Defaults
    scope: tuple[str, ...] | None
    folder: str
    taken: dict[str, Source]
    look: Callable[[str], Refusal | None] | None


def in_folder(folder: str, file: str) -> str:
    """Return the path to open ``file``, which is relative to ``folder`` unless absolute."""
    if not folder or file.startswith("/"):
        return file
    return folder + file if folder.endswith("/") else f"{folder}/{file}"


def outside(name: str, scope: tuple[str, ...]) -> tuple[str, str]:
    """Return summary and way on for a name that no glob of ``scope`` matches."""
    shown = ", ".join(printable(glob, 60) for glob in scope[:_SHOWN]) + (", …" if len(scope) > _SHOWN else "")
    return f"the name {printable(name, 60)} is outside the scope", f"the scope is {shown}: rename it or widen the scope"


def read_closely(page: Page, entry: Node, rules: Rules, source: Source) -> Desired | None:
    """Check everything about one entry; None once its faults are noted."""
    errors_before = page.errors
    found = pairs(page, entry, _KEYS, "a model")
    if not found:
        if entry.tag == MAP and not entry.value:
            page.fault(entry, "missing-key", "the model has neither name nor file", "write name, engine and file")
        return None
    name = _name(page, entry, found)
    label = printable(name, 60) if name else "the model"
    file = _file(page, entry, found, label)
    engine = _engine(page, entry, found, rules.defaults, file, label)
    description = rules.defaults.description
    if "description" in found:
        description = text(page, found["description"].value, "description")
    sha256 = _pin(page, found["sha256"].value) if "sha256" in found else None
    allow = rules.defaults.allow_signature_change
    if "allow_signature_change" in found:
        allow = boolean(page, found["allow_signature_change"].value, "allow_signature_change")
    if page.errors > errors_before or name is None or file is None or engine is None:
        if name:  # so that a second entry of that name is found out in the same run
            claim(page, name, found["name"].value, rules.taken, source)
        return None
    return Desired(name, engine, file, in_folder(rules.folder, file), description, sha256, allow, source)


def _name(page: Page, entry: Node, found: dict[str, Pair]) -> str | None:
    if absent(page, entry, found, "name", "the model", "every model has a name of its own"):
        return None
    name = text(page, found["name"].value, "name")
    if name is not None and (fault := name_fault(name)):
        page.fault(found["name"].value, "bad-name", *fault, model=name)
    return name


def _file(page: Page, entry: Node, found: dict[str, Pair], label: str) -> str | None:
    if absent(page, entry, found, "file", label, "name its model file, relative to the manifest"):
        return None
    file = text(page, found["file"].value, "file")
    if file is not None and (not file.strip() or not file.isprintable()):
        summary = "the file's path is empty or holds a control character"
        page.fault(found["file"].value, "bad-file", summary, "name the model file, relative to the manifest")
    return file


def _engine(
    page: Page, entry: Node, found: dict[str, Pair], defaults: Defaults, file: str | None, label: str
) -> str | None:
    at = found["engine"].value if "engine" in found else entry
    engine = text(page, at, "engine") if "engine" in found else defaults.engine
    if engine is None:
        if "engine" not in found:
            absent(page, entry, found, "engine", label, "give it one, or one for all under defaults")
    elif fault := engine_fault(engine):
        page.fault(at, "bad-engine", *fault)
    elif doubt := engine_doubt(engine):
        page.warn(at, *doubt, model=label)
    elif file and (doubt := extension_doubt(engine, file)):
        page.warn(found["file"].value, *doubt, model=label)
    return engine


def claim(page: Page, name: str, at: Node, taken: dict[str, Source], source: Source) -> None:
    """Give ``name`` to the entry at ``source``; note a fault where another has it."""
    first = taken.setdefault(name, source)
    if first is not source:
        where = f"line {first.line}" if first.file == page.file else str(first)
        summary = f"the name {printable(name, 60)} is given twice"
        page.fault(at, "duplicate-name", summary, f"the first is on {where}; rename or remove one", model=name)


def _pin(page: Page, node: Node) -> str | None:
    # A digest that happens to be all digits is a number to YAML, and plain to see what it is all the same.
    if isinstance(node.value, str) and is_pin(node.value):
        return node.value
    value = text(page, node, "sha256")
    if value is None:
        return None
    if is_pin(value.lower()):
        page.fault(node, "bad-pin", "the sha256 is in upper case", f"write {value.lower()}")
    else:
        summary = f"the sha256 is not 64 hex digits (it has {len(value)} characters)"
        page.fault(node, "bad-pin", summary, "copy it from `sha256sum FILE`")
    return None
