"""The ledger's SQLite file, which may be lost: every failure becomes one warning, after which nothing is read or kept.

A damaged file, or one of another version, is removed and begun anew, since it is only a cache.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_BUSY = 10.0  # seconds to wait for another process's write
# Damage may also show as text that is not UTF-8, in what was stored or in SQLite's own message.
_ERRORS = (sqlite3.Error, UnicodeError)
# What is wrong with the way to the file, not with the file (primary result codes, https://www.sqlite.org/rescode.html).
_CIRCUMSTANCES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)


class CacheFile:
    """One open cache file, made with its folder where missing; safe in threads, and beside other processes on it.

    Without a path nothing is kept. ``schema`` are the statements that make the tables, separated by semicolons; a file
    of another version of it is begun anew. ``warn`` is called with one sentence, once, when the ledger cannot be used
    or kept.
    """

    def __init__(self, path: Path | None, *, version: int, schema: str, warn: Callable[[str], None]) -> None:
        self._version = version
        self._schema = schema
        self._warn = warn
        self._warned = False
        self._lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None  # None without a path, and once it was given up
        if path:
            self._path = path
            self._open()

    def close(self) -> None:
        """Close the file; what was written is kept."""
        with self._lock:
            if self.connection is not None:
                with contextlib.suppress(*_ERRORS):
                    self.connection.close()
                self.connection = None

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return a query's rows; none where the file cannot be read."""
        with self._lock:
            if self.connection is None:
                return []
            try:
                return self.connection.execute(query, values).fetchall()
            except _ERRORS as error:
                self._give_up("read", error)
                return []

    def write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run a statement for all rows in one transaction; nothing of it is kept where that fails."""
        with self._lock:
            connection = self.connection
            if connection is None or not rows:
                return
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
            except _ERRORS as error:
                with contextlib.suppress(*_ERRORS):
                    connection.execute("ROLLBACK")
                self._give_up("write to", error)

    def _open(self) -> None:
        for attempt in (1, 2):
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._connect()
            except (OSError, *_ERRORS) as error:
                self._give_up("open", error)
                if attempt == 1 and _is_damage(error):
                    continue  # the damaged file is gone: begin a new one
            return

    def _connect(self) -> None:
        # For its owner alone, whatever the umask: SQLite's further files take over the mode.
        os.close(os.open(self._path, os.O_RDONLY | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600))
        # Autocommit: each write states its own transaction, so none is left open while something else is waited for.
        connection = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != self._version:
                self._begin(connection, version)
            # A cache may be lost to a power cut (a damaged one is begun anew); it must not wait for the disk.
            connection.execute("PRAGMA synchronous = OFF")
        except BaseException:
            connection.close()
            raise
        self.connection = connection

    def _begin(self, connection: sqlite3.Connection, version: int) -> None:
        if version:
            raise sqlite3.DatabaseError(f"written by another version of mmsync ({version})")
        with contextlib.suppress(sqlite3.OperationalError):
            # Readers beside a writer; where the file system cannot (some network ones), the default does.
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in self._schema.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {self._version}")
        connection.execute("COMMIT")

    def _give_up(self, verb: str, error: Exception) -> None:
        self.close()
        if is_damaged := _is_damage(error):
            sentence = f"the ledger {self._path} is damaged ({error}); it is begun anew, and this run is slower"
        else:
            sentence = f"cannot {verb} the ledger {self._path} ({error}); the next run may be slower"
            # Where another process is only slow to let go, the folder is not to blame.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                sentence += "; set MMSYNC_CACHE_DIR to a folder that can be written"
        if not self._warned:
            self._warned = True
            self._warn(sentence)
        if is_damaged:
            with contextlib.suppress(OSError):
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _is_damage(error: Exception) -> bool:
    """Return whether the file itself is bad, rather than locked, read-only or on a full disk."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _CIRCUMSTANCES
    return isinstance(error, UnicodeDecodeError)
