"""The ledger: which content each server image holds, and the digests of files seen before.

A cache in one SQLite file. Deleting, losing or corrupting it costs time, never correctness: where the file fails
(see `mmsync.cachefile`) there is one warning, and the ledger lives in memory for the rest of the run.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from mmsync.cachefile import CacheFile
from mmsync.formats import INSPECTOR
from mmsync.states import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence, Set as AbstractSet
    from pathlib import Path
    from types import TracebackType

    from mmsync.states import FileKey, Observed, ServerName

__all__ = ["Held", "ImageKey", "Ledger", "image_key"]

_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    url TEXT NOT NULL, domain TEXT NOT NULL,
    model TEXT NOT NULL, created TEXT NOT NULL, image TEXT NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (url, domain, model, created, image)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    dev TEXT NOT NULL, ino TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL, content_size INTEGER NOT NULL, lfs INTEGER NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (dev, ino)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fits (
    sha256 TEXT NOT NULL, engine TEXT NOT NULL, inspector INTEGER NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (sha256, engine)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sweeps (
    url TEXT NOT NULL, domain TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (url, domain)) WITHOUT ROWID
"""
# A byte gone bad in the file can make any value one of another type.
_SOUND = "typeof(sha256) = 'text' AND typeof({size}) = 'integer'"
_DAY = 86_400
_KEPT = 90 * _DAY


class ImageKey(NamedTuple):
    """What names an image on a server for ever: ids are never reused, and a replacement has a new image id."""

    model: str
    created: str
    image: str


class Held(NamedTuple):
    """The content an image holds: sha256 in hex, size in bytes."""

    sha256: str
    size: int


_RowKey = tuple[
    str, str, int, int, int
]  # a FileKey: dev and ino as text, being unsigned where SQLite's integers are not
_FileContent = tuple[str, int, int]  # sha256, size in bytes, whether it is a Git LFS pointer


class Ledger:
    """The open ledger; safe in threads, and beside other processes on the same file.

    Args:
        path: The SQLite file, made with its folder where missing; None keeps everything in memory.
        warn: Called with one sentence, once, when the ledger cannot be used or kept.
        now: The time in whole seconds since the epoch, for forgetting what was not seen for 90 days.
    """

    def __init__(self, path: Path | None, *, warn: Callable[[str], None], now: int) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._files: dict[_RowKey, _FileContent] | None = None  # None: not read yet
        self._fits: set[tuple[str, str]] | None = None
        self._images: dict[ServerName, dict[ImageKey, Held]] = {}
        self._file = CacheFile(path, version=_VERSION, schema=_SCHEMA, what="ledger", warn=warn) if path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was learned is kept."""
        if self._file:
            self._file.close()

    def get(self, key: FileKey) -> Content | None:
        """Return the content remembered for a file whose stat is exactly ``key``, or None."""
        files = self._files
        if files is None:
            files = self._read_files()
        held = files.get(_row_key(key))
        return None if held is None else Content(held[0], held[1], key, bool(held[2]))

    def put(self, contents: Sequence[Content]) -> None:
        """Remember the contents of files under the stat they were read with."""
        with self._lock:
            self._read_files().update(
                (_row_key(content.key), (content.sha256, content.size, content.lfs)) for content in contents
            )
            self._write(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*_row_key(content.key), content.sha256, content.size, content.lfs, self._now)
                    for content in contents
                ],
            )

    def forget(self, keys: Sequence[FileKey]) -> None:
        """Drop what is remembered of files whose content proved to be another: they are hashed again next time."""
        with self._lock:
            files = self._read_files()
            for key in keys:
                files.pop(_row_key(key), None)
            self._write("DELETE FROM files WHERE dev = ? AND ino = ?", [_row_key(key)[:2] for key in keys])

    def fits(self) -> AbstractSet[tuple[str, str]]:
        """Return the contents found to be what an engine reads: sha256 and engine."""
        with self._lock:
            if self._fits is None:
                query = "SELECT sha256, engine FROM fits WHERE inspector = ?"
                self._fits = set(self._rows(query, (INSPECTOR,)))
            return self._fits

    def learn_fits(self, found: Iterable[tuple[str, str]]) -> None:
        """Remember contents that are what an engine reads."""
        with self._lock:
            self._fits = {*self.fits(), *found}
            rows = [(*each, INSPECTOR, self._now) for each in found]
            self._write("INSERT OR REPLACE INTO fits VALUES (?, ?, ?, ?)", rows)

    def images(self, server: ServerName) -> Mapping[ImageKey, Held]:
        """Return everything known of one server's images."""
        with self._lock:
            return dict(self._known(server))

    def learn(self, server: ServerName, images: Iterable[tuple[ImageKey, Held]]) -> None:
        """Remember which content images hold; they were uploaded or downloaded, and hashed, by us."""
        learned = list(images)
        with self._lock:
            self._known(server).update(learned)
            self._write(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(*server, *key, *held, self._now) for key, held in learned],
            )

    def seen(self, server: ServerName, observed: Iterable[Observed]) -> None:
        """Note which images the server still lists, and drop rows of images and files gone for 90 days.

        At most once a day and server, so that a plan with a warm ledger writes nothing.
        """
        with self._lock:
            if self._file is None:
                return
            query = "SELECT 1 FROM sweeps WHERE url = ? AND domain = ? AND at BETWEEN ? AND ?"
            if self._file.rows(query, (*server, self._now - _DAY, self._now)):
                return
            keys = [key for model in observed if (key := image_key(model))]
            self._write(
                "UPDATE images SET seen = ? WHERE url = ? AND domain = ? AND model = ? AND created = ? AND image = ?",
                [(self._now, *server, *key) for key in keys],
            )
            self._write("DELETE FROM images WHERE seen < ?", [(self._now - _KEPT,)])
            self._write("DELETE FROM files WHERE seen < ?", [(self._now - _KEPT,)])
            self._write("DELETE FROM fits WHERE seen < ?", [(self._now - _KEPT,)])
            self._write("INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?)", [(*server, self._now)])

    def _read_files(self) -> dict[_RowKey, _FileContent]:
        with self._lock:
            if self._files is None:
                query = "SELECT dev, ino, size, mtime_ns, ctime_ns, sha256, content_size, lfs FROM files"
                query += f" WHERE {_SOUND.format(size='content_size')}"
                self._files = {row[:5]: row[5:] for row in self._rows(query)}
            return self._files

    def _known(self, server: ServerName) -> dict[ImageKey, Held]:
        if server not in self._images:
            query = "SELECT model, created, image, sha256, size FROM images WHERE url = ? AND domain = ?"
            query += f" AND {_SOUND.format(size='size')}"
            self._images[server] = {
                (model, created, image): (sha256, size)  # type: ignore[misc]  # plain tuples, equal to the named ones: naming ten thousand is half of reading them
                for model, created, image, sha256, size in self._rows(query, tuple(server))
            }
        return self._images[server]

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        return self._file.rows(query, values) if self._file else []

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if self._file:
            self._file.write(statement, rows)


def _row_key(key: FileKey) -> _RowKey:
    return (str(key[0]), str(key[1]), key[2], key[3], key[4])


def image_key(model: Observed) -> ImageKey | None:
    """Return what names the model's image, or None where the server does not say enough to be sure."""
    if model.id is None or model.image_id is None:
        return None
    created = model.creation_date
    return ImageKey(str(model.id), "" if created is None else str(created), str(model.image_id))
