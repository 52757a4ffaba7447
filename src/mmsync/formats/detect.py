"""Detection of formats: the one inspection that validate, plan, apply, watch and the embedded server share.

It judges framing, never taste: what is refused, no reader of the format can read. The open file is read, whatever
its size in bounded memory; nothing in it is executed or unpacked to disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from mmsync.engines import EXTENSIONS
from mmsync.formats.catboost import read_catboost
from mmsync.formats.json_documents import read_bigml, read_json
from mmsync.formats.mojo import read_mojo, read_zip
from mmsync.formats.onnx import read_onnx
from mmsync.formats.types import FormatError, Signature, Window

_MAX_BYTES = 32 * 1024  # git-annex's own limit on a pointer, the largest of all
_LFS = re.compile(rb"version https?://(?:git-lfs\.github\.com/spec|hawser\.github\.com/spec|git-media\.io)/v")
_ANNEX = re.compile(rb"(?:(?:\.\./)*\.git)?/annex/objects/[^\n\0]+\n?")
_XET = re.compile(rb"# xet version \d")
_DVC = re.compile(rb"(?:md5: [0-9a-f]+\n|frozen: \w+\n)?outs:\n- (?:md5|hash|etag|size|path|cache): ?", re.MULTILINE)
_LINK = re.compile(rb"[^\s\0{}\[\]<>]{1,1024}\.(?:onnx|cbm|cmb|zip|json)\n?", re.IGNORECASE)


def claims_to_be_pointer(data: bytes) -> bool:
    """Tell whether a file that begins with ``data`` says that it is a Git LFS pointer, of whatever version and form."""
    return _LFS.match(data) is not None


def stub_of(head: bytes, size: int) -> tuple[str, str] | None:
    """Name what stands in place of the file, with its article, and the command that fetches it; None for no stub.

    ``{file}`` in the command stands for the file.

    Args:
        head: How the file begins; a stub is all in it.
        size: The file's size in bytes.
    """
    if size > min(_MAX_BYTES, len(head)):
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if text.startswith(b"<<<<<<< ") and _LFS.search(text):
        return "a Git LFS pointer in a merge conflict", "git checkout --ours {file} (or --theirs), then git lfs pull"
    if _LFS.match(text):
        return "a Git LFS pointer", "git lfs pull --include={file}"
    if _ANNEX.match(text):
        return "a git-annex pointer", "git annex get {file}"
    if _XET.match(text):
        return "a Xet pointer", "git xet checkout {file}"
    if _DVC.match(text):
        return "a DVC file", "dvc pull {file}"
    if _LINK.fullmatch(text):
        return "a symbolic link checked out as text", "git config core.symlinks true && git checkout -- {file}"
    return None


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


INSPECTOR: Final = 1
"""The inspection's version: raised with every change to what it finds, as findings are remembered."""

_HEAD_BYTES = 64 * 1024


def _json_or_zip(data: Window) -> Signature:
    # The client's table says .json, the guide says .zip.
    return read_zip(data) if data[:2] == b"PK" else read_json(data)


_READERS: Mapping[str, Callable[[Window], Signature]] = MappingProxyType(
    {
        "BIGML": read_bigml,
        "CATBOOST": read_catboost,
        "DT": _json_or_zip,
        "H2O": read_mojo,
        "IDA": _json_or_zip,
        "MUA": read_zip,
        "ONNX": read_onnx,
        "UNICODE": read_zip,
        "WORKFLOWS": read_json,
    }
)


def is_known(engine: str) -> bool:
    """Return whether a format is known for this engine; files of another can be looked into for little."""
    return engine in _READERS


def inspect(descriptor: int, engine: str) -> Signature:
    """Return what a model file declares; empty for an engine whose format is not known.

    Of such an engine only files that nothing can read as a model are refused: empty ones, stubs, HTML pages.

    Args:
        descriptor: The file, open for reading; its position neither matters nor moves.

    Raises:
        FormatError: The file is not what the engine takes, or not all of it.
        OSError: It cannot be read.
    """
    data = Window(descriptor)
    if not data.size:
        raise FormatError("it is empty", cut_off=True)
    head = data[:_HEAD_BYTES]
    stub = stub_of(head, data.size)
    if stub:
        raise FormatError(f"it is {stub[0]}, not the file itself", f"run {stub[1]}")
    kind = mistaken_for(head) or ""
    reader = _READERS.get(engine)
    try:
        found = reader(data) if reader else Signature()
    except FormatError as error:
        if not kind or (kind.endswith("a zip archive") and EXTENSIONS.get(engine, ())[-1:] == (".zip",)) or error.hint:
            raise
        if kind == "a CatBoost model" and engine == "CATBOOST":
            raise
    else:
        if not kind.startswith("an HTML"):
            return found
    article = "an" if engine[:1] in "AEIO" or engine.startswith(("H2", "ML")) else "a"
    raise FormatError(f"it is {kind}, not {f'{article} {engine} model' if engine in EXTENSIONS else 'a model'}")


def signature(descriptor: int, engine: str) -> Signature | None:
    """Return the inputs and the output type a model file declares, or None where it cannot be told.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        found = inspect(descriptor, engine)
    except FormatError:
        return None
    return found if found.fields or found.output_type else None
