"""Models and images: rows in SQLite, bytes as files. Everything here blocks; nothing knows of HTTP but `Refusal`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync.errors import MmsyncError
from mmsync.server.errors import ApiError
from mmsync.server.review import Review
from mmsync.server.save import SaveRequest
from mmsync.server.schemas import LIST_ROW

if TYPE_CHECKING:
    from mmsync.server.upload import IncomingFile


class Connections:
    """Connections to one folder's database, opened as threads need them and kept for the next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writer = threading.Lock()  # SQLite's own lock is polled for; ours is waited for

    def close(self) -> None:
        """Close them all; none may be in use."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection, for as long as the body."""
        try:
            database = self._idle.get_nowait()
        except queue.Empty:
            database = connect(self._folder)
        try:
            yield database
        finally:
            self._idle.put(database)

    @contextlib.contextmanager
    def writing(self, undo: Callable[[], None] = lambda: None) -> Iterator[sqlite3.Connection]:
        """A transaction: durable once the body is left, without a trace where it raises, ``undo`` called first."""
        with self._writer, self.reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                undo()
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise


_MODEL = "SELECT models.*, images.size AS image_size FROM models JOIN images ON images.id = models.image"


class Store:
    """The models and images of one server. Safe in threads, and beside other servers on the same folder."""

    def __init__(self, folder: Path) -> None:
        prepare(folder)
        self._images = images_in(folder)
        self.incoming = incoming_in(folder)
        self._database = Connections(folder)

    def close(self) -> None:
        """Close the database. No other method may be running or be called afterwards."""
        self._database.close()

    def models(self, domain: str, name: str = "", engine: str = "") -> str:
        """Every model of the domain that is not hidden, by id: a JSON array of the contract's *Model*.

        ``name`` keeps those whose name contains it, ``engine`` those of that engine; case matters in neither.
        """
        return self._list(
            "domain = ? AND (? = '' OR instr(lower(name), lower(?))) AND (? = '' OR lower(engine) = lower(?))",
            (domain, name, name, engine, engine),
        )

    def model(self, domain: str, name: str) -> sqlite3.Row | None:
        """The model of that name, hidden or not, or None."""
        with self._database.reading() as database:
            row: sqlite3.Row | None = database.execute(
                f"{_MODEL} WHERE models.domain = ? AND name = ?", (domain, name)
            ).fetchone()
            return row

    def children(self, parent: int) -> str:
        """The models whose parent is ``parent``, without itself; otherwise as `models`."""
        return self._list("parent = ? AND id != ?", (parent, parent))

    def _list(self, condition: str, values: tuple[object, ...]) -> str:
        with self._database.reading() as database:
            rows = database.execute(
                f"SELECT {LIST_ROW} FROM models WHERE {condition} AND NOT hidden ORDER BY id",  # noqa: S608  # our own SQL
                values,
            )
            return f"[{','.join([row[0] for row in rows])}]"

    def image_path(self, image: int) -> Path:
        """Return where the bytes of an image are."""
        return self._images / str(image)

    def add_image(self, domain: str, engine: str, file: IncomingFile, review: Review) -> int:
        """Keep an uploaded file whose bytes are on disk already; return its id once it survives a kill."""
        # Undone under the lock: once it is free, another upload may be given the same id, and the same file name.
        with self._database.writing(undo=file.discard) as database:
            cursor = database.execute(
                "INSERT INTO images (domain, engine, size, review, created_ms) VALUES (?, ?, ?, ?, ?)",
                (domain, engine, file.size, json.dumps(asdict(review)), _now_ms()),
            )
            image = cursor.lastrowid
            assert image is not None
            file.rename(self.image_path(image))
            sync_folder(self._images)
            return image

    def save(self, domain: str, request: SaveRequest) -> None:
        """Create a model, or update the one with the request's id.

        What the request leaves out is taken from the review of its image.

        Raises:
            Refusal: No such image or id in the domain (400), or another model has the name (409).
        """
        with self._database.writing() as database:
            image = database.execute(
                "SELECT review FROM images WHERE id = ? AND domain = ?", (request.image, domain)
            ).fetchone()
            if image is None:
                raise ApiError(400, f"There is no image with id {request.image}: upload the file first")
            values = request.columns(json.loads(image["review"]))
            try:
                if request.id is None:
                    self._insert(database, domain, values, request)
                else:
                    self._update(database, domain, values, request)
            except sqlite3.IntegrityError as error:
                raise ApiError(409, f"A model named '{request.name[:200]}' already exists") from error

    def _insert(
        self, database: sqlite3.Connection, domain: str, values: dict[str, object], request: SaveRequest
    ) -> None:
        now = _now_ms()
        row = {"domain": domain, **values, "created_ms": now, "updated_ms": now}
        cursor = database.execute(
            f"INSERT INTO models ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})",  # noqa: S608  # our names
            row,
        )
        if not request.names_parent:  # a normal model is its own parent
            database.execute("UPDATE models SET parent = id WHERE id = ?", (cursor.lastrowid,))

    def _update(
        self, database: sqlite3.Connection, domain: str, values: dict[str, object], request: SaveRequest
    ) -> None:
        assignments = ", ".join(f"{column} = :{column}" for column in values)
        # Two updates within a millisecond still differ in their date: it is how a client sees that one happened.
        cursor = database.execute(
            f"UPDATE models SET {assignments}, updated_ms = max(:now, updated_ms + 1)"  # noqa: S608  # our own names
            " WHERE id = :id AND domain = :domain",
            {**values, "now": _now_ms(), "id": request.id, "domain": domain},
        )
        if not cursor.rowcount:
            raise ApiError(400, f"There is no model with id {request.id}")
        if not request.names_parent:
            database.execute("UPDATE models SET parent = id WHERE id = ?", (request.id,))

    def delete(self, domain: str, name: str) -> bool:
        """Delete a model; False where there was none. Its image is cleared away in time."""
        with self._database.writing() as database:
            return bool(database.execute("DELETE FROM models WHERE domain = ? AND name = ?", (domain, name)).rowcount)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


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
    """Return where the images are."""
    return folder / "images"


def incoming_in(folder: Path) -> Path:
    """Return where uploads in progress are."""
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
