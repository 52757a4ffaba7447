"""Models and images: rows in SQLite, bytes as files. Everything here blocks; nothing knows of HTTP but `Refusal`."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from mmsync.server import folder as layout
from mmsync.server.connections import Connections
from mmsync.server.refusal import Refusal
from mmsync.server.shapes import LIST_ROW

if TYPE_CHECKING:
    from pathlib import Path

    from mmsync.server.incoming import IncomingFile
    from mmsync.server.review import Review
    from mmsync.server.save import SaveRequest

__all__ = ["Store"]

_MODEL = "SELECT models.*, images.size AS image_size FROM models JOIN images ON images.id = models.image"


class Store:
    """What one server holds. Safe in threads, and beside other servers on the same folder."""

    def __init__(self, folder: Path) -> None:
        layout.prepare(folder)
        self._images = layout.images_in(folder)
        self.incoming = layout.incoming_in(folder)
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
        """Where the bytes of an image are."""
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
            layout.sync_folder(self._images)
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
                raise Refusal(400, f"There is no image with id {request.image}: upload the file first")
            values = request.columns(json.loads(image["review"]))
            try:
                if request.id is None:
                    self._insert(database, domain, values, request)
                else:
                    self._update(database, domain, values, request)
            except sqlite3.IntegrityError as error:
                raise Refusal(409, f"A model named '{request.name[:200]}' already exists") from error

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
            raise Refusal(400, f"There is no model with id {request.id}")
        if not request.names_parent:
            database.execute("UPDATE models SET parent = id WHERE id = ?", (request.id,))

    def delete(self, domain: str, name: str) -> bool:
        """Delete a model; False where there was none. Its image is cleared away in time."""
        with self._database.writing() as database:
            return bool(database.execute("DELETE FROM models WHERE domain = ? AND name = ?", (domain, name)).rowcount)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
