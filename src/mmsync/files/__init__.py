"""Model files: their content by digest, and whether they look like what their engine reads."""

from mmsync.files.digest import (
    DigestCache,
    Pointer,
    ToldOnly,
    digest_file,
    is_racy,
    pull_command,
    read_contents,
    read_pointer,
)
from mmsync.files.inspection import format_error, guess_engine, inspected

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
