"""The entries of ``models``: one quick pass, and a thorough check of whatever is unusual."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from mmsync.engines import EXTENSIONS
from mmsync.files.allowed_paths import Denial
from mmsync.files.near_misses import file_hint
from mmsync.manifest.nodes import (
    MAX_NAME,
    boolean,
    description_text,
    engine_of,
    extension_warning,
    given,
    items,
    name_error,
    name_warning,
    pairs,
    required,
    text,
    unknown_engine,
    unprintable_part,
)
from mmsync.manifest.plain_entries import Row
from mmsync.manifest.yaml_loader import MAP, STR, Page
from mmsync.printable import printable
from mmsync.types import Desired, Patterns, Source

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.sections import Defaults

_KEYS = ("name", "engine", "file", "description", "sha256", "allow_signature_change", "inspect", "protect")
_PLAIN_KEYS = frozenset({"name", "engine", "file", "description", "sha256"})
_PIN = re.compile("[0-9a-f]{64}")  # a sha256
_PIN_LENGTH = 64
_SHOWN = 5
_MOST_LOOKS = 50  # at what is there in place of missing files


class Rules(NamedTuple):
    """The rules one manifest's entries are checked by."""

    defaults: Defaults  # what models get where they do not say
    scope: Patterns | None  # the globs one of which a name must match; None where there are none
    folder: str  # the manifest's folder as the user named it; empty means the working directory
    taken: dict[str, Source]  # names already given, over all manifests, with the place of each
    check: Callable[[str], Denial | None] | None  # says why a path may not be used; None: files are not to be checked


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
    usual, errors_before = rules.defaults, page.errors
    found = pairs(page, entry, _KEYS, "a model")
    if not found:
        if page.errors == errors_before:
            page.add_error(entry, "missing-key", "the model has neither name nor file", "write name, engine and file")
        return None
    name = required(page, entry, found, "name", "the model", "every model has a name of its own")
    if name is not None and (error := name_error(name)):
        page.add_error(found["name"], "bad-name", *error, model=name)
    elif name is not None and (odd := name_warning(name)):
        page.add_warning(found["name"], *odd, model=name)
    label = printable(name, 60) if name else "the model"
    file = required(page, entry, found, "file", label, "name its model file, relative to the manifest")
    if file is not None and (not file.strip() or not file.isprintable()):
        summary = f"the file's path is empty or holds {unprintable_part(file)}"
        page.add_error(found["file"], "bad-file", summary, "name the model file, relative to the manifest")
        file = None
    engine = engine_of(page, entry, found, label, usual.engine)
    inspect = given(page, found, "inspect", boolean, usual.inspect)
    if engine is not None and (unknown := unknown_engine(engine)):
        if inspect:
            page.add_error(found.get("engine", entry), *unknown, model=label)
    elif engine and file and (warning := extension_warning(engine, file)):
        page.add_warning(found["file"], *warning, model=label)
    description = given(page, found, "description", description_text, usual.description)
    sha256 = given(page, found, "sha256", _pin, None)
    may_change = given(page, found, "allow_signature_change", boolean, usual.allow_signature_change)
    protect = given(page, found, "protect", boolean, usual.protect)
    at_name = found["name"] if name is not None else None
    check_name_and_file(page, rules, source, at_name, found["file"] if file is not None else None)
    if page.errors > errors_before or name is None or file is None or engine is None:
        return None
    path = in_folder(rules.folder, file)
    return Desired(name, engine, file, path, description, sha256, may_change, source, inspect, protect)


def check_name_and_file(page: Page, rules: Rules, source: Source, at_name: Node | None, at_file: Node | None) -> None:
    """Check an entry's name and file against what is around them; None stands for one that is wrong already.

    The name must be free, which it is for the entry at ``source`` if that has claimed it, and inside the scope; the
    file must be there.
    """
    name: str = at_name.value if at_name is not None else ""
    if at_name is not None and name:
        first = rules.taken.setdefault(name, source)
        if first is not source:
            where = f"line {first.line}" if first.file == page.file else str(first)
            summary = f"the name {printable(name, 60)} is given twice"
            hint = f"the first is on {where}; rename or remove one"
            page.add_error(at_name, "duplicate-name", summary, hint, model=name)
        if rules.scope is not None and name not in rules.scope:
            page.add_error(at_name, "outside-scope", *outside(name, rules.scope), model=name)
    if at_file is not None and rules.check and (denial := rules.check(in_folder(rules.folder, at_file.value))):
        code, summary, hint = denial
        # Where nothing is where it should be, each look would cost as much, and tell nothing more.
        if code == "file-missing" and page.errors < _MOST_LOOKS:
            hint = printable(file_hint(rules.folder, at_file.value), 400) or hint
        page.add_error(at_file, code, f"{printable(at_file.value, 200)}: {summary}", hint, model=name)


def _pin(page: Page, node: Node, what: str) -> str | None:
    # A digest that happens to be all digits is a number to YAML, and plain to see what it is all the same.
    value = node.value if isinstance(node.value, str) and _PIN.fullmatch(node.value) else text(page, node, what)
    if value is None or _PIN.fullmatch(value):
        return value
    if _PIN.fullmatch(value.lower()):
        page.add_error(node, "bad-pin", "the sha256 is in upper case", f"write {value.lower()}")
        return None
    count = len(value)
    why = f"has {count} characters, not {_PIN_LENGTH}" if count != _PIN_LENGTH else "is not all hex"
    page.add_error(node, "bad-pin", f"the sha256 {why}", "copy it from `sha256sum FILE`")
    return None


def read_entries(page: Page, node: Node, rules: Rules, rows: Iterable[Row] = ()) -> list[Desired]:
    """Return the models listed, in the order of the file, without those that have errors.

    ``rows`` are those that were set aside, and are not in ``node``.
    """
    read_plain = _plain_reader(rules)
    rows_by_line = {row.before: row for row in rows}
    models: list[Desired] = []
    for count, entry in enumerate(items(page, node, "models", "list the models, or write `models: []` for none")):
        if not count & 0xFF:
            page.budget.check()
        source = page.place(entry)
        value = entry.value
        fields: dict[str, str] = (
            {k.value: v.value for k, v in value if k.tag == STR == v.tag} if entry.tag == MAP else {}
        )
        # No key twice, none with an unusual value.
        is_plain = len(fields) == len(value) and fields.keys() <= _PLAIN_KEYS
        if model := (read_plain(fields, source) if is_plain else None) or read_closely(page, entry, rules, source):
            models.append(model)
        if row := rows_by_line.get(entry.start_mark.line):
            models += _read_row(page, row, rules, read_plain)
    return models


def _read_row(page: Page, row: Row, rules: Rules, read_plain: _PlainReader) -> Iterator[Desired]:
    """Yield the models of entries that were set aside, without those that have errors."""
    file, column = page.file, row.column + 1
    for count, entry in enumerate(row.entries):
        if not count & 0xFF:
            page.budget.check()
        source = Source(file, entry.line + 1, column)
        if model := read_plain(entry.fields, source) or read_closely(page, entry.node(row.column), rules, source):
            yield model


_PlainReader = Callable[[dict[str, str], Source], Desired | None]


def _plain_reader(rules: Rules) -> _PlainReader:
    """Return what makes a model of an entry's fields; it returns None for one that has to be read closely.

    It is what a plan of ten thousand models spends its time on: nothing in it is looked up twice.
    """
    defaults, scope, folder, taken, check = rules
    usual_engine, usual_text, may_change, is_inspected, protect = defaults

    def read_plain(fields: dict[str, str], source: Source) -> Desired | None:
        name = fields.get("name", "")
        engine = fields.get("engine", usual_engine)
        file = fields.get("file", "")
        sha256 = fields.get("sha256")
        if (
            (name.isidentifier() or (name_error(name) is None and name_warning(name) is None))
            and len(name) <= MAX_NAME
            and engine is not None
            and (expected := EXTENSIONS.get(engine)) is not None
            and (file.endswith(expected) or not expected)
            and file.isprintable()
            and not file.isspace()
            and (sha256 is None or _PIN.fullmatch(sha256))
        ):
            path = in_folder(folder, file)
            if (
                taken.setdefault(name, source) is source
                and (scope is None or name in scope)
                and (check is None or check(path) is None)
            ):
                description = fields.get("description", usual_text)
                return Desired(name, engine, file, path, description, sha256, may_change, source, is_inspected, protect)
        return None

    return read_plain
