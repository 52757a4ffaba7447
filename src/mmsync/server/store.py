"""Models and images: rows in SQLite, bytes as files. Everything here blocks; nothing knows of HTTP but `ApiError`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsync.errors import MmsyncError
from mmsync.server.errors import ApiError
from mmsync.server.review import Review
from mmsync.server.save import SaveRequest
from mmsync.server.schemas import DATABASE, LIST_ROW

if TYPE_CHECKING:
    from mmsync.server.upload import IncomingFile


_SCHEMA_VERSION = 1
_WRITES_AT_ONCE = 64

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


class Store:
    """The models and images of one server. Safe in threads, and beside other servers on the same folder.

    Making one creates what is missing and clears away what a killed server left half done; it raises `MmsyncError` if
    the folder cannot be used, or holds a newer or damaged database.
    """

    def __init__(self, folder: Path) -> None:
        self.incoming = folder / "incoming"  # uploads in progress
        self._images = folder / "images"
        self._folder = folder
        self._idle: list[
            sqlite3.Connection
        ] = []  # opened as threads need them, kept for the next; pop and append are atomic
        self._writer = threading.Lock()  # SQLite's own lock is polled for; ours is waited for
        self._waiting: deque[_Write] = deque()
        _prepare(folder, self._images, self.incoming)

    def close(self) -> None:
        """Close the database. No other method may be running or be called afterwards."""
        for database in self._idle:
            database.close()

    def models(self, domain: str, name: str = "", engine: str = "") -> str:
        """Every model of the domain that is not hidden, by id: a JSON array of the contract's *Model*.

        ``name`` keeps those whose name contains it, ``engine`` those of that engine; case matters in neither.
        """
        return self._list(
            "domain = ? AND (? = '' OR instr(lower(name), lower(?))) AND (? = '' OR lower(engine) = lower(?))",
            (domain, name, name, engine, engine),
        )

    def model(self, domain: str, name: str) -> sqlite3.Row | None:
        """The model of that name, hidden or not, or None; its image's size is the column ``image_size``."""
        with self._reading() as database:
            row: sqlite3.Row | None = database.execute(
                "SELECT models.*, images.size AS image_size FROM models JOIN images ON images.id = models.image"
                " WHERE models.domain = ? AND name = ?",
                (domain, name),
            ).fetchone()
            return row

    def children(self, parent: int) -> str:
        """The models whose parent is ``parent``, without itself; otherwise as `models`."""
        return self._list("parent = ? AND id != ?", (parent, parent))

    def rows(self, statement: str, values: Mapping[str, object]) -> list[sqlite3.Row]:
        """The rows that a query answers."""
        with self._reading() as database:
            return database.execute(statement, values).fetchall()

    def image_path(self, image: int) -> Path:
        """Return where the bytes of an image are."""
        return self._images / str(image)

    def add_image(self, domain: str, engine: str, file: IncomingFile, review: Review) -> int:
        """Keep an uploaded file whose bytes are on disk already; return its id once it survives a kill."""

        def add(database: sqlite3.Connection) -> int:
            cursor = database.execute(
                "INSERT INTO images (domain, engine, size, review, created_ms) VALUES (?, ?, ?, ?, ?)",
                (domain, engine, file.size, json.dumps(asdict(review)), _now_ms()),
            )
            image = cursor.lastrowid
            assert image is not None
            file.rename(self.image_path(image))
            return image

        image: int = self._written(_Write(add, adds=file))
        return image

    def save(self, domain: str, request: SaveRequest) -> None:
        """Create a model, or update the one with the request's id.

        What the request leaves out is taken from the review of its image. Raises `ApiError` if there is no such image
        or id in the domain (400), or another model has the name (409).
        """

        def save(database: sqlite3.Connection) -> None:
            image = request.given["image"]
            stored = database.execute(
                "SELECT review FROM images WHERE id = ? AND domain = ?", (image, domain)
            ).fetchone()
            if stored is None:
                raise ApiError(400, f"There is no image with id {image}: upload the file first")
            values = request.columns(json.loads(stored["review"]))
            try:
                model = _write_model(database, domain, request.id, values)
            except sqlite3.IntegrityError as error:
                raise ApiError(409, f"A model named '{values['name'][:200]}' already exists") from error
            if not request.names_parent:  # a normal model is its own parent
                database.execute("UPDATE models SET parent = id WHERE id = ?", (model,))

        self._written(_Write(save))

    def delete(self, domain: str, name: str) -> None:
        """Delete a model, if there is one. Its image is cleared away in time."""
        statement = "DELETE FROM models WHERE domain = ? AND name = ?"
        self._written(_Write(lambda database: database.execute(statement, (domain, name))))

    def _list(self, condition: str, values: tuple[object, ...]) -> str:
        with self._reading() as database:
            rows = database.execute(
                f"SELECT {LIST_ROW} FROM models WHERE {condition} AND NOT hidden ORDER BY id",  # noqa: S608  # our own SQL
                values,
            )
            return f"[{','.join([row[0] for row in rows])}]"

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection, for as long as the body."""
        try:
            database = self._idle.pop()
        except IndexError:
            database = _connect(self._folder)
        try:
            yield database
        finally:
            self._idle.append(database)

    def _written(self, write: _Write) -> Any:
        """Return what a write returns once it is durable; where it raises, there is no trace of it.

        Writes that wait for the same moment are one transaction: the disk is waited for once for all of them.
        """
        self._waiting.append(write)
        with self._writer:
            while not write.is_over:
                self._commit([self._waiting.popleft() for _ in range(min(len(self._waiting), _WRITES_AT_ONCE))])
        if write.error is not None:
            raise write.error
        return write.result

    def _commit(self, writes: list[_Write]) -> None:
        """Carry out writes in one transaction; what it fails with, each is told of in its own thread."""

        def undo(error: BaseException) -> None:
            for write in writes:
                write.undo(error)

        try:
            with self._reading() as database:
                try:
                    database.execute("BEGIN IMMEDIATE")
                    for write in writes:
                        write.carry_out(database)
                    if any(write.adds for write in writes):
                        _sync_folder(self._images)
                    database.execute("COMMIT")
                except BaseException as error:  # noqa: BLE001 - see above
                    undo(error)  # before another may be given the same ids
                    if database.in_transaction:
                        database.execute("ROLLBACK")
        except BaseException as error:  # noqa: BLE001 - there is no connection to be had, or it has no way back
            undo(error)
        finally:
            for write in writes:
                write.is_over = True


@dataclass(eq=False, slots=True)
class _Write:
    """One write: its statements, and what came of them."""

    statements: Callable[[sqlite3.Connection], Any]
    adds: IncomingFile | None = None  # the file they give its name
    result: Any = None
    error: BaseException | None = None
    is_over: bool = False

    def carry_out(self, database: sqlite3.Connection) -> None:
        """Run the statements; what they raise is kept, and raised only where it ended the transaction of them all."""
        database.execute("SAVEPOINT one")
        try:
            self.result = self.statements(database)
        except Exception as error:
            self.undo(error)
            if not database.in_transaction:
                raise
            database.execute("ROLLBACK TO one")
        database.execute("RELEASE one")

    def undo(self, error: BaseException) -> None:
        """Take the file away, under the lock: once that is free, another may be given the same id and file name."""
        if self.error is None:
            self.error = error
            if self.adds is not None:
                self.adds.discard()


def _write_model(
    database: sqlite3.Connection, domain: str, identifier: int | None, values: dict[str, Any]
) -> int | None:
    """Insert a row, or update the one with this id; return its id."""
    now = _now_ms()
    if identifier is None:
        row = {"domain": domain, **values, "created_ms": now, "updated_ms": now}
        return database.execute(
            f"INSERT INTO models ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})",  # noqa: S608  # our names
            row,
        ).lastrowid
    # Two updates within a millisecond still differ in their date: it is how a client sees that one happened.
    cursor = database.execute(
        f"UPDATE models SET {', '.join(f'{column} = :{column}' for column in values)},"  # noqa: S608  # our own names
        " updated_ms = max(:now, updated_ms + 1) WHERE id = :id AND domain = :domain",
        {**values, "now": now, "id": identifier, "domain": domain},
    )
    if not cursor.rowcount:
        raise ApiError(400, f"There is no model with id {identifier}")
    return identifier


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor for as long as the body; where ``flags`` create the file, it is its owner's alone."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _connect(folder: Path) -> sqlite3.Connection:
    """Open the metadata; a commit returns only once it is on disk (WAL, synchronous=FULL)."""
    file = folder / DATABASE
    with _opened(file, os.O_RDWR | os.O_CREAT):
        pass  # for its owner alone; SQLite's further files take over the mode
    database = sqlite3.connect(file, timeout=60, isolation_level=None, check_same_thread=False, cached_statements=64)
    database.row_factory = sqlite3.Row
    try:
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable: a file's own fsync does not cover its directory entry."""
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        os.fsync(descriptor)


def _prepare(folder: Path, images: Path, incoming: Path) -> None:
    """Create what is missing, clear away leftovers. Other servers on the folder take turns here, and lose nothing."""
    try:
        for directory in (folder, images, incoming):
            if not directory.is_dir():
                directory.mkdir(parents=True, exist_ok=True)
                directory.chmod(0o700)  # models are their owner's business, whatever the umask
        with _opened(folder / "mmsync-server.lock", os.O_RDWR | os.O_CREAT) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.closing(_connect(folder)) as database:
                database.execute("PRAGMA journal_mode=WAL")
                _create_schema(database, folder)
                for part in incoming.glob("*.part"):
                    # One that a living server writes to is locked: BlockingIOError.
                    with contextlib.suppress(FileNotFoundError, BlockingIOError), _opened(part, os.O_RDWR) as left:
                        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        part.unlink()
                _clear_images(database, images)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise MmsyncError(f"the folder {folder} cannot hold a Model Manager: {why}") from error


def _create_schema(database: sqlite3.Connection, folder: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")
        _sync_folder(folder)
    elif version != _SCHEMA_VERSION:
        raise MmsyncError(
            f"the folder {folder} was made by a newer mmsync (schema {version}); upgrade mmsync to use it"
        )


def _clear_images(database: sqlite3.Connection, images: Path) -> None:
    # A file gets its name inside the transaction that writes its row: under the write lock, a file without a row
    # is what a kill between the two left.
    database.execute("BEGIN IMMEDIATE")
    oldest = _now_ms() - _UNREFERENCED_IMAGE_KEPT_MS
    database.execute("DELETE FROM images WHERE created_ms < ? AND id NOT IN (SELECT image FROM models)", (oldest,))
    known = {str(row["id"]) for row in database.execute("SELECT id FROM images")}
    stray = [entry for entry in images.iterdir() if entry.name.isdecimal() and entry.name not in known]
    database.execute("COMMIT")  # rows first: a kill here leaves files without rows, cleared next time
    for entry in stray:
        entry.unlink(missing_ok=True)
