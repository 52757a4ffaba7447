"""The folder a server lives in: what start-up creates, and what it clears away.

::

    DIR/mmsync-server.db    metadata (and -wal, -shm beside it while a server runs)
    DIR/images/7            the bytes of image 7, exactly as uploaded
    DIR/incoming/*.part     uploads in progress; each is locked by the process that writes it
    DIR/mmsync-server.lock  held while a server opens the folder
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from mmsync.errors import MmsyncError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["connect", "images_in", "incoming_in", "prepare", "sync_folder"]

_SCHEMA_VERSION = 1

# AUTOINCREMENT: an id is never given out twice, not even after its row was deleted.
_SCHEMA = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT NULL, engine TEXT NOT NULL,
    size INTEGER NOT NULL, review TEXT NOT NULL, created_ms INTEGER NOT NULL
);
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT NULL, name TEXT NOT NULL, engine TEXT NOT NULL,
    description TEXT, image INTEGER NOT NULL REFERENCES images(id), output_type TEXT, category TEXT,
    fields TEXT NOT NULL, clusters TEXT NOT NULL, runtime_size INTEGER, hidden INTEGER NOT NULL, parent INTEGER,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, UNIQUE (domain, name)
);
CREATE INDEX models_by_image ON models (image);
"""

# An image nobody saved, or that was replaced, can no longer be reached by name; it is kept this long in case a
# slow client still means to save it.
_UNREFERENCED_IMAGE_KEPT_MS = 7 * 24 * 3600 * 1000


def images_in(folder: Path) -> Path:
    """Where the images are."""
    return folder / "images"


def incoming_in(folder: Path) -> Path:
    """Where uploads in progress are."""
    return folder / "incoming"


def connect(folder: Path) -> sqlite3.Connection:
    """Open the metadata; a commit returns only once it is on disk (WAL, synchronous=FULL)."""
    file = folder / "mmsync-server.db"
    # For its owner alone; SQLite's further files take over the mode.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(file, timeout=60, isolation_level=None, check_same_thread=False, cached_statements=64)
    database.row_factory = sqlite3.Row
    try:
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        database.close()
        raise
    return database


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable: a file's own fsync does not cover its directory entry."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prepare(folder: Path) -> None:
    """Create what is missing and clear away what a killed server left half done.

    Safe beside other servers on the same folder: they take turns here, and nothing of theirs is touched.

    Raises:
        MmsyncError: The folder cannot be used, or holds a newer or damaged database.
    """
    try:
        for directory in (folder, images_in(folder), incoming_in(folder)):
            if not directory.is_dir():
                directory.mkdir(parents=True, exist_ok=True)
                directory.chmod(0o700)  # models are their owner's business, whatever the umask
        with _opening(folder), contextlib.closing(connect(folder)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            _create_schema(database, folder)
            _clear_incoming(folder)
            _clear_images(database, folder)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise MmsyncError(f"the folder {folder} cannot hold a Model Manager: {why}") from error


@contextlib.contextmanager
def _opening(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "mmsync-server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create_schema(database: sqlite3.Connection, folder: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")
        sync_folder(folder)
    elif version != _SCHEMA_VERSION:
        raise MmsyncError(
            f"the folder {folder} was made by a newer mmsync (schema {version}); upgrade mmsync to use it"
        )


def _clear_incoming(folder: Path) -> None:
    for part in incoming_in(folder).glob("*.part"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by a living server: BlockingIOError
                part.unlink()
            finally:
                os.close(descriptor)


def _clear_images(database: sqlite3.Connection, folder: Path) -> None:
    # A file gets its name inside the transaction that writes its row: under the write lock, a file without a row
    # is what a kill between the two left.
    database.execute("BEGIN IMMEDIATE")
    oldest = time.time_ns() // 1_000_000 - _UNREFERENCED_IMAGE_KEPT_MS
    database.execute("DELETE FROM images WHERE created_ms < ? AND id NOT IN (SELECT image FROM models)", (oldest,))
    known = {str(row["id"]) for row in database.execute("SELECT id FROM images")}
    stray = [entry for entry in images_in(folder).iterdir() if entry.name.isdecimal() and entry.name not in known]
    database.execute("COMMIT")  # rows first: a kill here leaves files without rows, cleared next time
    for entry in stray:
        entry.unlink(missing_ok=True)
