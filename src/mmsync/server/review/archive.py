"""Zip archives: opened without unpacking them, and without trusting what they say of their size."""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from mmsync.server.review.found import Review, Unfit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["open_zip", "read_entry", "review_zip", "unpacked_size"]

_DIRECTORY_LIMIT = 8 << 20  # bytes of the central directory: some hundred thousand entries
_END_RECORD = b"PK\x05\x06"
_END_RECORD_REACH = 22 + 65535  # bytes from the end of the file: the record and the longest comment
_SIZE_LIMIT = 1 << 53


def review_zip(path: Path) -> Review:
    """A zip that opens and holds something.

    Raises:
        Unfit: It is not one.
    """
    with open_zip(path) as archive:
        if not archive.namelist():
            raise Unfit("The zip archive is empty")
        return Review(runtime_size=unpacked_size(archive))


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what it turns out to have wrong while it is read is `Unfit` as well."""
    _check_directory_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    # RuntimeError: encrypted; NotImplementedError: unknown compression; the rest: damaged in one way or another.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError, struct.error) as error:
        raise Unfit(f"The file is not a readable zip archive: {error}") from error
    except EOFError as error:
        raise Unfit("The zip archive is truncated") from error


def read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The bytes of one entry.

    Raises:
        Unfit: There is no such entry, or it unpacks to more than ``limit`` bytes, whatever it claims.
    """
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise Unfit(f"The zip archive has no {name}") from error
    with archive.open(info) as entry:
        content = entry.read(limit + 1)
    if len(content) > limit:
        raise Unfit(f"{name} in the zip archive is larger than {limit} bytes")
    return content


def unpacked_size(archive: zipfile.ZipFile) -> int:
    """What all entries claim to unpack to, in bytes."""
    return min(sum(info.file_size for info in archive.infolist()), _SIZE_LIMIT)


def _check_directory_size(path: Path) -> None:
    """Refuse a central directory that ``zipfile`` would take too much memory for: it reads all of it at once."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _END_RECORD_REACH, 0))
        tail = file.read()
    at = tail.rfind(_END_RECORD)
    if at < 0 or len(tail) < at + 22:
        raise Unfit("The file is not a zip archive")
    (directory_size,) = struct.unpack_from("<L", tail, at + 12)
    if directory_size > _DIRECTORY_LIMIT:
        raise Unfit("The zip archive has too many entries")
