"""Connections to the metadata: any number of readers, one writer at a time."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING

from mmsync.server.folder import connect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Connections"]


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
