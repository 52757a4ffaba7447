"""H2O MOJOs: a zip whose ``model.ini`` lists the columns, their domains and the category.

The format is that of H2O's ``ModelMojoReader``: ``[info]`` holds ``key = value`` lines, ``[columns]`` a name a line
with the response last, ``[domains]`` a line ``column: count file`` for every categorical column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.formats.archive import open_zip, read_entry, unpacked_size
from mmsync.formats.found import Field, Signature, Unfit

if TYPE_CHECKING:
    from mmsync.formats.window import Window

__all__ = ["read_mojo"]

_INI_LIMIT = 4 << 20  # bytes
_FIELDS_LIMIT = 100_000
_OUTPUT_TYPES = {
    "Binomial": "str",
    "Multinomial": "str",
    "Ordinal": "str",
    "Regression": "float8",
    "AnomalyDetection": "float8",
    "Clustering": "int4",
}


def read_mojo(data: Window) -> Signature:
    """The features as fields, the category as H2O has it.

    Raises:
        Unfit: It is no zip, or has no readable ``model.ini``.
    """
    with open_zip(data) as archive:
        content = read_entry(archive, "model.ini", _INI_LIMIT)
        size = unpacked_size(archive)
    try:
        sections = _sections(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unfit("it is no H2O model (MOJO): its model.ini is not text") from error
    if not {"info", "columns"} & sections.keys():
        raise Unfit("it is no H2O model (MOJO): its model.ini has neither an [info] nor a [columns] section")
    info = dict(_pair(line, "=") for line in sections.get("info", []))
    columns = sections.get("columns", [])
    categorical = {_pair(line, ":")[0] for line in sections.get("domains", [])}
    features = columns[: _number(info.get("n_features"), len(columns))]
    if len(features) > _FIELDS_LIMIT:
        raise Unfit(f"it is no H2O model (MOJO): its model.ini lists more than {_FIELDS_LIMIT} columns")
    category = info.get("category") or None
    return Signature(
        output_type=_OUTPUT_TYPES.get(category or ""),
        category=category,
        fields=[
            Field(name=name, description=None, type="str" if str(place) in categorical else "float8")
            for place, name in enumerate(features)
        ],
        runtime_size=size,
    )


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        word = line.strip()
        if word.startswith("[") and word.endswith("]"):
            lines = sections.setdefault(word[1:-1], [])
        elif word:
            lines.append(word)
    return sections


def _pair(line: str, separator: str) -> tuple[str, str]:
    key, _, value = line.partition(separator)
    return key.strip(), value.strip()


def _number(text: str | None, otherwise: int) -> int:
    return int(text[:9]) if text is not None and text.isdecimal() else otherwise
