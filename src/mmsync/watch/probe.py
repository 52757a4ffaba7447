"""Whether events still arrive, found out by making one in a folder of our own."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile

__all__ = ["Probe", "remove_leftovers"]

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
