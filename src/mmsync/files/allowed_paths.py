"""Allowed paths: a model file must be a regular file inside a folder it may come from.

What is asked is asked of one opened folder or file, not of a path twice: in between somebody may put a link in its
place. Whoever opens the file later compares its device and inode with what was found here. A hard link is a file
inside like any other, and an admitted folder that is a link admits what it leads to when it is scanned.
"""

# Paths stay text, as the user gave them: Path would rewrite them, and costs ten times the look-up.
# ruff: noqa: PTH116

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
from typing import NamedTuple

_TYPE = 0o170000
_REGULAR = 0o100000
_READABLE_BY_ALL = 0o444

# Linux: what is found can be held without being opened for reading, and asked where it lies. Elsewhere it is looked up
# by its path; whoever opens it compares in any case.
_OPENS_PATHS = hasattr(os, "O_PATH") and os.stat in os.supports_dir_fd

OPEN_FLAGS = os.O_RDONLY
"""What to open a file with that may be anything: a FIFO nobody writes to is not waited for, and no byte is translated."""
for _name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"):  # each where the system has it
    OPEN_FLAGS |= getattr(os, _name, 0)


class Denial(NamedTuple):
    """The reason why a file may not be used; the code is without the room's name."""

    code: str
    summary: str
    detail: str


class AllowedPaths:
    """Looks model files up, each with one ``lstat`` in its opened folder."""

    def __init__(self, admitted: tuple[str, ...], stats: dict[str, os.stat_result]) -> None:
        self.admitted = admitted  # the folders, links resolved, that files may lie in
        self.stats = stats  # what was found, links followed, by the path that was asked for
        self._folder: _Opened | None = None
        self._folder_path = ""
        # Root reads anything; elsewhere a mode that lets everybody read settles it without asking the kernel again.
        self._reads_all = hasattr(os, "geteuid") and os.geteuid() == 0

    def check(self, path: str) -> Denial | None:
        """Find ``path`` and remember its stat, or say why it may not be used."""
        if not _OPENS_PATHS:
            return self._check_by_path(path)
        folder, _, name = path.rpartition("/")
        try:
            opened = self._folder
            if opened is None or folder != self._folder_path:
                opened = self._folder = _Opened(folder or ("/" if path[:1] == "/" else "."), os.O_DIRECTORY)
                self._folder_path = folder
                opened.inside = self.admits(opened.real())
            inside = opened.inside
            status = os.stat(name or ".", dir_fd=opened.descriptor, follow_symlinks=False)
            mode = status.st_mode
            readable = self._reads_all or mode & _READABLE_BY_ALL == _READABLE_BY_ALL
            if inside and readable and mode & _TYPE == _REGULAR and name:
                self.stats[path] = status
                return None
            return self._check_closely(path)
        except (OSError, ValueError) as error:
            return _cannot(path, error)

    def _check_closely(self, path: str) -> Denial | None:
        opened = _Opened(path)
        return self._judge(path, opened.real(), os.fstat(opened.descriptor))

    def _check_by_path(self, path: str) -> Denial | None:
        try:
            real = os.path.realpath(path, strict=True)
            return self._judge(path, real, os.stat(real))
        except (OSError, ValueError) as error:
            return _cannot(path, error)

    def _judge(self, path: str, real: str, status: os.stat_result) -> Denial | None:
        if not self.admits(real):
            return Denial(
                "file-outside",
                "the file is outside the manifest's folder",
                "move it inside, or admit its folder with --models-dir",
            )
        if not stat.S_ISREG(status.st_mode):
            return Denial("file-not-regular", f"the file is {kind_of(status)}", "name a model file")
        if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            return Denial("file-unreadable", "the file cannot be read: permission denied", "check its permissions")
        self.stats[path] = status
        return None

    def admits(self, real: str) -> bool:
        """Tell whether ``real``, a path with its links resolved, is an admitted folder or inside one."""
        return any(real == root or real.startswith(os.path.join(root, "")) for root in self.admitted)  # noqa: PTH118 - stay text


class _Opened:
    """A folder or file that was found, whatever its path leads to by now; closed with its last reference."""

    def __init__(self, path: str, flags: int = 0) -> None:
        self.inside = False  # whether it is an admitted folder or inside one, once that was asked
        self._path = path
        # Nothing can be read through it.
        self.descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | flags)

    def real(self) -> str:
        """Return its path without links; one that is nowhere where it has been removed meanwhile."""
        try:
            return os.readlink(f"/proc/self/fd/{self.descriptor}")  # noqa: PTH115 - paths stay text
        except OSError:  # no /proc here
            real = os.path.realpath(self._path)
            return real if os.path.samestat(os.stat(real), os.fstat(self.descriptor)) else ""

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


def kind_of(status: os.stat_result) -> str:
    """Return what a thing that is no regular file is instead."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a device")


def _cannot(path: str, error: OSError | ValueError) -> Denial:
    with contextlib.suppress(OSError, ValueError):
        # git-annex leaves a link to where it would keep the file.
        if ".git/annex/objects/" in os.readlink(path) and not os.path.exists(path):  # noqa: PTH110, PTH115 - stay text
            hint = f"run git annex get {shlex.quote(path)}"
            return Denial("file-missing", "the file is in git-annex, and not fetched", hint)
    if isinstance(error, (FileNotFoundError, ValueError)):
        return Denial("file-missing", "there is no such file", "check the path; it is relative to the manifest")
    if isinstance(error, NotADirectoryError):
        return Denial("file-missing", "there is no such file: a part of its path is not a folder", "check the path")
    if error.errno == errno.ELOOP:
        return Denial("file-missing", "the file is a link that leads back to itself", "remove the link")
    reason = (error.strerror or "unknown error").lower()
    return Denial("file-unreadable", f"the file cannot be read: {reason}", "check permissions and disk")
