"""A model file's content by its sha256, read as a whole or not at all."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from mmsync.errors import FileFault
from mmsync.files.lfs import MAX_POINTER_BYTES, pull_command, read_pointer
from mmsync.files.opening import file_key, opened, require_same, translated
from mmsync.formats import claims_to_be_pointer
from mmsync.states import Content, FileKey

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["digest_file"]

# Measured: 256 KiB to 1 MiB hash equally fast, smaller ones spend time in calls, a whole file in page faults.
_BUFFER_BYTES = 512 * 1024


def digest_file(
    path: str, *, same_as: os.stat_result | FileKey | None = None, on_progress: Callable[[int, int], None] | None = None
) -> Content:
    """Read the file once and return its content; a Git LFS pointer gives the content it stands for.

    The content's key is the stat of the very descriptor that was read, so a file put in its place meanwhile is
    another one. Memory is constant.

    Args:
        path: The file; links are followed.
        same_as: What was found at the path when it was looked at; another file there now is a fault.
        on_progress: Called with bytes read and the file's size after each half MiB; what it raises ends the reading
            and is passed on.

    Raises:
        FileFault: The file is missing, unreadable, no regular file, changed while it was read, or a damaged pointer.
    """
    with opened(path) as (descriptor, before):
        key = file_key(before)
        if same_as is not None:
            require_same(path, key, same_as)
        size = before.st_size
        digest = hashlib.sha256()
        head = b""
        done = 0
        buffer = memoryview(bytearray(min(_BUFFER_BYTES, size + 1)))
        # One byte more than there should be is asked for, so that a file that grows is seen to.
        while count := _read(path, descriptor, buffer):
            if done == 0 and size <= MAX_POINTER_BYTES:
                head = bytes(buffer[:count])
            digest.update(buffer[:count])
            done += count
            if done > size:
                break
            if on_progress is not None:
                on_progress(done, size)
        with translated(path):
            after = file_key(os.fstat(descriptor))
        if done != size or after != key:
            raise FileFault(path, "changed while it was read", "wait until it is written, then try again")
    if claims_to_be_pointer(head):
        pointer = read_pointer(head)
        if pointer is None:
            raise FileFault(path, "is a Git LFS pointer of an unknown form", f"fetch the file: {pull_command(path)}")
        return Content(pointer.sha256, pointer.size, key, lfs=True)
    return Content(digest.hexdigest(), size, key)


def _read(path: str, descriptor: int, buffer: memoryview) -> int:
    # Apart from the loop: what on_progress raises, an OSError included, is none of the file's faults.
    with translated(path):
        return os.readv(descriptor, [buffer])
