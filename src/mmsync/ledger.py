"""The ledger: what each image of a server holds, what was verified under each name, the digests of files seen before.

A cache in one SQLite file. Deleting, losing or corrupting it costs time, never correctness: where the file fails
(see `mmsync.sqlite_cache`) there is one warning, and the ledger lives in memory for the rest of the run.

What is remembered is not believed, or gone:
- of an image, once the model has another image id or update date (`known_content`);
- of all images of a server that was restored from a backup (``reconcile._restored``, `Ledger.void`);
- of a file, once its stat is another (`Ledger.get`) or its content proved to be (`Ledger.forget`); under a stat too
  fresh to be sure (``files.digest.is_racy``) nothing is remembered;
- of what a format takes, with another version of the inspection (``formats.INSPECTOR``);
- of images and files, with ``--verify always``: they are read again, and what they hold is remembered anew;
- of anything not seen for 90 days (`Ledger.seen`), and all of a damaged file or one of another schema version.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple, Self

from mmsync.formats import INSPECTOR
from mmsync.sqlite_cache import CacheFile
from mmsync.types import Content, FileKey, Observed, ServerName, Shape

_VERSION = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    url TEXT NOT NULL, domain TEXT NOT NULL,
    model TEXT NOT NULL, created TEXT NOT NULL, image TEXT NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, updated INTEGER, seen INTEGER NOT NULL,
    PRIMARY KEY (url, domain, model, created, image)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verified (
    turn INTEGER PRIMARY KEY AUTOINCREMENT,
    url TEXT NOT NULL, domain TEXT NOT NULL, name TEXT NOT NULL,
    sha256 TEXT NOT NULL, declared TEXT, shown TEXT, seen INTEGER NOT NULL,
    UNIQUE (url, domain, name, sha256));
CREATE TABLE IF NOT EXISTS descriptions (
    url TEXT NOT NULL, domain TEXT NOT NULL, name TEXT NOT NULL,
    sent TEXT NOT NULL, shown TEXT NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (url, domain, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    dev TEXT NOT NULL, ino TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL, content_size INTEGER NOT NULL, lfs INTEGER NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (dev, ino)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fits (
    sha256 TEXT NOT NULL, engine TEXT NOT NULL, inspector INTEGER NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (sha256, engine)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS guards (
    url TEXT NOT NULL, domain TEXT NOT NULL, manifests TEXT NOT NULL, guards TEXT NOT NULL,
    PRIMARY KEY (url, domain, manifests)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS protected (
    url TEXT NOT NULL, domain TEXT NOT NULL, manifests TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (url, domain, manifests, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sweeps (
    url TEXT NOT NULL, domain TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (url, domain)) WITHOUT ROWID
"""
# A byte gone bad in the file can make any value one of another type.
_SOUND = "typeof(sha256) = 'text' AND typeof({size}) = 'integer'"
_KEEP_NAMED = (
    "UPDATE verified SET seen = ? WHERE turn = (SELECT MAX(turn) FROM verified WHERE url = ? AND domain = ? AND name = ?)",
    "UPDATE descriptions SET seen = ? WHERE url = ? AND domain = ? AND name = ?",
)
_GUARDS = frozenset({"scope", "pins", "allowed", "uninspected"})
_DAY = 86_400
_KEPT = 90 * _DAY


# Both are plain tuples: making ten thousand named ones is half of reading them.
# What names an image on a server: the model's id, its creation date and the image's id, as text. A replacement has a
# new image id, until the server is put back to a backup.
ImageKey = tuple[str, str, str]
# The content an image holds: sha256 in hex, size in bytes, and the model's update date then, where known.
KnownImage = tuple[str, int, int | None]


class VerifiedContent(NamedTuple):
    """Content that the server was seen to hold under a name as mmsync wanted it."""

    sha256: str
    declared: Shape = Shape()  # the signature as its file declares it
    displayed: Shape = Shape()  # the signature as the server displayed it


class ServerDescription(NamedTuple):
    """A description as it was sent, and as the server shows it ever since."""

    sent: str
    displayed: str


# A FileKey: dev and ino as text, being unsigned where SQLite's integers are not.
_RowKey = tuple[str, str, int, int, int]
_FileContent = tuple[str, int, int]  # sha256, size in bytes, whether it is a Git LFS pointer


class Ledger:
    """The open ledger; safe in threads, and beside other processes on the same file (None keeps all in memory).

    ``warn`` is called with one sentence, once, when the ledger cannot be used or kept; ``now`` is in whole seconds
    since the epoch, for forgetting what was not seen for 90 days.
    """

    def __init__(self, path: Path | None, *, warn: Callable[[str], None], now: int) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._files: dict[_RowKey, _FileContent] | None = None  # None: not read yet
        self._fits: set[tuple[str, str]] | None = None
        self._images: dict[ServerName, dict[ImageKey, KnownImage]] = {}
        self._verified: dict[tuple[ServerName, str], dict[str, VerifiedContent]] = {}  # of this run, the latest last
        self._descriptions: dict[ServerName, dict[str, ServerDescription]] = {}
        self._guards: dict[tuple[str, ...], dict[str, Any]] = {}
        self._protected: dict[ServerName, set[tuple[str, str]]] = {}  # the manifests' key, and the name
        self._file = CacheFile(path, version=_VERSION, schema=_SCHEMA, warn=warn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, key: FileKey) -> Content | None:
        """Return the content remembered for a file whose stat is exactly ``key``, or None."""
        files = self._read_files() if self._files is None else self._files
        known = files.get(_row_key(key))
        return None if known is None else Content(known[0], known[1], key, bool(known[2]))

    def put(self, contents: Sequence[Content]) -> None:
        """Remember the contents of files under the stat they were read with."""
        learned = [(_row_key(each.key), (each.sha256, each.size, each.lfs)) for each in contents]
        with self._lock:
            self._read_files().update(learned)
            rows = [(*key, *content, self._now) for key, content in learned]
            self._file.write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def forget(self, keys: Sequence[FileKey]) -> None:
        """Drop what is remembered of files whose content proved to be another: they are hashed again next time."""
        with self._lock:
            files = self._read_files()
            for key in keys:
                files.pop(_row_key(key), None)
            self._file.write("DELETE FROM files WHERE dev = ? AND ino = ?", [_row_key(key)[:2] for key in keys])

    def fits(self) -> AbstractSet[tuple[str, str]]:
        """Return the *fits*, the contents that an inspection found to be what an engine reads: sha256 and engine."""
        with self._lock:
            if self._fits is None:
                self._fits = set(self._file.rows("SELECT sha256, engine FROM fits WHERE inspector = ?", (INSPECTOR,)))
            return self._fits

    def learn_fits(self, found: Iterable[tuple[str, str]]) -> None:
        """Remember contents that are what an engine reads."""
        with self._lock:
            self._fits = {*self.fits(), *found}
            rows = [(*each, INSPECTOR, self._now) for each in found]
            self._file.write("INSERT OR REPLACE INTO fits VALUES (?, ?, ?, ?)", rows)

    def images(self, server: ServerName) -> Mapping[ImageKey, KnownImage]:
        """Return everything known of one server's images."""
        with self._lock:
            return dict(self._known(server))

    def learn(self, server: ServerName, images: Iterable[tuple[ImageKey, KnownImage]]) -> None:
        """Remember which content images hold; they were uploaded or downloaded, and hashed, by us."""
        learned = list(images)
        with self._lock:
            self._known(server).update(learned)
            rows = [(*server, *key, *known, self._now) for key, known in learned]
            self._file.write("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def void(self, server: ServerName) -> None:
        """Forget which content the server's images hold: it hands out their ids again."""
        with self._lock:
            self._images[server] = {}
            self._file.write("DELETE FROM images WHERE url = ? AND domain = ?", [tuple(server)])

    def verified(self, server: ServerName, name: str) -> Sequence[VerifiedContent]:
        """Return the contents once verified under a name, the latest first."""
        with self._lock:
            query = "SELECT sha256, declared, shown FROM verified WHERE url = ? AND domain = ? AND name = ?"
            query += " AND typeof(sha256) = 'text' ORDER BY turn DESC"
            found = dict(reversed(self._verified.get((server, name), {}).items()))
            for sha256, declared, displayed in self._file.rows(query, (*server, name)) if _is_storable(name) else ():
                found.setdefault(sha256, VerifiedContent(sha256, _shape(declared), _shape(displayed)))
            return list(found.values())

    def is_latest(self, server: ServerName, name: str, sha256: str) -> bool:
        """Return whether this is the content that was last verified under a name."""
        return any(each.sha256 == sha256 for each in self.verified(server, name)[:1])

    def learn_verified(self, server: ServerName, found: Iterable[tuple[str, VerifiedContent]]) -> None:
        """Remember contents that were verified just now; what is not known of one is kept from before."""
        rows = []
        with self._lock:
            for name, each in found:
                before = next((old for old in self.verified(server, name) if old.sha256 == each.sha256), each)
                declared = each.declared if each.declared.is_known else before.declared
                displayed = each.displayed if each.displayed.is_known else before.displayed
                recent = self._verified.setdefault((server, name), {})
                recent.pop(each.sha256, None)
                recent[each.sha256] = VerifiedContent(each.sha256, declared, displayed)
                if _is_storable(name):
                    rows.append((*server, name, each.sha256, _text(declared), _text(displayed), self._now))
            statement = "INSERT OR REPLACE INTO verified (url, domain, name, sha256, declared, shown, seen)"
            self._file.write(f"{statement} VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def descriptions(self, server: ServerName) -> Mapping[str, ServerDescription]:
        """Return the descriptions that the server shows otherwise than they were sent, by name."""
        with self._lock:
            if server not in self._descriptions:
                query = "SELECT name, sent, shown FROM descriptions WHERE url = ? AND domain = ?"
                rows = self._file.rows(query, tuple(server))
                self._descriptions[server] = {name: ServerDescription(*texts) for name, *texts in rows}
            return self._descriptions[server]

    def learn_descriptions(self, server: ServerName, found: Iterable[tuple[str, ServerDescription]]) -> None:
        """Remember how the server shows descriptions."""
        learned = list(found)
        with self._lock:
            self._descriptions[server] = {**self.descriptions(server), **dict(learned)}
            storable = [(name, *texts) for name, texts in learned if _is_storable(name + "".join(texts))]
            rows = [(*server, *each, self._now) for each in storable]
            self._file.write("INSERT OR REPLACE INTO descriptions VALUES (?, ?, ?, ?, ?, ?)", rows)

    def guards(self, server: ServerName, manifests: Sequence[str]) -> Mapping[str, Any] | None:
        """Return the manifests' own guards as of when they were last applied, or None; see `mmsync.plan.guards_of`."""
        with self._lock:
            key = _guards_key(server, manifests)
            if key in self._guards:
                return self._guards[key]
            query = "SELECT guards FROM guards WHERE url = ? AND domain = ? AND manifests = ?"
            for (text,) in self._file.rows(query, key):
                with contextlib.suppress(ValueError, TypeError, AttributeError):  # a byte gone bad
                    found: dict[str, Any] = json.loads(text)
                    if found.keys() >= _GUARDS and isinstance(found["pins"], dict):
                        return found
            return None

    def learn_guards(self, server: ServerName, manifests: Sequence[str], guards: Mapping[str, Any]) -> None:
        """Remember the manifests' own guards: they are applied."""
        with self._lock:
            if guards and guards != self.guards(server, manifests):
                key = _guards_key(server, manifests)
                self._guards[key] = dict(guards)
                self._file.write("INSERT OR REPLACE INTO guards VALUES (?, ?, ?, ?)", [(*key, json.dumps(guards))])

    def has_applied(self, server: ServerName) -> bool:
        """Return whether this ledger remembers an apply to a server: one that ended well, or that protected models."""
        with self._lock:
            if self._protections(server) or any(key[:2] == tuple(server) for key in self._guards):
                return True
            return bool(self._file.rows("SELECT 1 FROM guards WHERE url = ? AND domain = ? LIMIT 1", tuple(server)))

    def protected(self, server: ServerName, manifests: Sequence[str] | None = None) -> AbstractSet[str]:
        """Return the names of a server's models that these manifests, or any, were last seen to protect.

        Other than what else is remembered this is never dropped with time: what is protected stays so once nothing
        lists it any more. A ledger that is lost remembers none.
        """
        with self._lock:
            key = _guards_key(server, manifests)[-1] if manifests is not None else None
            return {name for its, name in self._protections(server) if key in (None, its)}

    def learn_protected(
        self, server: ServerName, manifests: Sequence[str], protected: AbstractSet[str], lifted: AbstractSet[str]
    ) -> None:
        """Remember which models manifests protect, and forget those that they list and no longer do."""
        key = _guards_key(server, manifests)[-1]
        with self._lock:
            known = self._protections(server)
            new = sorted((key, name) for name in protected if (key, name) not in known)
            gone = sorted((key, name) for name in lifted if (key, name) in known)
            known.difference_update(gone)
            known.update(new)
            add, remove = ([(*server, *each) for each in rows if _is_storable(each[1])] for rows in (new, gone))
            self._file.write("INSERT OR REPLACE INTO protected VALUES (?, ?, ?, ?)", add)
            self._file.write(
                "DELETE FROM protected WHERE url = ? AND domain = ? AND manifests = ? AND name = ?", remove
            )

    def forget_protected(self, server: ServerName, names: Iterable[str]) -> None:
        """Forget that models were protected: they were deleted, by a run that named them."""
        gone = set(names)
        with self._lock:
            if found := {each for each in self._protections(server) if each[1] in gone}:
                self._protected[server] -= found
                rows = [(*server, name) for name in sorted(gone) if _is_storable(name)]
                self._file.write("DELETE FROM protected WHERE url = ? AND domain = ? AND name = ?", rows)

    def seen(self, server: ServerName, observed: Iterable[Observed]) -> None:
        """Note which images the server still lists, and drop rows of images and files gone for 90 days.

        At most once a day and server, so that a plan with a warm ledger writes nothing.
        """
        with self._lock:
            query = "SELECT 1 FROM sweeps WHERE url = ? AND domain = ? AND at BETWEEN ? AND ?"
            if self._file.connection is None or self._file.rows(query, (*server, self._now - _DAY, self._now)):
                return
            # First of all: of several shards that start together one does it, and the others do not wait for it.
            self._file.write("INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?)", [(*server, self._now)])
            observed = list(observed)
            images = [(self._now, *server, *key) for model in observed if (key := image_key(model))]
            self._file.write(
                "UPDATE images SET seen = ? WHERE url = ? AND domain = ? AND model = ? AND created = ? AND image = ?",
                images,
            )
            names = [(self._now, *server, model.name) for model in observed if _is_storable(model.name)]
            # Of each name the latest content is kept as long as the model is; those before it for their time only.
            for statement in _KEEP_NAMED:
                self._file.write(statement, names)
            for table in ("images", "files", "fits", "verified", "descriptions"):
                self._file.write(f"DELETE FROM {table} WHERE seen < ?", [(self._now - _KEPT,)])  # noqa: S608 - ours

    def _read_files(self) -> dict[_RowKey, _FileContent]:
        with self._lock:
            if self._files is None:
                query = "SELECT dev, ino, size, mtime_ns, ctime_ns, sha256, content_size, lfs FROM files"
                query += f" WHERE {_SOUND.format(size='content_size')}"
                self._files = {row[:5]: row[5:] for row in self._file.rows(query)}
            return self._files

    def _protections(self, server: ServerName) -> set[tuple[str, str]]:
        if server not in self._protected:
            query = "SELECT manifests, name FROM protected WHERE url = ? AND domain = ?"
            self._protected[server] = set(self._file.rows(query, tuple(server)))
        return self._protected[server]

    def _known(self, server: ServerName) -> dict[ImageKey, KnownImage]:
        if server not in self._images:
            query = "SELECT model, created, image, sha256, size, updated FROM images WHERE url = ? AND domain = ?"
            query += f" AND {_SOUND.format(size='size')}"
            self._images[server] = {row[:3]: row[3:] for row in self._file.rows(query, tuple(server))}
        return self._images[server]


def _guards_key(server: ServerName, manifests: Sequence[str]) -> tuple[str, str, str]:
    # Relative paths are other manifests in every checkout.
    return (*server, json.dumps(sorted(map(os.path.realpath, manifests))))


def _row_key(key: FileKey) -> _RowKey:
    return (str(key[0]), str(key[1]), key[2], key[3], key[4])


def image_key(model: Observed) -> ImageKey | None:
    """Return what names the model's image, or None where the server does not say enough to be sure."""
    if model.id is None or model.image_id is None:
        return None
    created = model.creation_date
    return str(model.id), "" if created is None else str(created), str(model.image_id)


def known_content(model: Observed, known: Mapping[ImageKey, KnownImage]) -> KnownImage | None:
    """Return the content that a listed model is known to hold.

    Where its update date is another than when that was learned, something was done to it since, be it only its
    description: a server put back to a backup hands out image ids again, and nothing else tells.
    """
    key = image_key(model)
    found = known.get(key) if key else None
    if found is None or found[2] == model.update_date:
        return found
    return found if None in (found[2], model.update_date) else None


def _is_storable(text: str) -> bool:
    """Return whether SQLite takes the text: a server's JSON may hold half a pair of surrogates, which no UTF-8 can."""
    return text.isascii() or text == text.encode("utf-8", "replace").decode()


def _text(shape: Shape) -> str | None:
    if not shape.is_known:
        return None
    text = json.dumps(shape)
    return f"{zlib.crc32(text.encode()):08x}{text}"  # a signature gone bad would refuse good models for ever


def _shape(text: object) -> Shape:
    if isinstance(text, str) and text[:8] == f"{zlib.crc32(text[8:].encode('utf-8', 'surrogatepass')):08x}":
        return Shape(*json.loads(text[8:]))
    return Shape()
