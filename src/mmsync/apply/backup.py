"""Backups: what a run replaces or deletes, on the disk before anything is written, with the manifest that puts it back.

::

    DIR/.mmsync-backup            says that no discover rule looks in here
    DIR/objects/ab/abcdef…        contents, each once, by their sha256; read-only
    DIR/RUN/models.yaml           what a run replaced or deleted, as it was: to apply it is the undo
    DIR/RUN/SHA256.EXTENSION      its model files: hard links to the objects, or copies of them

All that is to be replaced is backed up first; only then ``models.yaml`` is written, and then the first change is made. So a
run that is killed, at whatever moment, has a manifest of all it may have touched. Once it ends by itself, that lists what was
touched alone. Between backup and write somebody may replace a model: it is read again just before it is written, and one
of another image id than the one backed up is left alone (``preconditions.staleness``).

Nothing here is ever removed but a run that came to replace nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mmsync.apply.outcome import Attempt, Event, Finished, Outcome, Progress
from mmsync.client import Client
from mmsync.client.error import ModelManagerError, ModelNotFound, TokenError
from mmsync.engines import EXTENSIONS
from mmsync.errors import FileError
from mmsync.files.atomic import draft_in, write_new
from mmsync.files.digest import digest_file
from mmsync.ledger import ImageKey, KnownImage
from mmsync.manifest.discovery import BACKUP_MARK
from mmsync.manifest.writer import Entry, manifest_text, unlistable
from mmsync.observe import row_of
from mmsync.parallel import parallel_map, start
from mmsync.plan import Before, Change, Plan
from mmsync.printable import few, printable

IsStopping = Callable[[], bool]
"""Returns whether the run is to be stopped."""

_TICK = 0.2  # seconds between looks at the stop signal
_FAREWELL = 2.0  # seconds for downloads to come to their end after a stop
_PROGRESS_EVERY = 0.2  # seconds between two progress events of one model
_MARK_TEXT = "Backups of mmsync (--backup): discover rules pass over this folder.\n"


class _Kept(NamedTuple):
    """A model as it is backed up."""

    entry: Entry
    sha256: str


class _Stopped(Exception):
    """Ends a download from inside."""


class Backup:
    """The backup of one run into a folder, which is made where it is missing.

    ``server`` is the part ``server`` of the manifest applied, for the manifest that puts things back; ``now`` returns
    seconds since the epoch.

    Attributes:
        undo: The manifest that undoes the run; None where it replaced and deleted nothing.
    """

    def __init__(self, folder: str, server: Mapping[str, str], *, now: Callable[[], float]) -> None:
        self.undo: Path | None = None
        self._folder = Path(folder)
        self._objects = self._folder / "objects"
        # What an embedded server's folder is relative to differs from manifest to manifest: the command line names it.
        is_local = server.get("url", "").lower().startswith("local:")
        self._server = {} if is_local else {key: value for key, value in server.items() if value}
        self._moment = datetime.fromtimestamp(now(), UTC)
        self._run = self._folder / f"{self._moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self._kept: dict[str, _Kept] = {}
        self._events: queue.SimpleQueue[Event | tuple[Change, _Kept | Attempt | None] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()

    def take(
        self,
        plan: Plan,
        client: Client,
        images: Mapping[ImageKey, KnownImage],
        *,
        jobs: int,
        is_stopping: IsStopping,
    ) -> Generator[Event, None, dict[str, Attempt]]:
        """Back up what the plan replaces or deletes; return, by name, what of it may not be begun, and why.

        ``images`` is what the ledger knows: content that is known, and here already, is not downloaded.
        """
        changes = [change for change in plan.changes if change.before is not None]
        if not changes:
            return {}
        try:
            self._prepare()
        except OSError as error:
            return (yield from self._all_failed(changes, error))
        known = {(model, image): content for (model, _, image), content in images.items()}

        def one(change: Change) -> _Kept | Attempt | None:
            try:
                return self._one(change, client, known)
            except _Stopped:
                return _not_attempted(change)

        results: dict[str, _Kept | Attempt | None] = {}
        try:
            for event in self._worked(one, changes, jobs, is_stopping):
                if isinstance(event, tuple):
                    results[event[0].name] = event[1]
                else:
                    yield event
        finally:
            self._stopped.set()
        for change in changes:
            results.setdefault(change.name, _not_attempted(change))
        self._kept = {name: kept for name, kept in results.items() if isinstance(kept, _Kept)}
        excluded = {name: attempt for name, attempt in results.items() if isinstance(attempt, Attempt)}
        added = [change.name for change in plan.changes if change.action == "add"]
        try:
            if self._kept:
                self._write(self._kept.values(), plan, added, is_over=False)
            else:
                self._remove()
        except OSError as error:
            kept = [change for change in changes if change.name in self._kept]
            self._kept = {}
            excluded |= yield from self._all_failed(kept, error)
        for attempt in excluded.values():
            if attempt.outcome.code != "interrupted":
                yield Finished(attempt.outcome)
        return excluded

    def finish(self, plan: Plan, outcomes: Iterable[Outcome]) -> None:
        """Let the manifest list what the run has touched, or may have; without any of that the run is removed."""
        outcomes = tuple(outcomes)
        touched = {one.change.name for one in outcomes if one.status not in ("skipped", "not-attempted")}
        kept = [each for name, each in self._kept.items() if name in touched]
        self.undo = self._run / "models.yaml" if kept else None
        added = [one.change.name for one in outcomes if one.ok and one.change.action == "add"]
        # What cannot be put right leaves the manifest of all that was to be touched, which undoes no less.
        with contextlib.suppress(OSError):
            if kept:
                self._write(kept, plan, added, is_over=True)
            elif self._kept:
                self._remove()

    def _prepare(self) -> None:
        """Make the folders, and put the name of each new one on the disk."""
        made = [each for each in (self._folder, *self._folder.parents) if not each.exists()]
        self._objects.mkdir(parents=True, exist_ok=True)
        if not (mark := self._folder / BACKUP_MARK).exists():
            write_new(mark, _MARK_TEXT, replace=True)
        self._run.mkdir()
        for folder in (self._folder, *(each.resolve().parent for each in (made or [self._folder]))):
            _sync(folder)

    def _worked(
        self,
        one: Callable[[Change], _Kept | Attempt | None],
        changes: list[Change],
        jobs: int,
        is_stopping: IsStopping,
    ) -> Generator[Event | tuple[Change, _Kept | Attempt | None], None, None]:
        """Yield progress, and each change with what became of its backup, until all is done or a stop was asked for."""

        def work() -> None:
            try:
                for pair in parallel_map(one, changes, jobs=jobs):
                    self._events.put(pair)
            finally:
                self._events.put(None)

        # The downloads have threads of their own; this one waits for them, and the caller's tells of them.
        if not start([threading.Thread(target=work, name="backup", daemon=True)]):
            work()
        deadline: float | None = None
        while deadline is None or time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=_TICK)
                if event is None:
                    return
                yield event
            if deadline is None and is_stopping():
                self._stopped.set()
                deadline = time.monotonic() + _FAREWELL

    def _one(
        self, change: Change, client: Client, known: Mapping[tuple[str, str], KnownImage]
    ) -> _Kept | Attempt | None:
        """Back up one model; None where it is gone, which its change finds as well."""
        before, name = change.before, change.name
        if self._stopped.is_set() or before is None:
            raise _Stopped
        try:
            engine = before.engine
            if engine is None:
                engine = (client.find_detail(name) or {}).get("engine")
            if engine is None or (why := unlistable(name, engine)):
                why = "the server does not say its engine" if engine is None else why
                return _failed(change, f"no manifest could put it back: {why}")
            sha256 = _known_sha256(before, known)
            if sha256 is None or not self._holds(sha256):
                if isinstance(downloaded := self._download(change, before, client), Attempt):
                    return downloaded
                sha256 = downloaded
            description = before.description
            if description is None and "description" in change.reasons:
                description = ""
            extension = (*EXTENSIONS.get(engine, ()), "")[0]
            return _Kept(Entry(name, sha256 + extension, engine, description, sha256, as_it_is=True), sha256)
        except ModelNotFound:
            return None
        except TokenError as error:
            return Attempt(Outcome(change, "failed", "token", str(error)))
        except (ModelManagerError, FileError) as error:
            return _failed(change, str(error) or type(error).__name__)
        except OSError as error:
            return self._disk_failed(change, error)

    def _holds(self, sha256: str) -> bool:
        """Return whether the object is there and whole: it is read again, which costs less than a download."""
        path = self._object(sha256)
        return path.exists() and digest_file(str(path)).sha256 == sha256

    def _object(self, sha256: str) -> Path:
        return self._objects / sha256[:2] / sha256

    def _download(self, change: Change, before: Before, client: Client) -> str | Attempt:
        """Put the model's bytes into an object; return its sha256, or the attempt that ends as the model is another."""
        name, told = change.name, time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal told
            if self._stopped.is_set():
                raise _Stopped
            if (now := time.monotonic()) - told >= _PROGRESS_EVERY:
                told = now
                # The total is an estimate; only the end says that it is the end.
                self._events.put(Progress(name, "downloading", done, max(total, done + 1)))

        with draft_in(self._objects) as draft:
            image = client.download_image(name, draft.file, on_progress=progress)
            there = image.image_id
            if there is None and before.image_id is not None:
                # The download does not name its image: it was this one if the model still has it afterwards.
                if (row := row_of(client, name)) is None:
                    raise ModelNotFound(name)
                there = row.image_id
            if None not in (there, before.image_id) and str(there) != str(before.image_id):
                why = "its content was replaced outside mmsync since the plan was made; plan again to see what is left to do"
                return Attempt(Outcome(change, "skipped", "stale", why))
            draft.file.flush()
            written = os.fstat(draft.file.fileno())
            if written.st_size != image.size:
                raise OSError(errno.EIO, "the file is not as long as what was written to it")
            draft.path.chmod(written.st_mode & 0o444)
            target = self._object(image.sha256)
            target.parent.mkdir(exist_ok=True)
            draft.become(target, replace=True)
        for folder in (target.parent, self._objects):
            _sync(folder)
        self._events.put(Progress(name, "downloading", image.size, image.size))
        return image.sha256

    def _write(self, kept: Iterable[_Kept], plan: Plan, added: list[str], *, is_over: bool) -> None:
        """Put the run's model files and its manifest on the disk; the manifest is whole at any moment."""
        ranked = sorted(kept, key=lambda each: each.entry.name)
        files = {each.entry.file: each.sha256 for each in ranked}
        for file, sha256 in files.items():
            if not (self._run / file).exists():
                _link(self._object(sha256), self._run / file)
        _sync(self._run)
        server = plan.server.url + (f", domain {plan.server.domain}" if plan.server.domain else "")
        heading = [
            f"What mmsync replaced or deleted on {printable(server, 500)}, {self._moment:%Y-%m-%d %H:%M:%S} UTC, as it was.",
            "To put it back, apply this file where it lies. It has no scope: that deletes nothing.",
        ]
        if added:
            heading.append(f"The run {'added' if is_over else 'adds'} {few(sorted(added))}, which this does not undo.")
        if not is_over:
            heading.append("The run had not ended when this was written: perhaps not all of these were touched.")
        text = manifest_text([each.entry for each in ranked], heading=heading, server=self._server)
        write_new(self._run / "models.yaml", text, replace=True)
        _sync(self._run)
        _sync(self._folder)
        if is_over:
            for path in self._run.iterdir():
                if path.name not in files and path.name != "models.yaml":
                    path.unlink()

    def _remove(self) -> None:
        """Remove a run that comes to replace nothing; its contents stay among the objects."""
        for path in self._run.iterdir():
            path.unlink()
        self._run.rmdir()

    def _all_failed(self, changes: Iterable[Change], error: OSError) -> Generator[Event, None, dict[str, Attempt]]:
        excluded = {change.name: self._disk_failed(change, error) for change in changes}
        for attempt in excluded.values():
            yield Finished(attempt.outcome)
        return excluded

    def _disk_failed(self, change: Change, error: OSError) -> Attempt:
        where = printable(str(self._folder), 500)
        hint = "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
        why = f"{where}: {(error.strerror or type(error).__name__).lower()} ({hint}, or name another folder with --backup)"
        return _failed(change, why)


def _known_sha256(before: Before, known: Mapping[tuple[str, str], KnownImage]) -> str | None:
    """Return the content that the model's image is known to hold.

    That is what the plan found out of this very image, or what the ledger says of it: whoever replaces the bytes gets
    another image id, which is looked at once more before the write.
    """
    if before.image_id is None or before.sha256:
        return before.sha256 if before.image_id is not None else None
    found = known.get((str(before.id), str(before.image_id)))
    if found is None or (None not in (found[2], before.update_date) and found[2] != before.update_date):
        return None
    return found[0]


def _failed(change: Change, why: str) -> Attempt:
    message = f"nothing was written, as it could not be backed up: {why}"
    return Attempt(Outcome(change, "skipped", "backup", message))


def _not_attempted(change: Change) -> Attempt:
    return Attempt(Outcome(change, "not-attempted", "interrupted", "the run was stopped first"))


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; where the file system has none, or no more of them, copy it."""
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return
        with draft_in(target.parent) as draft, source.open("rb") as file:
            shutil.copyfileobj(file, draft.file)
            draft.become(target, replace=True)


def _sync(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows opens no folder
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that have no such thing
            raise
    finally:
        os.close(descriptor)
