"""A file's bytes at any place, read in blocks as they are asked for; never mapped, as a file cut meanwhile would kill us."""

from __future__ import annotations

import os
import struct

__all__ = ["Window"]

_BLOCK = 64 * 1024


class Window:
    """The first ``size`` bytes of an open file, one block of them in memory.

    Args:
        descriptor: Open for reading; its position neither matters nor moves.

    Attributes:
        size: The file's size when the window was made, in bytes.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._start = 0
        self._block = b""

    def __getitem__(self, place: slice) -> bytes:
        """The bytes from ``place.start`` on; fewer where the file ends."""
        start, end = place.start or 0, min(place.stop, self.size)
        at = start - self._start
        if at < 0 or end > self._start + len(self._block):
            if end - start > _BLOCK:
                return os.pread(self.descriptor, end - start, start)
            self._start, at = start, 0
            self._block = os.pread(self.descriptor, max(min(_BLOCK, self.size - start), 0), start)
        return self._block[at : at + max(end - start, 0)]

    def unpack(self, form: str, at: int) -> int:
        """One number in the form that ``struct`` calls ``form``.

        Raises:
            struct.error: It lies outside the file.
        """
        if at < 0:
            raise struct.error("before the file")
        value: int = struct.unpack(form, self[at : at + struct.calcsize(form)])[0]
        return value
