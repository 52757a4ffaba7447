"""Model files: their content by digest, and whether they look like what their engine reads."""

from mmsync.files.digest import DigestCache, ToldOnly, digest_file, is_racy, read_contents
from mmsync.files.inspection import format_error, guess_engine, inspected
from mmsync.files.lfs import Pointer, pull_command, read_pointer

__all__ = [
    "DigestCache",
    "Pointer",
    "ToldOnly",
    "digest_file",
    "format_error",
    "guess_engine",
    "inspected",
    "is_racy",
    "pull_command",
    "read_contents",
    "read_pointer",
]
