"""The entries of ``models``, in one quick pass with a thorough one for whatever is unusual."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, NamedTuple

from mmsync.engines import EXTENSIONS
from mmsync.manifest.loader import MAP, STR
from mmsync.manifest.nodes import absent, boolean, items, pairs, text
from mmsync.manifest.wording import engine_doubt, engine_fault, extension_doubt, is_pin, name_fault
from mmsync.printable import printable
from mmsync.states import Desired, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml.nodes import Node

    from mmsync.manifest.page import Page
    from mmsync.manifest.places import Refusal
    from mmsync.manifest.settings import Defaults

__all__ = ["Rules", "in_folder", "outside", "read_entries"]

_KEYS = ("name", "engine", "file", "description", "sha256", "allow_signature_change")
_PLAIN_KEYS = frozenset({"name", "engine", "file", "description"})


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


def read_entries(page: Page, node: Node, rules: Rules) -> list[Desired]:
    """Return the models listed, in the order of the file, without those that have faults."""
    defaults, scope, folder, taken, look = rules
    owned = re.compile("|".join(map(translate, scope))).match if scope else None
    file_name, usual_engine, usual_text, may_change = page.file, *defaults
    models: list[Desired] = []
    # The loop is what a plan of ten thousand models spends its time on: nothing in it is looked up twice.
    for entry in items(page, node, "models", "list the models, or write `models: []` for none"):
        mark = entry.start_mark
        source = Source(file_name, mark.line + 1, mark.column + 1)
        value = entry.value
        fields: dict[str, str] = {k.value: v.value for k, v in value if k.tag == STR == v.tag} if entry.tag == MAP else {}
        name = fields.get("name", "")
        engine = fields.get("engine", usual_engine)
        file = fields.get("file", "")
        if (
            fields
            and len(fields) == len(value)  # no key twice, none with an unusual value
            and fields.keys() <= _PLAIN_KEYS
            and name.isidentifier()
            and engine is not None
            and engine in EXTENSIONS
            and file.endswith(EXTENSIONS[engine])
            and file.isprintable()
            and not file.isspace()
        ):
            model: Desired | None = Desired(
                name,
                engine,
                file,
                in_folder(folder, file),
                fields.get("description", usual_text),
                None,
                may_change,
                source,
            )
        else:
            model = _read_closely(page, entry, rules, source)
        if model is None:
            continue
        if taken.setdefault(model.name, source) is not source:
            _claim(page, model.name, _value(entry, "name"), taken, source)
            continue
        if owned is not None and not owned(model.name):
            page.fault(_value(entry, "name"), "outside-scope", *outside(model.name, scope or ()), model=model.name)
        elif look is not None and (refusal := look(model.path)) is not None:
            code, summary, way_on = refusal
            page.fault(
                _value(entry, "file"), code, f"{printable(model.file, 200)}: {summary}", way_on, model=model.name
            )
        else:
            models.append(model)
    return models


def outside(name: str, scope: tuple[str, ...]) -> tuple[str, str]:
    """Return summary and way on for a name that no glob of ``scope`` matches."""
    shown = ", ".join(printable(glob, 60) for glob in scope[:5]) + (", …" if len(scope) > 5 else "")  # noqa: PLR2004 - a line's worth
    return f"the name {printable(name, 60)} is outside the scope", f"the scope is {shown}: rename it or widen the scope"


def _read_closely(page: Page, entry: Node, rules: Rules, source: Source) -> Desired | None:
    errors_before = page.errors
    found = pairs(page, entry, _KEYS, "a model")
    if not found:
        if entry.tag == MAP and not entry.value:
            page.fault(entry, "missing-key", "the model has neither name nor file", "write name, engine and file")
        return None
    values: dict[str, str] = {}
    for key in ("name", "engine", "file", "description"):
        if key in found and (value := text(page, found[key].value, key)) is not None:
            values[key] = value
    name, file, engine = values.get("name"), values.get("file"), values.get("engine", rules.defaults.engine)
    if name is not None and (fault := name_fault(name)):
        page.fault(found["name"].value, "bad-name", *fault, model=name)
    label = printable(name, 60) if name else "the model"
    absent(page, entry, found, "name", "the model", "every model has a name of its own")
    absent(page, entry, found, "file", label, "name its model file, relative to the manifest")
    if file is not None and (not file.strip() or not file.isprintable()):
        summary = "the file's path is empty or holds a control character"
        page.fault(found["file"].value, "bad-file", summary, "name the model file, relative to the manifest")
    if engine is None:
        if "engine" not in found:
            absent(page, entry, found, "engine", label, "give it one, or one for all under defaults")
    elif fault := engine_fault(engine):
        page.fault(found["engine"].value if "engine" in found else entry, "bad-engine", *fault)
    else:
        at = found["engine"].value if "engine" in found else entry
        if doubt := engine_doubt(engine):
            page.warn(at, *doubt, model=name or "")
        elif file and (doubt := extension_doubt(engine, file)):
            page.warn(found["file"].value, *doubt, model=name or "")
    sha256 = _pin(page, found["sha256"].value) if "sha256" in found else None
    allow = rules.defaults.allow_signature_change
    if "allow_signature_change" in found:
        allow = boolean(page, found["allow_signature_change"].value, "allow_signature_change")
    if page.errors > errors_before:
        if name:  # so that a second entry of that name is found out in the same run
            _claim(page, name, found["name"].value, rules.taken, source)
        return None
    assert name is not None
    assert file is not None
    assert engine is not None
    description = values.get("description", rules.defaults.description)
    return Desired(name, engine, file, in_folder(rules.folder, file), description, sha256, allow, source)


def _claim(page: Page, name: str, at: Node, taken: dict[str, Source], source: Source) -> None:
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


def _value(entry: Node, key: str) -> Node:
    """Return the value of ``key`` in an entry, own before merged; the entry itself where it is not plain to see."""
    return next((value for word, value in entry.value if word.value == key), entry)
