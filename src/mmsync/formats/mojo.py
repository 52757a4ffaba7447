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
_END_RECORD = b"PK\x05\x06"
_END_RECORD_64 = b"PK\x06\x06"
_LOCATOR = b"PK\x06\x07"
_END_RECORD_REACH = 22 + 65535  # bytes from the end of the file: the record and the longest comment
_SIZE_LIMIT = 1 << 53


def read_zip(data: Window) -> Signature:
    """A zip that opens and holds something.

    Raises:
        Unfit: It is not one.
    """
    with open_zip(data) as archive:
        if not archive.namelist():
            raise FormatError("it is an empty zip archive")
        return Signature(runtime_size=unpacked_size(archive))


@contextlib.contextmanager
def open_zip(data: Window) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what it turns out to have wrong while it is read is `Unfit` as well."""
    _check_directory(data)
    try:
        with os.fdopen(os.dup(data.descriptor), "rb") as file, zipfile.ZipFile(file) as archive:
            if any(info.header_offset + info.compress_size > data.size for info in archive.infolist()):
                raise FormatError("it is no whole zip archive (an entry of it lies outside)")
            yield archive
    # RuntimeError: encrypted; NotImplementedError: unknown compression; the rest: damaged in one way or another.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, struct.error) as error:
        raise FormatError(f"it is no whole zip archive: {error}") from error
    except EOFError as error:
        raise FormatError("it is no whole zip archive (cut off)") from error


def read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The bytes of one entry.

    Raises:
        Unfit: There is no such entry, or it unpacks to more than ``limit`` bytes, whatever it claims.
    """
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise FormatError(f"it is no H2O model (MOJO): no {name} in it") from error
    with archive.open(info) as entry:
        content = entry.read(limit + 1)
    if len(content) > limit:
        raise FormatError(f"it is no H2O model (MOJO): {name} in it is larger than {limit} bytes")
    return content


def unpacked_size(archive: zipfile.ZipFile) -> int:
    """Return what all entries claim to unpack to, in bytes."""
    return min(sum(info.file_size for info in archive.infolist()), _SIZE_LIMIT)


def _check_directory(data: Window) -> None:
    """Refuse a central directory that ``zipfile`` would take too much memory for: it reads all of it at once."""
    tail = data[max(data.size - _END_RECORD_REACH, 0) : data.size]
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) < at + 22:
        begun = data[:4] == b"PK\x03\x04"
        raise FormatError("it is no whole zip archive", cut_off=begun)
    entries, directory_size = struct.unpack_from("<HL", tail, at + 10)
    if tail[at - 20 : at - 16] == _LOCATOR:  # zip64: the numbers that count are in its own record
        (place,) = struct.unpack_from("<Q", tail, at - 12)
        record = data[place : place + 56]
        if len(record) == 56 and record.startswith(_END_RECORD_64):  # noqa: PLR2004 - its length
            entries, directory_size = struct.unpack_from("<QQ", record, 32)
    if directory_size > _DIRECTORY_LIMIT or entries > _ENTRIES_LIMIT:
        raise FormatError(
            f"it is a zip archive of more than {_ENTRIES_LIMIT} entries or {_DIRECTORY_LIMIT >> 20} MiB of names"
        )


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
        raise FormatError("it is no H2O model (MOJO): its model.ini is not text") from error
    if not {"info", "columns"} & sections.keys():
        raise FormatError("it is no H2O model (MOJO): its model.ini has neither an [info] nor a [columns] section")
    info = dict(_pair(line, "=") for line in sections.get("info", []))
    columns = sections.get("columns", [])
    categorical = {_pair(line, ":")[0] for line in sections.get("domains", [])}
    features = columns[: _number(info.get("n_features"), len(columns))]
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
