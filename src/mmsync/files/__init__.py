"""Model files: their content by digest, and whether they look like what their engine reads."""

from mmsync.files.contents import DigestCache, ToldOnly, is_racy, read_contents
from mmsync.files.digest import digest_file
from mmsync.files.inspection import guess_engine, inspected, misfit
from mmsync.files.lfs import Pointer, pull_command, read_pointer
from mmsync.files.opening import file_key

__all__ = [
    "DigestCache",
    "Pointer",
    "ToldOnly",
    "digest_file",
    "file_key",
    "guess_engine",
    "inspected",
    "is_racy",
    "misfit",
    "pull_command",
    "read_contents",
    "read_pointer",
]
