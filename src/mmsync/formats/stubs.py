"""Stubs: small texts that large-file tools leave in place of a file, and the command that fetches it.

Sources: the Git LFS specification; git-annex's page on pointer files; DVC's page on .dvc files; Git's core.symlinks.
"""

from __future__ import annotations

import re
import shlex

__all__ = ["claims_to_be_pointer", "stub_of"]

_MAX_BYTES = 32 * 1024  # git-annex's own limit on a pointer, the largest of all
_LFS = re.compile(rb"version https?://(?:git-lfs\.github\.com/spec|hawser\.github\.com/spec|git-media\.io)/v")
_ANNEX = re.compile(rb"(?:(?:\.\./)*\.git)?/annex/objects/[^\n\0]+\n?")
_XET = re.compile(rb"# xet version \d")
_DVC = re.compile(rb"(?:md5: [0-9a-f]+\n|frozen: \w+\n)?outs:\n- (?:md5|hash|etag|size|path|cache): ?", re.MULTILINE)
_LINK = re.compile(rb"[^\s\0{}\[\]<>]{1,1024}\.(?:onnx|cbm|cmb|zip|json)\n?", re.IGNORECASE)


def claims_to_be_pointer(data: bytes) -> bool:
    """Tell whether a file that begins with ``data`` says that it is a Git LFS pointer, of whatever version and form."""
    return _LFS.match(data) is not None


def stub_of(head: bytes, size: int, path: str) -> tuple[str, str] | None:
    """Name what stands in place of the file, with its article, and the command that fetches it; None for no stub.

    Args:
        head: How the file begins; a stub is all in it.
        size: The file's size in bytes.
        path: The file, as one gives it to a command.
    """
    if size > min(_MAX_BYTES, len(head)):
        return None
    text, name = head.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n"), shlex.quote(path)
    if text.startswith(b"<<<<<<< ") and _LFS.search(text):
        return "a Git LFS pointer in a merge conflict", f"git checkout --ours {name} (or --theirs), then git lfs pull"
    if _LFS.match(text):
        return "a Git LFS pointer", f"git lfs pull --include={name}"
    if _ANNEX.match(text):
        return "a git-annex pointer", f"git annex get {name}"
    if _XET.match(text):
        return "a Xet pointer", f"git xet checkout {name}"
    if _DVC.match(text):
        return "a DVC file", f"dvc pull {name}"
    if _LINK.fullmatch(text):
        return "a symbolic link checked out as text", f"git config core.symlinks true && git checkout -- {name}"
    return None
