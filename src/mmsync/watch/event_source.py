"""Listening to the right folders, and knowing when that does not suffice."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mmsync.watch.conditions import Problem
from mmsync.watch.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = [
    "Coverage",
    "Hints",
    "Mount",
    "Names",
    "Probe",
    "Uncovered",
    "file_system",
    "is_silent",
    "parse_mountinfo",
    "read_mounts",
    "remove_leftovers",
]

Names = frozenset[str] | None
"""The names that matter in a folder; None for all but those that start with two dots (ConfigMap's own)."""

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _ONLY_FOLDERS = 0x400, 0x800, 0x2000, 0x1000000
_FOLDER_GONE = _DELETE_SELF | _MOVE_SELF | _UNMOUNT
# IN_OPEN, IN_ACCESS and IN_CLOSE_NOWRITE are left out: they are what reading a file to hash it causes.
_MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _FOLDER_GONE | _ONLY_FOLDERS

_NAP = 0.005  # seconds

# Its warnings are events here; without a handler of its own Python would print them.
logging.getLogger("watchdog").addHandler(logging.NullHandler())


class Uncovered(NamedTuple):
    """A folder no event will come from, and why."""

    folder: str
    reason: str


class _Folder:
    """What watchdog calls for one folder's events, on the reader's thread. It only sets flags and never raises."""

    def __init__(self, names: Names, ring: Callable[[], None], shake: Callable[[], None]) -> None:
        self._names = None if names is None else frozenset(os.fsencode(name) for name in names)
        self._ring = ring
        self._shake = shake

    def on_event(self, event: Any) -> None:
        if event.mask & _FOLDER_GONE:
            self._shake()
        elif self._names is None:
            if not event.name.startswith(b".."):
                self._ring()
        elif not event.name or event.name in self._names:
            self._ring()

    def on_watch_deleted(self, _descriptor: int) -> None:
        self._shake()

    def on_queue_overflow(self) -> None:
        self._shake()


class Hints:
    """One inotify instance over a set of folders, made once; another set takes another instance.

    Args:
        folders: Real folders with the names that matter in each.
        ring: Called from another thread whenever something may have changed.
        nap: Sleeps the given seconds; called from that thread between two reads.
        probe: Watched too, and told when an event of its folder was heard.

    Raises:
        OSError: No instance is to be had (the limit of instances, a kernel without inotify).
        ImportError: watchdog has no reader for this platform.

    Attributes:
        uncovered: The folders that could not be watched, in order.
        probed: Whether the probe's folder is watched.
        shaken: Whether a folder moved or vanished or events were lost: the cover is no longer whole.
    """

    def __init__(
        self,
        folders: Mapping[str, Names],
        ring: Callable[[], None],
        nap: Callable[[float], None],
        probe: Probe | None = None,
    ) -> None:
        self.shaken = False
        self._closing = False
        self._ring = ring
        self._identities = {folder: _identity(folder) for folder in folders}
        self._ids = itertools.count(1)
        self._reader = _new_reader(nap, self._shake)
        self._reader.start()
        self.probed = probe is not None and probe.folder is not None
        # The probe first: with the last watch of a limit, knowing whether events come at all is worth more.
        if probe is not None and probe.folder is not None:
            self.probed = not self._add(probe.folder, _Folder(None, probe.answered, self._shake))
        uncovered = ((folder, self._add(folder, _Folder(folders[folder], ring, self._shake))) for folder in folders)
        self.uncovered = tuple(sorted(Uncovered(folder, reason) for folder, reason in uncovered if reason))

    def _add(self, folder: str, watcher: _Folder) -> str:
        """Listen to a folder; return why not, or an empty string."""
        try:
            descriptor = self._reader.add_callback(os.fsencode(folder), _MASK, watcher, next(self._ids))
        except OSError as error:
            return error.strerror or str(error)
        # watchdog passes over EACCES in silence.
        return "no permission to read the folder" if descriptor == -1 else ""

    def alive(self) -> bool:
        """Whether the thread that reads events is running. That it hears anything is for a probe to say."""
        return bool(self._reader.is_alive())

    def moved(self) -> tuple[str, ...]:
        """Return the folders that are no longer the ones being watched, by device and inode; inotify does not tell."""
        return tuple(folder for folder, known in self._identities.items() if _identity(folder) != known)

    def close(self) -> None:
        """Stop listening and give the instance back. Called once."""
        self._closing = True
        was_alive = self._reader.is_alive()
        self._reader.stop()
        if was_alive:
            self._reader.join(timeout=5)
        elif self._reader._is_reading:  # noqa: SLF001  # it leaves closing to a thread that died while reading
            self._reader._close_resources()  # noqa: SLF001

    def _shake(self) -> None:
        if not self._closing:
            self.shaken = True
            self._ring()


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)  # noqa: PTH116  # strings throughout
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _new_reader(nap: Callable[[float], None], on_death: Callable[[], None]) -> Any:
    """Return a reader of its own, not the process-wide one, which cannot be replaced once its thread has died."""
    from watchdog.observers.inotify_c import InotifyFD  # noqa: PLC0415  # fails to import off Linux

    class Reader(InotifyFD):
        def read_events(self, **keywords: int) -> Any:
            found = super().read_events(**keywords)
            # Meanwhile the kernel folds the many equal events of a file being written into one.
            nap(_NAP)
            return found

        def run(self) -> None:
            try:
                super().run()
            except Exception:
                logging.getLogger(__name__).debug("The reader of file events died", exc_info=True)
            finally:
                on_death()

    return Reader()


_NAME = re.compile(r"mmsync-watch-([1-9][0-9]{0,8})-[a-z0-9_]+")
_KNOCK = "knock"
_PATIENCE = 2  # knocks without an answer: one may still be on its way


class Probe:
    """A private temporary folder that is watched together with the others.

    Where no temporary folder can be made (a read-only container), nothing can be found out and all counts as well.

    Attributes:
        heard: Whether any event of it arrived since the last reset.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._unanswered = 0
        self.heard = False
        self.reset()

    @property
    def folder(self) -> str | None:
        """The folder's real path, to be covered with every name; None where there is none."""
        return os.path.realpath(self._folder.name) if self._folder else None

    def knock(self) -> None:
        """Make an event."""
        if self._folder is None:
            return
        path = os.path.join(self._folder.name, _KNOCK)  # noqa: PTH118  # one line of os calls
        self._unanswered += 1  # first: the answer may come before the next line
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.utime(path)
        except OSError:  # a cleaner of old temporary files, a full disk: no event was made, none is missed
            self._unanswered = 0

    def answered(self) -> None:
        """Take note that an event of the folder was heard; called from the reader's thread."""
        self._unanswered = 0
        self.heard = True

    def deaf(self) -> bool:
        """Whether events made have gone unheard."""
        return self._unanswered >= _PATIENCE

    def reset(self) -> None:
        """Forget what was made: a new instance listens from now on. Make the folder anew if it was cleaned away."""
        self._unanswered = 0
        self.heard = False
        if self._folder is None or not os.path.isdir(self._folder.name):  # noqa: PTH112  # the name is a string
            self.close()
            with contextlib.suppress(OSError):
                self._folder = tempfile.TemporaryDirectory(prefix=f"mmsync-watch-{os.getpid()}-")

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.cleanup()
            self._folder = None


def remove_leftovers() -> None:
    """Remove the private folders of watchers that were killed: of this user, and of processes that are gone.

    Called at the start, before there is a folder of this process: one that carries its number is left from a former
    one, as in a container, where the number is the same at each start. No link is followed, and a folder that holds
    anything a probe does not put there stays. Whatever goes wrong is passed over. Where processes of another
    namespace share the folder, a live one may lose its own; it makes that anew.
    """
    with contextlib.suppress(OSError):
        parent = tempfile.gettempdir()
        for name in os.listdir(parent):  # noqa: PTH208  # one line of os calls
            found = _NAME.fullmatch(name)
            if found and _is_gone(int(found[1])):
                with contextlib.suppress(OSError):
                    _remove(os.path.join(parent, name))  # noqa: PTH118  # the same


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # there, and another user's
        return False
    return pid == os.getpid()


def _remove(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            return
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISREG(os.stat(_KNOCK, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(_KNOCK, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(path)  # noqa: PTH106  # fails where it is a link by now, or not empty


MOUNTINFO = "/proc/self/mountinfo"

# Types whose files change from elsewhere. 9p and virtiofs are shared folders of virtual machines; of FUSE, all are
# (sshfs, s3fs, gcsfuse …): none is obliged to report a change made behind it.
_SILENT = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "ecryptfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "overlay", "overlayfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "unionfs", "aufs",
    "vboxsf", "virtiofs", "vmhgfs", "fuse", "fuseblk", "autofs",
})  # fmt: skip

_ESCAPE = re.compile(r"\\([0-7]{3})")

Mount = tuple[str, str]
"""A mount point and the type of the file system mounted there."""


def is_silent(kind: str) -> bool:
    """Whether files on a file system of this type can change without an event."""
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


def read_mounts(table: str = MOUNTINFO) -> tuple[Mount, ...]:
    """Return the mounts of this process; empty where there is no such table."""
    try:
        return parse_mountinfo(Path(table).read_text("utf-8", "surrogateescape"))
    except OSError:
        return ()


def file_system(real_path: str, mounts: tuple[Mount, ...]) -> str:
    """Return the type of file system a path lies on, empty where unknown.

    Args:
        real_path: Absolute and free of links.
        mounts: The table. Of two mounts on one point the later hides the earlier.
    """
    best, kind = -1, ""
    for point, its_kind in mounts:
        if len(point) >= best and (real_path == point or real_path.startswith(point.rstrip("/") + "/")):
            best, kind = len(point), its_kind
    return kind


_REBUILD = Backoff(first=0.2, longest=5.0)  # after a folder moved or a reader died: likely to succeed, and cheap
_RETRY = Backoff()  # after a limit was hit: somebody has to raise it first
_CALM = 30.0  # seconds after which a rebuild counts as the first again


class Coverage:
    """The events we get, kept alive: made anew when folders change, when the reader dies or goes deaf.

    Args:
        ring: Called from another thread when something may have changed.
        poll: Seconds between two looks at files no event will come from; only for the messages.
        nap: Sleeps the given seconds; the reader of events takes short naps.
        mounts: Reads the table of mounts.
    """

    def __init__(
        self,
        ring: Callable[[], None],
        poll: float,
        nap: Callable[[float], None],
        *,
        mounts: Callable[[], tuple[Mount, ...]] = read_mounts,
    ) -> None:
        self._ring = ring
        self._poll = poll
        self._nap = nap
        self._mounts = mounts
        self._probe = Probe()
        self._hints: Hints | None = None
        self._wanted: dict[str, Names] = {}
        self._silent: dict[str, str] = {}
        self._failure = ""
        self._deaf = False
        self._due_at: float | None = None
        self._rebuilds = 0
        self._retries = 0
        self._built_at = float("-inf")

    @property
    def needs_polling(self) -> bool:
        """Whether some change may come without an event."""
        return self._hints is None or self._deaf or bool(self._hints.uncovered or self._silent) or self._hints.shaken

    @property
    def is_shaken(self) -> bool:
        """Whether a check should not wait for its time: a folder moved, events were lost, the reader died."""
        return self._hints is not None and self._hints.shaken and self._due_at is None

    def follow(self, folders: Mapping[str, Names], now: float) -> None:
        """Listen to these folders from now on; does nothing where they are the ones already listened to."""
        if dict(folders) != self._wanted:
            self._wanted = dict(folders)
            self._build(now)

    def tick(self, now: float) -> bool:
        """Check that events still come, by what can be seen of it; rebuild if need be, not too often.

        Returns:
            Whether the folders should be worked out anew: one of them moved, vanished or came.
        """
        hints = self._hints
        if hints is None:
            lost = not self._wanted
        else:
            if hints.probed and (self._probe.deaf() or self._probe.heard):
                self._deaf = self._probe.deaf()
            lost = hints.shaken or not hints.alive() or self._deaf or bool(hints.moved())
        if lost and self._due_at is None:
            self._due_at = self._built_at + (_REBUILD.delay(self._rebuilds) if self._rebuilds else 0.0)
        if self._due_at is not None and now >= self._due_at:
            self._due_at = None
            if self._wanted and not lost and self._is_limited():
                self._build(now)  # the folders are the same: only the limit may have been raised
                return False
            self._wanted = {}
            return True
        if hints is not None and hints.probed:
            self._probe.knock()
        return False

    def next_due(self) -> float | None:
        """When a rebuild is due; None where none is."""
        return self._due_at

    def problems(self) -> tuple[Problem, ...]:
        """What is to be told about events not coming."""
        every = f"files are looked at every {self._poll:g} s"
        found: list[Problem] = []
        if self._hints is None:
            found.append(_problem(f"no file events ({self._failure}); {every}{_way_on(self._failure)}", "none"))
        elif self._deaf:
            found.append(_problem(f"file events no longer arrive; {every}", "deaf"))
        elif self._hints.uncovered:
            count, of, (first, why) = len(self._hints.uncovered), len(self._wanted), self._hints.uncovered[0]
            found.append(
                _problem(
                    f"{count} of {of} folders cannot be watched for events, {first} for one ({why}); {every}{_way_on(why)}",
                    "incomplete",
                )
            )
        if self._silent:
            folder, kind = min(self._silent.items())
            found.append(
                Problem(
                    "events",
                    "file-system",
                    f"{folder} is on {kind}, where a change may come without an event; {every}",
                    "silent-file-system",
                    "every folder is on a file system with events again",
                    "info",
                )
            )
        return tuple(found)

    def close(self) -> None:
        """Stop listening."""
        self._drop()
        self._probe.close()

    def _build(self, now: float) -> None:
        table = self._mounts()
        self._silent = {folder: kind for folder in self._wanted if is_silent(kind := file_system(folder, table))}
        # The old one first: the limit may leave room for one only. What happens in between is found by the scan
        # that follows every rebuild.
        self._drop()
        self._probe.reset()
        self._due_at = None
        self._rebuilds = self._rebuilds + 1 if now - self._built_at < _CALM else 1
        self._built_at = now
        try:
            self._hints = Hints(self._wanted, self._ring, self._nap, self._probe)
        except (OSError, ImportError, RuntimeError) as error:  # RuntimeError: its thread cannot be started
            self._failure = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if self._hints is not None and not self._hints.uncovered:
            self._retries = 0
        else:
            self._retries += 1
            self._due_at = now + _RETRY.delay(self._retries)
        self._probe.knock()
        self._ring()

    def _is_limited(self) -> bool:
        reasons = (self._failure,) if self._hints is None else (one.reason for one in self._hints.uncovered)
        return all("limit" in reason for reason in reasons)

    def _drop(self) -> None:
        hints, self._hints = self._hints, None
        if hints is not None:
            with contextlib.suppress(OSError):
                hints.close()


def _problem(message: str, code: str) -> Problem:
    return Problem("events", "", message, code, "file events are complete again", "warning")


def _way_on(reason: str) -> str:
    if "watch limit" in reason:
        return " (raise fs.inotify.max_user_watches)"
    if "instance limit" in reason:
        return " (raise fs.inotify.max_user_instances)"
    return ""
