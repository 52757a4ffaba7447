"""Hints from inotify that something may have changed. They say *look*, never *what*: a scan decides.

watchdog's observer would give one thread a folder, hold back renames for half a second, queue every event of a flood,
and share one reader that stays dead once it died, while everything still says it is alive. Its reader class alone
(``InotifyFD``, one thread for any number of folders) has none of that: each event sets one flag, opens and reads are
not even asked for, a folder that cannot be watched is known by name, and a dead reader is replaced by a new one.
"""

from __future__ import annotations

import itertools
import logging
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from mmsync.watch.probe import Probe

__all__ = ["Hints", "Names", "Uncovered"]

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
