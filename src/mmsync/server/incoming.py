"""A file on its way in: written under a temporary name, durable before it gets its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["IncomingFile"]

_BUFFERS_A_WRITE = 512  # below IOV_MAX, 1024 on Linux


class IncomingFile:
    """A temporary file, locked while it is written so that no start-up clears it away.

    Its methods block; all may raise OSError.

    Attributes:
        path: Its temporary name.
        size: Bytes written so far.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        while True:
            self.path = folder / f"{secrets.token_hex(12)}.part"
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(self._descriptor).st_nlink:
                    return
            # A server starting up took it for a leftover before it was locked; the next name will do.
            os.close(self._descriptor)

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Append all of ``buffers``."""
        for start in range(0, len(buffers), _BUFFERS_A_WRITE):
            some = list(buffers[start : start + _BUFFERS_A_WRITE])
            while some:
                written = os.writev(self._descriptor, some)
                self.size += written
                while some and written >= len(some[0]):
                    written -= len(some.pop(0))
                if written:
                    some[0] = memoryview(some[0])[written:]

    def sync(self) -> None:
        """Return once every byte is on disk."""
        os.fsync(self._descriptor)

    def rename(self, path: Path) -> None:
        """Give it its own name; durable once the folder is synced too."""
        self.path.rename(path)
        self.path = path

    def close(self) -> None:
        """Let go of it under whatever name it has."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Leave nothing behind; does nothing once closed: what then has its name may be another's."""
        if self._descriptor >= 0:
            self.path.unlink(missing_ok=True)
            self.close()
