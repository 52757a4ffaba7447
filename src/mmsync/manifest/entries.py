"""The entries of ``models``, in one quick pass; whatever is unusual goes to `mmsync.manifest.entry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.engines import EXTENSIONS
from mmsync.manifest.entry import Rules, in_folder, read_closely, settle
from mmsync.manifest.loader import MAP, STR
from mmsync.manifest.nodes import items
from mmsync.manifest.wording import MAX_NAME
from mmsync.states import Desired

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.page import Page

__all__ = ["read_entries"]

_PLAIN_KEYS = frozenset({"name", "engine", "file", "description"})


def read_entries(page: Page, node: Node, rules: Rules) -> list[Desired]:
    """Return the models listed, in the order of the file, without those that have faults."""
    defaults, scope, folder, taken, look = rules
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
            and (look is None or look(model.path) is None)
        ):
            models.append(model)
        else:
            settle(page, rules, source, _value(entry, "name"), _value(entry, "file"))
    return models


def _value(entry: Node, key: str) -> Node:
    found: Node = next(value for word, value in entry.value if word.value == key)
    return found
