"""Model files: their content by digest, and whether they look like what their engine reads."""

from mmsync.files.digest import DigestCache, ToldOnly, digest_file, is_racy, pull_command, read_contents, read_pointer
from mmsync.files.inspection import format_error, guess_engine, inspected

__all__ = [
    "DigestCache",
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
