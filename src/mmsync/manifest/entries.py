"""One entry of ``models``, checked thoroughly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mmsync.engines import EXTENSIONS
from mmsync.files.allowed_paths import Denial
from mmsync.manifest.nodes import (
    KEEP_OR_EMPTY,
    MAX_NAME,
    PIN_LENGTH,
    Pair,
    absent,
    boolean,
    engine_error,
    engine_warning,
    extension_warning,
    is_pin,
    items,
    name_error,
    pairs,
    text,
)
from mmsync.manifest.yaml_loader import MAP, STR, Page
from mmsync.printable import printable
from mmsync.types import Desired, Patterns, Source

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.sections import Defaults

_KEYS = ("name", "engine", "file", "description", "sha256", "allow_signature_change", "inspect")
_SHOWN = 5


class Rules(NamedTuple):
    """The rules one manifest's entries are checked by.

    Attributes:
        defaults: What models get where they do not say.
        scope: The globs one of which a name must match; None where there are none.
        folder: The manifest's folder as the user named it; empty means the working directory.
        taken: Names already given, over all manifests, with the place of each.
        look: Says why a path may not be used; None where files are not to be checked.
    """

    defaults: Defaults
    scope: Patterns | None
    folder: str
    taken: dict[str, Source]
    check: Callable[[str], Denial | None] | None


def in_folder(folder: str, file: str) -> str:
    """Return the path to open ``file``, which is relative to ``folder`` unless absolute."""
    if not folder or file.startswith("/"):
        return file
    return folder + file if folder.endswith("/") else f"{folder}/{file}"


def outside(name: str, scope: Patterns) -> tuple[str, str]:
    """Return summary and hint for a name that nothing in ``scope`` means."""
    globs = scope.texts
    shown = ", ".join(printable(glob, 60) for glob in globs[:_SHOWN]) + (", …" if len(globs) > _SHOWN else "")
    return f"the name {printable(name, 60)} is outside the scope", f"rename it, or widen the scope: {shown}"


def read_closely(page: Page, entry: Node, rules: Rules, source: Source) -> Desired | None:
    """Check everything about one entry; None once its errors are noted."""
    errors_before = page.errors
    found = pairs(page, entry, _KEYS, "a model")
    if not found:
        if entry.tag == MAP and not entry.value:
            page.add_error(entry, "missing-key", "the model has neither name nor file", "write name, engine and file")
        return None
    name = _name(page, entry, found)
    label = printable(name, 60) if name else "the model"
    file = _file(page, entry, found, label)
    engine = _engine(page, entry, found, rules.defaults, file, label)
    description = rules.defaults.description
    if "description" in found:
        description = text(page, found["description"].value, "description", if_empty=KEEP_OR_EMPTY)
    sha256 = _pin(page, found["sha256"].value) if "sha256" in found else None
    allow = rules.defaults.allow_signature_change
    if "allow_signature_change" in found:
        allow = boolean(page, found["allow_signature_change"].value, "allow_signature_change")
    inspect = rules.defaults.inspect
    if "inspect" in found:
        inspect = boolean(page, found["inspect"].value, "inspect")
    at_name = found["name"].value if name is not None else None
    settle(page, rules, source, at_name, found["file"].value if file is not None else None)
    if page.errors > errors_before or name is None or file is None or engine is None:
        return None
    return Desired(name, engine, file, in_folder(rules.folder, file), description, sha256, allow, source, inspect)


def _name(page: Page, entry: Node, found: dict[str, Pair]) -> str | None:
    if absent(page, entry, found, "name", "the model", "every model has a name of its own"):
        return None
    name = text(page, found["name"].value, "name")
    if name is not None and (error := name_error(name)):
        page.add_error(found["name"].value, "bad-name", *error, model=name)
    return name


def _file(page: Page, entry: Node, found: dict[str, Pair], label: str) -> str | None:
    if absent(page, entry, found, "file", label, "name its model file, relative to the manifest"):
        return None
    file = text(page, found["file"].value, "file")
    if file is not None and (not file.strip() or not file.isprintable()):
        summary = "the file's path is empty or holds a control character"
        page.add_error(found["file"].value, "bad-file", summary, "name the model file, relative to the manifest")
        return None
    return file


def _engine(
    page: Page, entry: Node, found: dict[str, Pair], defaults: Defaults, file: str | None, label: str
) -> str | None:
    at = found["engine"].value if "engine" in found else entry
    engine = text(page, at, "engine") if "engine" in found else defaults.engine
    if engine is None:
        if "engine" not in found:
            absent(page, entry, found, "engine", label, "give it one, or one for all under defaults")
    elif error := engine_error(engine):
        page.add_error(at, "bad-engine", *error)
    elif warning := engine_warning(engine):
        page.add_warning(at, *warning, model=label)
    elif file and (warning := extension_warning(engine, file)):
        page.add_warning(found["file"].value, *warning, model=label)
    return engine


def settle(page: Page, rules: Rules, source: Source, at_name: Node | None, at_file: Node | None) -> None:
    """Hold an entry's name and file against what is around them; None stands for one that is wrong already.

    The name must be free, which it is for the entry at ``source`` if that has claimed it, and inside the scope; the
    file must be there.
    """
    name: str = at_name.value if at_name is not None else ""
    if at_name is not None and name:
        first = rules.taken.setdefault(name, source)
        if first is not source:
            where = f"line {first.line}" if first.file == page.file else str(first)
            summary = f"the name {printable(name, 60)} is given twice"
            page.add_error(
                at_name, "duplicate-name", summary, f"the first is on {where}; rename or remove one", model=name
            )
        if rules.scope is not None and name not in rules.scope:
            page.add_error(at_name, "outside-scope", *outside(name, rules.scope), model=name)
    if at_file is None or rules.check is None:
        return
    if refusal := rules.check(in_folder(rules.folder, at_file.value)):
        code, summary, hint = refusal
        page.add_error(at_file, code, f"{printable(at_file.value, 200)}: {summary}", hint, model=name)


def _pin(page: Page, node: Node) -> str | None:
    # A digest that happens to be all digits is a number to YAML, and plain to see what it is all the same.
    if isinstance(node.value, str) and is_pin(node.value):
        return node.value
    value = text(page, node, "sha256")
    if value is None:
        return None
    if is_pin(value.lower()):
        page.add_error(node, "bad-pin", "the sha256 is in upper case", f"write {value.lower()}")
    else:
        summary = (
            f"the sha256 has {len(value)} characters, not {PIN_LENGTH}"
            if len(value) != PIN_LENGTH
            else "the sha256 is not all hex"
        )
        page.add_error(node, "bad-pin", summary, "copy it from `sha256sum FILE`")
    return None


_PLAIN_KEYS = frozenset({"name", "engine", "file", "description"})


def read_entries(page: Page, node: Node, rules: Rules) -> list[Desired]:
    """Return the models listed, in the order of the file, without those that have errors."""
    defaults, scope, folder, taken, check = rules
    usual_engine, usual_text, may_change, is_inspected = defaults
    models: list[Desired] = []
    # The loop is what a plan of ten thousand models spends its time on: nothing in it is looked up twice.
    for count, entry in enumerate(items(page, node, "models", "list the models, or write `models: []` for none")):
        if not count & 0xFF:
            page.budget.check()
        source = page.place(entry)
        value = entry.value
        fields: dict[str, str] = (
            {k.value: v.value for k, v in value if k.tag == STR == v.tag} if entry.tag == MAP else {}
        )
        name = fields.get("name", "")
        engine = fields.get("engine", usual_engine)
        file = fields.get("file", "")
        if (
            fields
            and len(fields) == len(value)  # no key twice, none with an unusual value
            and fields.keys() <= _PLAIN_KEYS
            and name.isidentifier()
            and len(name) <= MAX_NAME
            and engine is not None
            and engine in EXTENSIONS
            and file.endswith(EXTENSIONS[engine])
            and file.isprintable()
            and not file.isspace()
        ):
            model = Desired(
                name,
                engine,
                file,
                in_folder(folder, file),
                fields.get("description", usual_text),
                None,
                may_change,
                source,
                is_inspected,
            )
        else:
            closely = read_closely(page, entry, rules, source)
            if closely is not None:
                models.append(closely)
            continue
        if (
            taken.setdefault(name, source) is source
            and (scope is None or name in scope)
            and (check is None or check(model.path) is None)
        ):
            models.append(model)
        else:
            settle(page, rules, source, _value(entry, "name"), _value(entry, "file"))
    return models


def _value(entry: Node, key: str) -> Node:
    found: Node = next(value for word, value in entry.value if word.value == key)
    return found
