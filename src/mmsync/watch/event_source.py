"""File events: which folders are listened to, through watchdog, and whether events still come.

An event only says that something may have changed: what has is for a scan to find out. Where events may be missing (a
limit, a file system that has none, a reader that died) the source says so, and files are scanned on a timer.

One page, because listener, probe and source answer one question together: is everything heard?
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import EventQueue

from mmsync.status import EventBackend
from mmsync.watch.conditions import Condition
from mmsync.watch.retry import Backoff

# The names that matter in a folder; None for all but those that start with two dots (ConfigMap's own).
Names = frozenset[str] | None

# That a file was opened, or closed unwritten, is left out: it is what reading it to hash it causes. That it was closed
# after writing would double a flood, and only what was written through a memory map shows by it alone: that is for the
# timer to find.
_EVENTS: list[type[events.FileSystemEvent]] = [
    events.DirAttribEvent,
    events.DirCreatedEvent,
    events.DirDeletedEvent,
    events.DirMovedEvent,
    events.FileAttribEvent,
    events.FileCreatedEvent,
    events.FileDeletedEvent,
    events.FileModifiedEvent,
    events.FileMovedEvent,
]
_MOST_FOLDERS = 2000  # watchdog starts a thread for each, at 23 KB of memory
_TO_RAISE = {errno.ENOSPC: "fs.inotify.max_user_watches", errno.EMFILE: "fs.inotify.max_user_instances"}


class Unwatched(NamedTuple):
    """A folder no event will come from, why, and the ``errno`` of that, 0 where it has none."""

    folder: str
    reason: str
    errno: int = 0

    @classmethod
    def after(cls, error: OSError | RuntimeError, folder: str = "") -> Unwatched:
        """Return what an error of watchdog means; a RuntimeError is that no thread can be started."""
        return cls(folder, getattr(error, "strerror", None) or str(error), getattr(error, "errno", None) or 0)

    @property
    def hint(self) -> str:
        """Say which limit somebody has to raise; empty where it is none."""
        limit = _TO_RAISE.get(self.errno)
        return f" (raise {limit})" if limit else ""


class _Handler(events.FileSystemEventHandler):
    """The handler, called on watchdog's thread, of one folder's events; ``folders`` are all that are listened to."""

    def __init__(
        self, names: Names, on_change: Callable[[], None], folders: Collection[str], on_loss: Callable[[], None]
    ) -> None:
        self._names = names
        self._on_change = on_change
        self._folders = folders
        self._on_loss = on_loss

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Take one event."""
        paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path]
        # A folder listened to that is the subject of an event itself moved, went or came; its mode or times alone may
        # have changed, as when a delivery is unpacked.
        if any(path in self._folders for path in paths):
            (self._on_change if isinstance(event, events.DirAttribEvent) else self._on_loss)()
        names = {path.rpartition("/")[2] for path in paths}
        if any(not name.startswith("..") for name in names) if self._names is None else names & self._names:
            self._on_change()


class _Losses(logging.Handler):
    """A handler of what watchdog warns of: that events were lost is told in no other way."""

    def __init__(self, on_loss: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._on_loss = on_loss

    def emit(self, _record: logging.LogRecord) -> None:
        self._on_loss()


class _NoQueue(EventQueue):
    """A queue that hands each event to its folder's handler at once: a flood of them takes no memory."""

    def __init__(self, handlers: Mapping[str, events.FileSystemEventHandler]) -> None:
        super().__init__()
        self._handlers = handlers

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        """Take an event of an emitter, or the observer's word to its own thread that it is to end."""
        if isinstance(item, tuple):
            event, watch = item
            self._handlers[watch.path].dispatch(event)
        else:
            super().put(item, block, timeout)


class _Observer(Observer):  # type: ignore[misc,valid-type]  # the class of this platform
    """watchdog's observer, which tells when its thread ends."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        super().__init__()
        self._on_end = on_end
        self.handlers: dict[str, events.FileSystemEventHandler] = {}
        self._no_queue = _NoQueue(self.handlers)

    @property
    def event_queue(self) -> EventQueue:
        """The queue that emitters put events into."""
        return self._no_queue

    def run(self) -> None:
        """Hand events to their handlers until the end."""
        try:
            super().run()
        finally:
            self._on_end()


class Listener:
    """One observer over a set of real folders, made once; another set takes another one.

    ``on_change`` is called from another thread whenever something may have changed. The probe is listened to as well,
    and told when an event of its folder was heard. Raises OSError where no observer is to be had (the limit of
    instances, a kernel without inotify), RuntimeError where no thread can be started.
    """

    def __init__(self, folders: Mapping[str, Names], on_change: Callable[[], None], probe: Probe | None = None) -> None:
        # Whether a folder moved or vanished, events were lost or a thread ended: not all is heard any more.
        self.is_broken = False
        self._closing = False
        self._on_change = on_change
        self._identities = {folder: _identity(folder) for folder in folders}
        self._losses = _Losses(self.lose)
        logging.getLogger("watchdog").addHandler(self._losses)
        try:
            self._observer = _Observer(self.lose)
            self._observer.start()
        except BaseException:
            logging.getLogger("watchdog").removeHandler(self._losses)
            raise
        # The probe first: with the last watch of a limit, knowing whether events come at all is worth more.
        self.is_probed = bool(probe and probe.folder and not self._add(probe.folder, None, probe.answered))
        found = [self._add(folder, folders[folder], on_change) for folder in sorted(folders)[:_MOST_FOLDERS]]
        found += [
            Unwatched(folder, f"more than {_MOST_FOLDERS} folders", errno.E2BIG)
            for folder in sorted(folders)[_MOST_FOLDERS:]
        ]
        self.unwatched = tuple(each for each in found if each)  # the folders that could not be watched, in order

    def _add(self, folder: str, names: Names, on_change: Callable[[], None]) -> Unwatched | None:
        """Listen to a folder; return why not, or None."""
        # watchdog passes over EACCES in silence.
        if not os.access(folder, os.R_OK) and os.path.isdir(folder):  # noqa: PTH112  # strings throughout
            return Unwatched(folder, "no permission to read the folder", errno.EACCES)
        handler = self._observer.handlers[folder] = _Handler(names, on_change, self._identities, self.lose)
        try:
            self._observer.schedule(handler, folder, event_filter=_EVENTS)
        except (OSError, RuntimeError) as error:
            return Unwatched.after(error, folder)
        return None

    def lose(self) -> None:
        """Take note that not all is heard any more; called from any thread."""
        if not self._closing:
            self.is_broken = True
            self._on_change()

    def is_alive(self) -> bool:
        """Return whether its threads run. That they hear anything is for a probe to say."""
        return self._observer.is_alive() and all(emitter.is_alive() for emitter in tuple(self._observer.emitters))

    def replaced(self) -> tuple[str, ...]:
        """Return the folders that are no longer the ones being watched, by device and inode; no event tells."""
        return tuple(folder for folder, known in self._identities.items() if _identity(folder) != known)

    def close(self) -> None:
        """Stop listening and give the observer back. Called once."""
        self._closing = True
        self._observer.stop()
        self._observer.join(timeout=5)
        logging.getLogger("watchdog").removeHandler(self._losses)


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)  # noqa: PTH116  # strings throughout
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Probe:
    """A private folder that is listened to together with the others, to know whether events come at all.

    It is this user's own, on a disk of this machine; where there is none, nothing can be found out. Each listener
    takes a new one.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = os.path.realpath(folder) if folder else None
        self._unanswered = 0
        self.heard = False  # whether any event of the folder arrived

    def knock(self) -> None:
        """Make events: a file comes and goes."""
        if self.folder is None:
            return
        path = os.path.join(self.folder, f"watch-{os.getpid()}")  # noqa: PTH118  # one line of os calls
        self._unanswered += 1  # first: the answer may come before the next line
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            os.unlink(path)  # noqa: PTH108  # the same
        except OSError:  # a cleaner of old files, a full disk: no event was made, none is missed
            self._unanswered = 0

    def answered(self) -> None:
        """Take note that an event of the folder was heard; called from another thread."""
        self._unanswered = 0
        self.heard = True

    def deaf(self) -> bool:
        """Return whether events made have gone unheard."""
        return self._unanswered > 1  # the answer to the last may still be on its way


# Types whose files change from elsewhere. 9p and virtiofs are shared folders of virtual machines; of FUSE, all are
# (sshfs, s3fs, gcsfuse …): none is obliged to report a change made behind it.
_SILENT = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "ecryptfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "overlay", "overlayfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "unionfs", "aufs",
    "vboxsf", "virtiofs", "vmhgfs", "fuse", "fuseblk", "autofs",
})  # fmt: skip

_ESCAPE = re.compile(r"\\([0-7]{3})")

Mount = tuple[str, str]  # a mount point and the type of the file system mounted there


def is_silent(kind: str) -> bool:
    """Return whether files on a file system of this type can change without an event."""
    return kind in _SILENT or kind.startswith("fuse.")


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo table in its order, later ones covering earlier ones; odd lines are skipped."""
    found: list[Mount] = []
    for line in text.splitlines():
        fields = line.split(" ")
        # Optional fields of any number end with a lone dash; the type follows it.
        if len(fields) > 6 and "-" in fields[6:]:  # noqa: PLR2004  # six fields come before the optional ones
            kind = fields.index("-", 6) + 1
            if kind < len(fields):
                found.append((_ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), fields[4]), fields[kind]))
    return tuple(found)


def file_system(real_path: str, mounts: tuple[Mount, ...]) -> str:
    """Return the type of file system a path lies on, empty where unknown; a later mount on a point hides an earlier."""
    best, kind = -1, ""
    for point, its_kind in mounts:
        if len(point) >= best and (real_path == point or real_path.startswith(point.rstrip("/") + "/")):
            best, kind = len(point), its_kind
    return kind


_REBUILD = Backoff(first=0.2, longest=5.0)  # after a folder moved or a thread died: likely to succeed, and cheap
_RETRY = Backoff()  # after a limit was hit: somebody has to raise it first
_CALM = 30.0  # seconds after which a rebuild counts as the first again


class EventSource:
    """The events we get, kept alive: made anew when folders change, when a thread dies or nothing is heard any more.

    ``on_change`` is called from another thread when something may have changed. ``poll``, the seconds between two
    scans of files no event will come from, is only for the messages. ``private_folder`` is for the `Probe`.
    """

    def __init__(self, on_change: Callable[[], None], poll: float, *, private_folder: Path | None = None) -> None:
        self._on_change = on_change
        self._poll = poll
        self._private_folder = private_folder
        self._probe = Probe(private_folder)
        self._listener: Listener | None = None
        self._folders: dict[str, Names] = {}
        self._silent: dict[str, str] = {}
        self._failure = Unwatched("", "")
        self._deaf = False
        self._due_at: float | None = None
        self._rebuilds = 0
        self._recoveries = 0
        self._retries = 0
        self._built_at = float("-inf")

    @property
    def needs_polling(self) -> bool:
        """Return whether some change may come without an event."""
        listener = self._listener
        return listener is None or self._deaf or bool(listener.unwatched or self._silent) or listener.is_broken

    @property
    def is_broken(self) -> bool:
        """Return whether a check should not wait for its time: a folder moved, events were lost, a thread died."""
        return self._listener is not None and self._listener.is_broken and self._due_at is None

    @property
    def backend(self) -> EventBackend:
        """The way in which changes become known, and how often the listener had to be made anew because it failed."""
        return EventBackend("polling" if self.needs_polling else "events", self._recoveries)

    def follow(self, folders: Mapping[str, Names], now: float) -> None:
        """Listen to these folders from now on; does nothing where they are the ones already listened to."""
        if dict(folders) != self._folders:
            self._folders = dict(folders)
            self._build(now)

    def check(self, now: float) -> bool:
        """Check that events still come, by what can be seen of it; rebuild if need be, not too often.

        Return whether the folders should be worked out anew: one of them moved, vanished or came.
        """
        listener = self._listener
        if listener is None:
            lost = not self._folders
        else:
            if listener.is_probed and (self._probe.deaf() or self._probe.heard):
                self._deaf = self._probe.deaf()
            lost = listener.is_broken or not listener.is_alive() or self._deaf or bool(listener.replaced())
            self._recoveries += lost and self._due_at is None
        if lost and self._due_at is None:
            self._due_at = self._built_at + (_REBUILD.delay(self._rebuilds) if self._rebuilds else 0.0)
        if self._due_at is not None and now >= self._due_at:
            self._due_at = None
            unwatched = listener.unwatched if listener else (self._failure,)
            if self._folders and not lost and all(each.errno in _TO_RAISE for each in unwatched):
                self._build(now)  # the folders are the same: only the limit may have been raised
                return False
            self._folders = {}
            return True
        if listener is not None and listener.is_probed:
            self._probe.knock()
        return False

    def next_due(self) -> float | None:
        """Return when a rebuild is due; None where none is."""
        return self._due_at

    def conditions(self) -> tuple[Condition, ...]:
        """Return what is to be told about events not coming."""
        every = f"files are looked at every {self._poll:g} s"
        found: list[Condition] = []
        message, code = "", ""
        if self._listener is None:
            message, code = f"no file events ({self._failure.reason}); {every}{self._failure.hint}", "none"
        elif self._deaf:
            message, code = f"file events no longer arrive; {every}", "deaf"
        elif self._listener.unwatched:
            count, of, first = len(self._listener.unwatched), len(self._folders), self._listener.unwatched[0]
            message = f"{count} of {of} folders cannot be watched for events, {first.folder} for one ({first.reason})"
            message, code = f"{message}; {every}{first.hint}", "incomplete"
        if message:
            found.append(Condition("events", "", message, code, "file events are complete again", "warning"))
        if self._silent:
            folder, kind = min(self._silent.items())
            message = f"{folder} is on {kind}, where a change may come without an event; {every}"
            again = "every folder is on a file system with events again"
            found.append(Condition("events", "file-system", message, "silent-file-system", again, "info"))
        return tuple(found)

    def close(self) -> None:
        """Stop listening."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.close()

    def _build(self, now: float) -> None:
        table = ""
        with contextlib.suppress(OSError):  # where there is none nothing is known
            table = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        mounts = parse_mountinfo(table)
        self._silent = {folder: kind for folder in self._folders if is_silent(kind := file_system(folder, mounts))}
        # The old one first: the limit may leave room for one only. What happens in between is found by the scan
        # that follows every rebuild.
        self.close()
        self._probe = Probe(self._private_folder)
        self._due_at = None
        self._rebuilds = self._rebuilds + 1 if now - self._built_at < _CALM else 1
        self._built_at = now
        try:
            self._listener = Listener(self._folders, self._on_change, self._probe)
        except (OSError, RuntimeError) as error:
            self._failure = Unwatched.after(error)
        # What is over our own number of folders no retry cures.
        if self._listener is not None and all(each.errno == errno.E2BIG for each in self._listener.unwatched):
            self._retries = 0
        else:
            self._retries += 1
            self._due_at = now + _RETRY.delay(self._retries)
        self._probe.knock()
        self._on_change()
