"""Detection of formats: the one inspection that validate, plan, apply, watch and the embedded server share.

It judges framing, never taste: what is refused, no reader of the format can read. The open file is read, whatever
its size in bounded memory; nothing in it is executed or unpacked to disk.
"""

from __future__ import annotations

import contextlib
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
_DVC = re.compile(rb"(?:md5: [0-9a-f]+\n|frozen: \w+\n)?outs:\n- (?:md5|hash|etag|size|path|cache): ?")
_LINK = re.compile(rb"[^\s\0{}\[\]<>]{1,1024}\.(?:onnx|cbm|cmb|zip|json)\n?\Z", re.IGNORECASE)
_LONGEST_START = 2 * 1024  # more than any expression below reads
_STUBS = (
    (_LFS, "a Git LFS pointer", "git lfs pull --include={file}"),
    (re.compile(rb"(?:(?:\.\./)*\.git)?/annex/objects/[^\n\0]+\n?"), "a git-annex pointer", "git annex get {file}"),
    (re.compile(rb"# xet version \d"), "a Xet pointer", "git xet checkout {file}"),
    (_DVC, "a DVC file", "dvc pull {file}"),
    (_LINK, "a symbolic link checked out as text", "git config core.symlinks true && git checkout -- {file}"),
)


def claims_to_be_pointer(data: bytes) -> bool:
    """Tell whether a file that begins with ``data`` says that it is a Git LFS pointer, of whatever version and form."""
    return _LFS.match(data) is not None


def stub_of(head: bytes, size: int) -> tuple[str, str] | None:
    """Name what stands in place of the file, with its article, and the command that fetches it; None for no stub.

    A stub of ``size`` bytes is all in the ``head`` of the file; ``{file}`` in the command stands for the file.
    """
    if size > min(_MAX_BYTES, len(head)):
        return None
    # All of them show at the start; a search for line ends in all of ten thousand small files takes most of this.
    text = head[:_LONGEST_START].removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if text.startswith(b"<<<<<<< ") and _LFS.search(head):
        return "a Git LFS pointer in a merge conflict", "git checkout --ours {file} (or --theirs), then git lfs pull"
    return next(((kind, command) for pattern, kind, command in _STUBS if pattern.match(text)), None)


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
_MAGIC_STARTS = tuple(magic for magic, _ in _MAGICS)
# Protocols 2 to 5 open with PROTO and their number; protocol 0 with a class or a container of text opcodes.
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95|[\x00-\xff])|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\(dp?\d?\n|\(lp?\d?\n")
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_XML = re.compile(rb"<\?xml\b")
_SPACE = re.compile(rb"\s*")


def mistaken_for(head: bytes) -> str | None:
    """Name what a file that begins with ``head`` is, with its article, or return None where nothing is sure."""
    if head.startswith(_MAGIC_STARTS):
        return next(kind for magic, kind in _MAGICS if head.startswith(magic))
    if head[257:262] == b"ustar":
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
    """Return the text without the comments it begins with. Each byte is passed once: no expression tries them again."""
    at = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches nothing as well
    while text.startswith(b"<!--", at):
        end = text.find(b"-->", at + 4)
        if end < 0:
            break
        at = _SPACE.match(text, end + 3).end()  # type: ignore[union-attr]
    return text[at:]


INSPECTOR: Final = 2
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
    """Return whether a format is known for this engine; little can be said of the files of another."""
    return engine in _READERS


def inspect(descriptor: int, engine: str) -> Signature:
    """Return what a model file declares; empty for an engine whose format is not known.

    Of such an engine only files that nothing can read as a model are refused: empty ones, stubs, HTML pages. The
    descriptor is open for reading; its position neither matters nor moves. Raises `FormatError` where the file is not
    what the engine takes, or not all of it, and `OSError` where it cannot be read.
    """
    data = Window(descriptor)
    if not data.size:
        raise FormatError("it is empty", cut_off=True)
    head = data[:_HEAD_BYTES]
    if stub := stub_of(head, data.size):
        raise FormatError(f"it is {stub[0]}, not the file itself", f"run {stub[1]}")
    kind = mistaken_for(head) or ""
    reader = _READERS.get(engine)
    try:
        found = reader(data) if reader else Signature()
    except FormatError as error:
        if error.hint:
            raise
        if kind == "a CatBoost model" and engine == "CATBOOST":
            raise
        kind = _kind_of_model(data, engine) or kind
        if not kind or (kind == "a zip archive" and EXTENSIONS.get(engine, ())[-1:] == (".zip",)):
            raise
    else:
        if not kind.startswith("an HTML"):
            return found
    article = "an" if engine[:1] in "AEIO" or engine.startswith(("H2", "ML")) else "a"
    raise FormatError(f"it is {kind}, not {f'{article} {engine} model' if engine in EXTENSIONS else 'a model'}")


def _kind_of_model(data: Window, engine: str) -> str | None:
    """Name the model that a file without a telling start, or of a start that several share, is after all."""
    others = (("ONNX", read_onnx, "an ONNX model"), ("H2O", read_mojo, "an H2O model (MOJO)"))
    for other, reader, kind in others:
        # None of them begins as the other does: one look tells which it is not.
        if other != engine and (other == "H2O") == (data[:2] == b"PK"):
            with contextlib.suppress(FormatError):
                reader(data)
                return kind
    return None


def signature(descriptor: int, engine: str) -> Signature | None:
    """Return what a model file declares, or None where neither inputs nor output type can be told; raises `OSError`."""
    try:
        found = inspect(descriptor, engine)
    except FormatError:
        return None
    return found if found.fields or found.output_type else None
