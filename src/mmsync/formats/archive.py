"""Zip archives: opened without unpacking them, and without trusting what they say of their size."""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from mmsync.formats.found import Signature, Unfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmsync.formats.window import Window

__all__ = ["open_zip", "read_entry", "read_zip", "unpacked_size"]

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
            raise Unfit("it is an empty zip archive")
        return Signature(runtime_size=unpacked_size(archive))


@contextlib.contextmanager
def open_zip(data: Window) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what it turns out to have wrong while it is read is `Unfit` as well."""
    _check_directory(data)
    try:
        with os.fdopen(os.dup(data.descriptor), "rb") as file, zipfile.ZipFile(file) as archive:
            if any(info.header_offset + info.compress_size > data.size for info in archive.infolist()):
                raise Unfit("it is no whole zip archive (an entry of it lies outside)")
            yield archive
    # RuntimeError: encrypted; NotImplementedError: unknown compression; the rest: damaged in one way or another.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, struct.error) as error:
        raise Unfit(f"it is no whole zip archive: {error}") from error
    except EOFError as error:
        raise Unfit("it is no whole zip archive (cut off)") from error


def read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The bytes of one entry.

    Raises:
        Unfit: There is no such entry, or it unpacks to more than ``limit`` bytes, whatever it claims.
    """
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise Unfit(f"it is no H2O model (MOJO): no {name} in it") from error
    with archive.open(info) as entry:
        content = entry.read(limit + 1)
    if len(content) > limit:
        raise Unfit(f"it is no H2O model (MOJO): {name} in it is larger than {limit} bytes")
    return content


def unpacked_size(archive: zipfile.ZipFile) -> int:
    """What all entries claim to unpack to, in bytes."""
    return min(sum(info.file_size for info in archive.infolist()), _SIZE_LIMIT)


def _check_directory(data: Window) -> None:
    """Refuse a central directory that ``zipfile`` would take too much memory for: it reads all of it at once."""
    tail = data[max(data.size - _END_RECORD_REACH, 0) : data.size]
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) < at + 22:
        begun = data[:4] == b"PK\x03\x04"
        raise Unfit("it is no whole zip archive", cut_off=begun)
    entries, directory_size = struct.unpack_from("<HL", tail, at + 10)
    if tail[at - 20 : at - 16] == _LOCATOR:  # zip64: the numbers that count are in its own record
        (place,) = struct.unpack_from("<Q", tail, at - 12)
        record = data[place : place + 56]
        if len(record) == 56 and record.startswith(_END_RECORD_64):  # noqa: PLR2004 - its length
            entries, directory_size = struct.unpack_from("<QQ", record, 32)
    if directory_size > _DIRECTORY_LIMIT or entries > _ENTRIES_LIMIT:
        raise Unfit(
            f"it is a zip archive of more than {_ENTRIES_LIMIT} entries or {_DIRECTORY_LIMIT >> 20} MiB of names"
        )
