"""Values of an inspection, and the window it reads through."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import Any, TypedDict


class Field(TypedDict):
    """An input of a model; ``type`` is one of ``str``, ``bool``, ``int4``, ``int8``, ``float8``."""

    name: str
    description: str | None
    type: str


class FormatError(Exception):
    """The file is not what its engine takes."""

    def __init__(self, reason: str, hint: str = "", *, cut_off: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason  # what is wrong, a clause about the file ("it is no ONNX model (...)")
        self.hint = hint  # what to do about it, or empty; ``{file}`` stands for the file (see `hint_for`)
        self.cut_off = cut_off  # whether more of the file may be still to come

    def hint_for(self, file: str) -> str:
        """Return the hint with the file's name in it; ``file`` as one gives it to a command."""
        return self.hint.replace("{file}", file)


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature a model file declares."""

    output_type: str | None = None  # the type of what the model answers, or None where the file does not say
    category: str | None = None  # ``Regression``, ``Binomial``, ``Multinomial``, ``Clustering`` and the like, or None
    fields: list[Field] = field(default_factory=list)  # the inputs, in order
    clusters: list[dict[str, Any]] = field(default_factory=list)  # as the contract has them; none is read from a file
    runtime_size: int = 0  # bytes the model is thought to take once loaded
    map_outputs: tuple[str, ...] = ()  # the names of outputs that are maps, or sequences of them


_BLOCK = 64 * 1024


def read_at(descriptor: int, size: int, start: int) -> bytes:
    """Return at most ``size`` bytes of an open file from ``start`` on; where it stands then is not told."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, start)
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)


class Window:
    """The first ``size`` bytes of an open file, one block of them in memory; its position does not matter, and may move."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size  # in bytes, when the window was made
        self._start = 0
        self._block = b""

    def __getitem__(self, place: slice) -> bytes:
        """Return the bytes from ``place.start`` on; fewer where the file ends."""
        start, end = place.start or 0, min(place.stop, self.size)
        at = start - self._start
        if at < 0 or end > self._start + len(self._block):
            if end - start > _BLOCK:
                return read_at(self.descriptor, end - start, start)
            self._start, at = start, 0
            self._block = read_at(self.descriptor, max(min(_BLOCK, self.size - start), 0), start)
        return self._block[at : at + max(end - start, 0)]

    def unpack(self, form: str, at: int) -> int:
        """Return a number in the form that ``struct`` calls ``form``; `struct.error` where it lies outside the file."""
        if at < 0:
            raise struct.error("before the file")
        return int(struct.unpack(form, self[at : at + struct.calcsize(form)])[0])
