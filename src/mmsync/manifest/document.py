"""A manifest file to its root node, or to the one fault that keeps it from being read."""

# Paths stay text, as the user gave them: Path would rewrite them, and costs ten times the look-up.
# ruff: noqa: PTH112, PTH115, PTH120, PTH123

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

from mmsync.manifest.aliases import expands_too_far
from mmsync.manifest.loader import NULL, TooDeep, TooMany, compose
from mmsync.manifest.syntax import TOO_DEEP, end_of, explain

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.page import Page

__all__ = ["MAX_BYTES", "read_document"]

MAX_BYTES = 64 * 2**20
"""The largest manifest that is read; 100,000 models with a line of description take about a quarter of it."""

# The lines of marks of Git, Mercurial and Subversion; nothing in a block or quoted text of a manifest begins a line so.
_CONFLICT = re.compile(rb"^(?:<{7}|>{7}) \S", re.MULTILINE)
_ODD_BREAK = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")

# It begins with the star, which the regular expression engine can leap to: a class first would try every byte.
_ALIAS = re.compile(rb"\*(?<=[\s\[{,:-]\*)[^\s,\]}]")


def read_document(page: Page) -> Node | None:
    """Return the root node of the manifest ``page.file``, or None once the fault is noted on the page."""
    data = _read(page)
    if data is None:
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")  # Windows editors write this mark; it says nothing
    if not _is_utf8(page, data):
        return None
    if conflict := _CONFLICT.search(data):
        source = end_of(page, data[: conflict.start()].decode())
        page.fault(source, "merge-conflict", "a merge conflict was left in", "settle it, and remove the lines of marks")
        return None
    import yaml  # noqa: PLC0415 - after the cheap checks: it takes longer than reading a small manifest

    if _ODD_BREAK.search(data):
        page.number_lines(data.decode())
    try:
        root = compose(data, page.budget.check)
    except TooDeep as deep:
        page.fault(deep.parent, *TOO_DEEP)
        return None
    except TooMany:
        page.fault(None, "too-large", "the manifest holds more than any could", "is it the right file?")
        return None
    except yaml.YAMLError as error:
        explain(page, error, data.decode())
        return None
    if root is None or (root.tag == NULL and not root.value):  # nothing, or nothing behind `---`
        page.fault(None, "empty", "the manifest is empty", "write `version: 1` and `models:` with a list under it")
        return None
    # No alias without an anchor, whose sign few manifests hold.
    if b"&" in data and (alias := _ALIAS.search(data)) and expands_too_far(root):
        source = end_of(page, data[: alias.end() - 2].decode("utf-8", "ignore"))
        page.fault(source, "alias-bomb", "aliases that repeat too much or contain themselves", "write the entries out")
        return None
    return root


def _read(page: Page) -> bytes | None:
    try:
        # O_NONBLOCK: opening a FIFO nobody writes to would otherwise wait for ever.
        descriptor = os.open(page.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                page.fault(None, "not-a-file", "the manifest is not a regular file", "name a YAML file")
                return None
            if page.confined and not _is_inside(descriptor, page.file):
                way_on = "put the manifest itself there; elsewhere than in CI links are followed"
                page.fault(None, "outside", "the manifest is a link that leads out of its folder", way_on)
                return None
            data = b"" if status.st_size > MAX_BYTES else file.read(MAX_BYTES + 1)
            if status.st_size > MAX_BYTES or (data is not None and len(data) > MAX_BYTES):
                page.fault(
                    None,
                    "too-large",
                    f"the manifest is larger than {MAX_BYTES // 2**20} MiB",
                    "is it the right file? Several manifests can be given with -f",
                )
                return None
            return data
    except FileNotFoundError:
        page.fault(None, "missing", "there is no such manifest", "name it with -f, or make one with `mmsync init`")
    except ValueError:
        page.fault(None, "missing", "a path cannot hold a NUL character", "name the manifest with -f")
    except OSError as error:
        way_on = "check its permissions" if error.errno in (errno.EACCES, errno.EPERM) else "check the path and disk"
        reason = (error.strerror or "unknown error").lower()
        page.fault(None, "unreadable", f"the manifest cannot be read: {reason}", way_on)
    return None


def _is_inside(descriptor: int, path: str) -> bool:
    """Whether an opened file lies where its path says: below the working folder if that is where the path leads."""
    is_below = not path.startswith("/") and ".." not in path.split("/")
    folder = os.path.realpath("." if is_below else os.path.dirname(path) or "/")
    real = os.readlink(f"/proc/self/fd/{descriptor}") if os.path.isdir("/proc/self/fd") else os.path.realpath(path)
    return real.startswith(folder.rstrip("/") + "/")


def _is_utf8(page: Page, data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        source = end_of(page, data[: error.start].decode())
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "UTF-16, not UTF-8" if wide else f"not UTF-8: byte 0x{data[error.start]:02x}"
        page.fault(source, "encoding", f"the text is {what}", "save the file as UTF-8")
        return False
    return True
