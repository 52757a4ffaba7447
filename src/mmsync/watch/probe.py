"""Whether events still arrive, found out by making one in a folder of our own."""

from __future__ import annotations

import contextlib
import os
import tempfile

__all__ = ["Probe"]

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
        path = os.path.join(self._folder.name, "knock")  # noqa: PTH118  # one line of os calls
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
                self._folder = tempfile.TemporaryDirectory(prefix="mmsync-watch-")

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.cleanup()
            self._folder = None
