"""Where model files lie: each must be a regular file inside a folder it may come from."""

# Paths stay text, as the user gave them: Path would rewrite them, and costs ten times the look-up.
# ruff: noqa: PTH116

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

__all__ = ["Places", "Refusal"]

_TYPE = 0o170000
_REGULAR = 0o100000
_READABLE_BY_ALL = 0o444


class Refusal(NamedTuple):
    """Why a file may not be used; the code is without the room's name."""

    code: str
    summary: str
    detail: str


class Places:
    """Looks model files up, each with one ``lstat``, each folder resolved once.

    Attributes:
        admitted: The folders, links resolved, that files may lie in.
        stats: What was found, links followed, by the path that was asked for.
    """

    def __init__(self, admitted: tuple[str, ...], stats: dict[str, os.stat_result]) -> None:
        self.admitted = admitted
        self.stats = stats
        self._inside: dict[str, bool] = {}
        # Root reads anything; elsewhere a mode that lets everybody read settles it without asking the kernel again.
        self._reads_all = os.geteuid() == 0

    def look(self, path: str) -> Refusal | None:
        """Find ``path`` and remember its stat, or say why it may not be used."""
        folder, _, name = path.rpartition("/")
        inside = self._inside.get(folder)
        if inside is None:
            inside = self._inside[folder] = self.admits(os.path.realpath(folder or ("/" if path[:1] == "/" else ".")))
        try:
            status = os.lstat(path)
            mode = status.st_mode
            readable = self._reads_all or mode & _READABLE_BY_ALL == _READABLE_BY_ALL
            if inside and readable and mode & _TYPE == _REGULAR and name:
                self.stats[path] = status
                return None
            return self._look_closely(path)
        except (OSError, ValueError) as error:
            return _cannot(error)

    def _look_closely(self, path: str) -> Refusal | None:
        status = os.stat(path)
        if not self.admits(os.path.realpath(path)):
            return Refusal(
                "file-outside",
                "the file is outside the manifest's folder",
                "move it inside, or admit its folder with --models-dir",
            )
        if not stat.S_ISREG(status.st_mode):
            return Refusal("file-not-regular", f"the file is {_kind(status.st_mode)}", "name a model file")
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            return Refusal("file-unreadable", "the file cannot be read: permission denied", "check its permissions")
        self.stats[path] = status
        return None

    def admits(self, real: str) -> bool:
        """Tell whether ``real``, a path with its links resolved, is an admitted folder or inside one."""
        return any(real == root or real.startswith(root.rstrip("/") + "/") for root in self.admitted)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def _cannot(error: OSError | ValueError) -> Refusal:
    if isinstance(error, (FileNotFoundError, ValueError)):
        return Refusal("file-missing", "there is no such file", "check the path; it is relative to the manifest")
    if isinstance(error, NotADirectoryError):
        return Refusal("file-missing", "there is no such file: a part of its path is not a folder", "check the path")
    if error.errno == errno.ELOOP:
        return Refusal("file-missing", "the file is a link that leads back to itself", "remove the link")
    reason = (error.strerror or "unknown error").lower()
    return Refusal("file-unreadable", f"the file cannot be read: {reason}", "check permissions and disk")
