"""The ledger: which content each server image holds, and the digests of files seen before.

A cache in one SQLite file. Deleting, losing or corrupting it costs time, never correctness: every failure of
SQLite or of the disk becomes one warning, after which the ledger lives in memory for the rest of the run.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, NamedTuple, Self

from mmsync.states import Content, FileKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from mmsync.states import Observed, ServerName

__all__ = ["Held", "ImageKey", "Ledger", "image_key"]

_SCHEMA_VERSION = 1
_SCHEMA = f"""
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
CREATE TABLE IF NOT EXISTS sweeps (
    url TEXT NOT NULL, domain TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (url, domain)) WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA_VERSION};
"""
_DAY = 86_400
_KEPT = 90 * _DAY
_BUSY = 10.0  # seconds to wait for another mmsync's write


class ImageKey(NamedTuple):
    """What names an image on a server for ever: ids are never reused, and a replacement has a new image id."""

    model: str
    created: str
    image: str


class Held(NamedTuple):
    """The content an image holds: sha256 in hex, size in bytes."""

    sha256: str
    size: int


_FileContent = tuple[str, int, int]  # sha256, size in bytes, whether it is a Git LFS pointer


class Ledger:
    """The open ledger; safe in threads, and beside other processes on the same file.

    Args:
        path: The SQLite file, made with its folder where missing; None keeps everything in memory.
        warn: Called with one sentence, once, when the ledger cannot be used or kept.
        now: The time in whole seconds since the epoch, for forgetting what was not seen for 90 days.
    """

    def __init__(self, path: Path | None, *, warn: Callable[[str], None], now: int) -> None:
        self._path = path
        self._warn = warn
        self._now = now
        self._warned = False
        self._lock = threading.RLock()
        self._files: dict[FileKey, _FileContent] | None = {} if path is None else None  # None: not read yet
        self._images: dict[ServerName, dict[ImageKey, Held]] = {}
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            self._open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was learned is kept."""
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def get(self, key: FileKey) -> Content | None:
        """Return the content remembered for a file whose stat is exactly ``key``, or None."""
        files = self._files
        if files is None:
            files = self._read_files()
        held = files.get(key)
        return None if held is None else Content(held[0], held[1], key, bool(held[2]))

    def put(self, contents: Sequence[Content]) -> None:
        """Remember the contents of files under the stat they were read with."""
        with self._lock:
            self._read_files().update(
                (content.key, (content.sha256, content.size, content.lfs)) for content in contents
            )
            self._write(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    # dev and ino are unsigned 64-bit, SQLite's integers are signed: text holds both.
                    (str(key.dev), str(key.ino), *key[2:], content.sha256, content.size, content.lfs, self._now)
                    for content in contents
                    for key in (content.key,)
                ],
            )

    def images(self, server: ServerName) -> Mapping[ImageKey, Held]:
        """Return everything known of one server's images."""
        with self._lock:
            return dict(self._known(server))

    def learn(self, server: ServerName, images: Iterable[tuple[ImageKey, Held]]) -> None:
        """Remember which content images hold; they were uploaded or downloaded, and hashed, by us."""
        learned = list(images)
        if not learned:
            return
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
            if self._connection is None:
                return
            try:
                row = self._connection.execute(
                    "SELECT at FROM sweeps WHERE url = ? AND domain = ?", tuple(server)
                ).fetchone()
            except sqlite3.Error as fault:
                self._give_up("read", fault)
                return
            if row and row[0] > self._now - _DAY:
                return
            keys = [key for model in observed if (key := image_key(model))]
            self._write(
                "UPDATE images SET seen = ? WHERE url = ? AND domain = ? AND model = ? AND created = ? AND image = ?",
                [(self._now, *server, *key) for key in keys],
            )
            self._write("DELETE FROM images WHERE seen < ?", [(self._now - _KEPT,)])
            self._write("DELETE FROM files WHERE seen < ?", [(self._now - _KEPT,)])
            self._write("INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?)", [(*server, self._now)])

    def _read_files(self) -> dict[FileKey, _FileContent]:
        with self._lock:
            if self._files is not None:
                return self._files
            files: dict[FileKey, _FileContent] = {}
            if self._connection is not None:
                try:
                    rows = self._connection.execute(
                        "SELECT dev, ino, size, mtime_ns, ctime_ns, sha256, content_size, lfs FROM files"
                    )
                    files = {  # plain tuples, as above
                        (int(dev), int(ino), size, mtime, ctime): (sha256, content_size, lfs)  # type: ignore[misc]
                        for dev, ino, size, mtime, ctime, sha256, content_size, lfs in rows
                    }
                except (sqlite3.Error, ValueError, TypeError) as fault:
                    self._give_up("read", fault)
            self._files = files
            return files

    def _known(self, server: ServerName) -> dict[ImageKey, Held]:
        if server not in self._images:
            known: dict[ImageKey, Held] = {}
            if self._connection is not None:
                try:
                    rows = self._connection.execute(
                        "SELECT model, created, image, sha256, size FROM images WHERE url = ? AND domain = ?",
                        tuple(server),
                    )
                    # Plain tuples, equal to the named ones: naming ten thousand of each is half of reading them.
                    known = {(m, c, i): (sha256, size) for m, c, i, sha256, size in rows}  # type: ignore[misc]
                except sqlite3.Error as fault:
                    self._give_up("read", fault)
            self._images[server] = known
        return self._images[server]

    def _open(self, path: Path) -> None:
        for attempt in (1, 2):
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._connection = self._connect(path)
            except (OSError, sqlite3.Error) as fault:
                self._give_up("open", fault)
                if attempt == 1 and _is_damage(fault):
                    continue  # the damaged file is gone: begin a new one
            return

    def _connect(self, path: Path) -> sqlite3.Connection:
        # Autocommit: each write states its own transaction, so none is left open while the server is waited for.
        connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _SCHEMA_VERSION:
                self._begin(connection, version)
            # A cache may be lost to a power cut (a damaged one is begun anew); it must not wait for the disk.
            connection.execute("PRAGMA synchronous = OFF")
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin(self, connection: sqlite3.Connection, version: int) -> None:
        if version:
            raise sqlite3.DatabaseError(f"written by another version of mmsync ({version})")
        with contextlib.suppress(sqlite3.OperationalError):
            # Readers beside a writer; where the file system cannot (some network ones), the default does.
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("COMMIT")

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run the statement for all rows in one transaction; on any failure a warning, and memory from then on."""
        connection = self._connection
        if connection is None or not rows:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")
        except sqlite3.Error as fault:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            self._give_up("write to", fault)

    def _give_up(self, verb: str, fault: Exception) -> None:
        self.close()
        path = self._path
        if path is not None and _is_damage(fault):
            # It is only a cache: away with it, so that the next one begins clean.
            self._tell(f"the ledger {path} is damaged ({fault}); it is begun anew, and this run is slower")
            with contextlib.suppress(OSError):
                for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                    name.unlink(missing_ok=True)
            return
        self._tell(f"cannot {verb} the ledger {path} ({fault}); the next run may be slower")

    def _tell(self, sentence: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(sentence)


def _is_damage(fault: Exception) -> bool:
    """Whether the file itself is bad, rather than locked, read-only or on a full disk."""
    if isinstance(fault, sqlite3.OperationalError):
        return str(fault).startswith("no such ")
    return isinstance(fault, sqlite3.DatabaseError)


def image_key(model: Observed) -> ImageKey | None:
    """Return what names the model's image, or None where the server does not say enough to be sure."""
    if model.id is None or model.image_id is None:
        return None
    created = model.creation_date
    return ImageKey(str(model.id), "" if created is None else str(created), str(model.image_id))
