"""H2O MOJOs: a zip whose ``model.ini`` lists the columns, their domains and the category.

The format is that of H2O's ``ModelMojoReader``: ``[info]`` holds ``key = value`` lines, ``[columns]`` a name a line
with the response last, ``[domains]`` a line ``column: count file`` for every categorical column.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator

from mmsync.formats.types import Field, FormatError, Signature, Window

_DIRECTORY_LIMIT = 16 << 20  # bytes of the central directory
_ENTRIES_LIMIT = 100_000  # a MOJO has a few for each tree
_END_RECORD_REACH = 22 + 65535  # bytes from the end of the file: the record and the longest comment


def read_zip(data: Window) -> Signature:
    """Return the unpacked size of a zip; raises `FormatError` where it does not open or holds nothing."""
    with open_zip(data) as (archive, size):
        if not archive.namelist():
            raise FormatError("it is an empty zip archive")
        return Signature(runtime_size=size)


@contextlib.contextmanager
def open_zip(data: Window) -> Iterator[tuple[zipfile.ZipFile, int]]:
    """Open an archive, with the bytes its entries claim to unpack to; what is wrong with either is a `FormatError`."""
    _check_directory(data)
    try:
        with os.fdopen(os.dup(data.descriptor), "rb") as file, zipfile.ZipFile(file) as archive:
            if any(not 0 <= info.header_offset <= data.size - info.compress_size for info in archive.infolist()):
                raise FormatError("it is no whole zip archive (an entry of it lies outside)")
            yield archive, min(sum(info.file_size for info in archive.infolist()), 1 << 53)
    # RuntimeError: encrypted; NotImplementedError: unknown compression; the rest: damaged in one way or another.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, struct.error) as error:
        raise FormatError(f"it is no whole zip archive: {error}") from error
    except EOFError as error:
        raise FormatError("it is no whole zip archive (cut off)") from error


def _check_directory(data: Window) -> None:
    """Refuse a central directory that ``zipfile`` would take too much memory for: it reads all of it at once."""
    tail = data[max(data.size - _END_RECORD_REACH, 0) : data.size]
    at = tail.rfind(b"PK\x05\x06")  # the record that ends every zip
    if at < 0 or len(tail) < at + 22:
        if data[:4] == b"PK\x03\x04":
            raise FormatError("it is no whole zip archive (cut off)", cut_off=True)
        raise FormatError("it is no whole zip archive")
    entries, directory_size = struct.unpack_from("<HL", tail, at + 10)
    if tail[at - 20 : at - 16] == b"PK\x06\x07":  # a zip64's locator: the numbers that count are in its own record
        (place,) = struct.unpack_from("<Q", tail, at - 12)
        record = data[place : place + 56]
        if len(record) == 56 and record.startswith(b"PK\x06\x06"):  # noqa: PLR2004 - its length
            entries, directory_size = struct.unpack_from("<QQ", record, 32)
    if directory_size > _DIRECTORY_LIMIT or entries > _ENTRIES_LIMIT:
        limits = f"{_ENTRIES_LIMIT} entries or {_DIRECTORY_LIMIT >> 20} MiB of names"
        raise FormatError(f"it is a zip archive of more than {limits}")


_INI_LIMIT = 4 << 20  # bytes
_FIELDS_LIMIT = 100_000
_OUTPUT_TYPES = {
    **dict.fromkeys(("Binomial", "Multinomial", "Ordinal"), "str"),
    **dict.fromkeys(("Regression", "AnomalyDetection"), "float8"),
    "Clustering": "int4",
}


def read_mojo(data: Window) -> Signature:
    """Return the features as fields, the category as H2O has it; `FormatError` without a readable ``model.ini``."""
    with open_zip(data) as (archive, size):
        if "model.ini" not in archive.namelist():
            raise FormatError("it is no H2O model (MOJO): no model.ini in it")
        with archive.open("model.ini") as entry:  # it may unpack to more than it claims
            content = entry.read(_INI_LIMIT + 1)
        if len(content) > _INI_LIMIT:
            raise FormatError(f"it is no H2O model (MOJO): model.ini in it is larger than {_INI_LIMIT} bytes")
    try:
        sections = _sections(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FormatError("it is no H2O model (MOJO): its model.ini is not text") from error
    if not {"info", "columns"} & sections.keys():
        raise FormatError("it is no H2O model (MOJO): its model.ini has neither an [info] nor a [columns] section")
    info = dict(_pair(line, "=") for line in sections.get("info", []))
    columns = sections.get("columns", [])
    categorical = {_pair(line, ":")[0] for line in sections.get("domains", [])}
    count = info.get("n_features", "")
    features = columns[: int(count[:9])] if count.isdecimal() else columns
    if len(features) > _FIELDS_LIMIT:
        raise FormatError(f"it is no H2O model (MOJO): its model.ini lists more than {_FIELDS_LIMIT} columns")
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
    for word in map(str.strip, text.splitlines()):
        if word.startswith("[") and word.endswith("]"):
            lines = sections.setdefault(word[1:-1], [])
        elif word:
            lines.append(word)
    return sections


def _pair(line: str, separator: str) -> tuple[str, str]:
    key, _, value = line.partition(separator)
    return key.strip(), value.strip()
