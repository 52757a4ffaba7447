"""Git LFS pointers: small texts that stand for a file by its sha256 and size.

Source of the form: the Git LFS specification, docs/spec.md, version 1.
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

MAX_POINTER_BYTES = 1024
"""A pointer is never longer: Git LFS itself reads no more to decide."""

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})\n"
)


class Pointer(NamedTuple):
    """The file a pointer stands for: its sha256 in lower-case hex and its size in bytes."""

    sha256: str
    size: int


def read_pointer(data: bytes) -> Pointer | None:
    """Return the pointer that ``data``, a whole file, is; None where it is anything else, a damaged one included."""
    if len(data) > MAX_POINTER_BYTES:
        return None
    found = _POINTER.fullmatch(data)
    return Pointer(found[1].decode(), int(found[2])) if found else None


def pull_command(path: str) -> str:
    """Return the command that fetches the real file; ``path`` as one gives it to Git in the same folder."""
    return f"git lfs pull --include={shlex.quote(path)}"
