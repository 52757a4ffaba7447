"""CatBoost models: ``CBM1``, the length of a FlatBuffer, the FlatBuffer, then tables that only matter to its engine.

The magic decides. What else is read (``TModelCore`` of CatBoost's ``model.fbs``) fills in the fields; a file whose
FlatBuffer makes no sense to us is taken without them.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from typing import Any

from mmsync.formats.types import Field, FormatError, Signature, Window

_MAGIC = b"CBM1"
_HEADER = 8  # the magic and a length of four bytes
_ITEMS_LIMIT = 100_000
_TEXT_LIMIT = 4 << 20  # bytes
_LABEL_TYPES = {"Integer": "int8", "Float": "float8", "Boolean": "bool"}  # otherwise String

# Places of fields in their tables, counted from 0.
_CORE_TREES, _CORE_INFO = 1, 2
_TREES_CATEGORICAL, _TREES_NUMERIC = 4, 5
_CATEGORICAL_INDEX, _CATEGORICAL_NAME = 1, 2
_NUMERIC_INDEX, _NUMERIC_NAME = 2, 4


def read_catboost(data: Window) -> Signature:
    """Return the features by their place in the training data, the category by the class names.

    Raises `FormatError` where the magic is missing or the file ends before the FlatBuffer does. It may go on: models
    with categorical or text features do.
    """
    head = data[:_HEADER]
    if not head.startswith(_MAGIC) and not _MAGIC.startswith(head):
        raise FormatError("it is no CatBoost model (CatBoost's begin with CBM1)")
    if len(head) < _HEADER or data.size < _HEADER + data.unpack("<I", len(_MAGIC)):
        raise FormatError("it is no whole CatBoost model (cut off)", cut_off=True)
    # Anything may be in there; an offset that leads outside is a struct.error, text that is no JSON a ValueError.
    with contextlib.suppress(struct.error, IndexError, ValueError, RecursionError):
        return _describe(_Table(data, _HEADER + data.unpack("<I", _HEADER)))
    return Signature()


def _describe(core: _Table) -> Signature:
    trees = core.table(_CORE_TREES)
    features: list[tuple[int, Field]] = []
    for kind, index, name, type_name in (
        (_TREES_CATEGORICAL, _CATEGORICAL_INDEX, _CATEGORICAL_NAME, "str"),
        (_TREES_NUMERIC, _NUMERIC_INDEX, _NUMERIC_NAME, "float8"),
    ):
        for feature in trees.tables(kind) if trees else ():
            place = feature.integer(index)
            features.append((place, Field(name=feature.text(name) or str(place), description=None, type=type_name)))
    notes = {note.text(0): note.text(1) for note in core.tables(_CORE_INFO)}
    classes: Any = json.loads(notes.get("class_params") or "{}")
    labels = classes.get("class_names") if isinstance(classes, dict) else None
    fields = [field for _, field in sorted(features, key=lambda feature: feature[0])]
    if isinstance(labels, list) and labels:
        category = "Binomial" if len(labels) == 2 else "Multinomial"  # noqa: PLR2004
        return Signature(_LABEL_TYPES.get(str(classes.get("class_label_type")), "str"), category, fields)
    return Signature("float8", "Regression", fields)


class _Table:
    """A FlatBuffer table: at ``at`` the distance back to its vtable, which says where each field is."""

    def __init__(self, data: Window, at: int) -> None:
        self._data = data
        self._at = at
        self._vtable = at - data.unpack("<i", at)
        self._vtable_size = data.unpack("<H", self._vtable)

    def _field(self, place: int) -> int:
        """Return where the field is; 0 where the table leaves it out."""
        slot = 4 + 2 * place
        if slot + 2 > self._vtable_size:
            return 0
        offset = self._data.unpack("<H", self._vtable + slot)
        return self._at + offset if offset else 0

    def _target(self, place: int) -> int:
        at = self._field(place)
        return at + self._data.unpack("<I", at) if at else 0

    def integer(self, place: int) -> int:
        at = self._field(place)
        return self._data.unpack("<i", at) if at else 0

    def text(self, place: int) -> str:
        at = self._target(place)
        size = self._data.unpack("<I", at) if at else 0
        if size > _TEXT_LIMIT:
            raise ValueError("a text too long to be one")
        return self._data[at + 4 : at + 4 + size].decode("utf-8", "replace")

    def table(self, place: int) -> _Table | None:
        at = self._target(place)
        return _Table(self._data, at) if at else None

    def tables(self, place: int) -> Iterator[_Table]:
        at = self._target(place)
        count = self._data.unpack("<I", at) if at else 0
        if count > _ITEMS_LIMIT:
            raise ValueError("a list too long to be one")
        for slot in range(at + 4, at + 4 + 4 * count, 4):
            yield _Table(self._data, slot + self._data.unpack("<I", slot))
