"""Files that are often mistaken for models, told by their first bytes."""

from __future__ import annotations

import re

__all__ = ["mistaken_for"]

_MAGICS = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)"),
    (b"CBM1", "a CatBoost model"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"tree\nversion=", "a LightGBM model"),
    (b"binf", "an XGBoost model"),
    (b"PAR1", "a Parquet file"),
)
# Protocols 2 to 5 open with PROTO and their number; protocol 0 with a class or a container of text opcodes.
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95|[\x00-\xff])|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\(dp?\d?\n|\(lp?\d?\n")
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_XML = re.compile(rb"<\?xml\b")
_SPACE = re.compile(rb"\s*")
_TAR_MAGIC_AT = 257


def mistaken_for(head: bytes) -> str | None:
    """Name what a file that begins with ``head`` is, with its article, or return None where nothing is sure."""
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "a tar archive"
    text = _without_comments(head.removeprefix(b"\xef\xbb\xbf"))
    if _HTML.match(text):
        return "an HTML page (a login or error page saved in place of the file?)"
    if _XML.match(text):
        return "an XML document"
    if _PICKLE.match(head):
        return "a Python pickle"
    return None


def _without_comments(text: bytes) -> bytes:
    """The text without the comments it begins with. Each byte is passed once: no expression tries them again."""
    at = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches nothing as well
    while text.startswith(b"<!--", at):
        end = text.find(b"-->", at + 4)
        if end < 0:
            break
        at = _SPACE.match(text, end + 3).end()  # type: ignore[union-attr]
    return text[at:]
