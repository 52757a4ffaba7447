"""The entries of ``models``, in one quick pass; whatever is unusual goes to `mmsync.manifest.entry`."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING

from mmsync.engines import EXTENSIONS
from mmsync.manifest.entry import Rules, claim, in_folder, outside, read_closely
from mmsync.manifest.loader import MAP, STR
from mmsync.manifest.nodes import items
from mmsync.printable import printable
from mmsync.states import Desired, Source

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.page import Page

__all__ = ["read_entries"]

_PLAIN_KEYS = frozenset({"name", "engine", "file", "description"})


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
            model = read_closely(page, entry, rules, source)
        if model is None:
            continue
        if taken.setdefault(model.name, source) is not source:
            claim(page, model.name, _value(entry, "name"), taken, source)
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


def _value(entry: Node, key: str) -> Node:
    """Return the value of ``key`` in an entry, own before merged; the entry itself where it is not plain to see."""
    return next((value for word, value in entry.value if word.value == key), entry)
