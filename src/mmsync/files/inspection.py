"""Whether a model file looks like what its engine reads: format and framing, never the model itself."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from mmsync.engines import EXTENSIONS
from mmsync.files.kinds import mistaken_for
from mmsync.files.lfs import claims_to_be_pointer, pull_command
from mmsync.files.opening import opened, translated
from mmsync.files.protobuf import onnx_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["guess_engine", "inspect"]

_HEAD_BYTES = 64 * 1024
_WHOLE_JSON_BYTES = 1024 * 1024
# What an error of the decoder may be when a valid text is cut off: near the end, or in a string that runs on.
_CUT_MARGIN = 32
_BIGML_RESOURCE = re.compile(rb'"(?:resource|object)"\s*:')


def inspect(path: str, engine: str) -> tuple[str, ...]:
    """Return what about the file does not fit the engine, each a clause about the file; empty where it fits.

    A few kilobytes are read, whatever the file's size (up to 1 MiB of JSON). Of an engine not known of, only files
    that no engine can read are named: empty ones, Git LFS pointers, HTML pages.

    Raises:
        FileFault: The file is missing, unreadable or no regular file.
    """
    with opened(path) as (descriptor, status), translated(path):
        size = status.st_size
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        if not head:
            return ("it is empty",)
        if claims_to_be_pointer(head):
            return (f"it is a Git LFS pointer, not the file itself: run {pull_command(path)}",)
        kind = mistaken_for(head)
        fault = _fault(descriptor, size, head, engine)
    if fault is None and not (kind or "").startswith("an HTML"):
        return ()
    if kind is not None and not (kind == "a zip archive" and EXTENSIONS.get(engine, ())[-1:] == (".zip",)):
        wanted = f", not {_article(engine)} {engine} model" if engine in EXTENSIONS else ", not a model"
        return (f"it is {kind}{wanted}",)
    return (fault,) if fault else ()


def _article(engine: str) -> str:
    return "an" if engine[0] in "AEIO" or engine.startswith(("H2", "ML")) else "a"


def _fault(descriptor: int, size: int, head: bytes, engine: str) -> str | None:
    match engine:
        case "ONNX":
            return onnx_fault(descriptor, size)
        case "CATBOOST":
            return None if head.startswith(b"CBM1") else "it is no CatBoost model (CatBoost's begin with CBM1)"
        case "H2O":
            return _zip_fault(descriptor, "model.ini", "it is no H2O model (MOJO): no model.ini in it")
        case "MUA" | "UNICODE":
            return _zip_fault(descriptor)
        case "BIGML" | "WORKFLOWS":
            return _json_fault(descriptor, size, head)
        case "DT" | "IDA":
            return _zip_fault(descriptor) if head.startswith(b"PK") else _json_fault(descriptor, size, head)
        case _:
            return None


def _zip_fault(descriptor: int, member: str = "", without: str = "") -> str | None:
    import zipfile  # noqa: PLC0415 - most runs inspect nothing

    try:
        with os.fdopen(os.dup(descriptor), "rb") as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, NotImplementedError, EOFError):
        return "it is no whole zip archive"
    return without if member and member not in names else None


def _json_fault(descriptor: int, size: int, head: bytes) -> str | None:
    whole = size <= _WHOLE_JSON_BYTES
    data = os.pread(descriptor, size, 0) if whole and size > len(head) else head
    try:
        text = data.decode("utf-8-sig") if whole else data[:-4].decode("utf-8-sig", "ignore")
    except UnicodeDecodeError:
        return "it is no JSON (not UTF-8)"
    closing = {"{": b"}", "[": b"]"}.get(text.lstrip()[:1])
    if closing is None:
        return "it is no JSON object or list"
    if not whole and not os.pread(descriptor, 64, size - 64).rstrip().endswith(closing):
        return "it is no whole JSON text (cut off)"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if not whole and (error.pos >= len(text) - _CUT_MARGIN or error.msg.startswith("Unterminated string")):
            return None
        return f"it is no JSON: {error.msg.lower()} at line {error.lineno} column {error.colno}"
    except RecursionError:
        return "it is JSON nested too deeply"
    return None


def guess_engine(path: str) -> str | None:
    """Return the engine whose model the file probably is, by its extension and content, or None.

    A Git LFS pointer is judged by its extension alone. JSON and zip files are shared by several engines: only what is
    a BigML or H2O model by its content is named.

    Raises:
        FileFault: The file is missing, unreadable or no regular file.
    """
    extension = os.path.splitext(path)[1].lower()  # noqa: PTH122 - paths stay text
    with opened(path) as (descriptor, _status), translated(path):
        head = os.pread(descriptor, _HEAD_BYTES, 0)
    by_extension = [engine for engine, extensions in EXTENSIONS.items() if extension in extensions]
    if claims_to_be_pointer(head):
        return by_extension[0] if len(by_extension) == 1 else None
    return next((engine for engine in _candidates(head, extension, by_extension) if not inspect(path, engine)), None)


def _candidates(head: bytes, extension: str, by_extension: Sequence[str]) -> Sequence[str]:
    if head.startswith(b"CBM1"):
        return ("CATBOOST",)
    if head.startswith(b"PK"):
        return ("H2O",)
    if head.lstrip().startswith((b"{", b"[")):
        return ("BIGML",) if _BIGML_RESOURCE.search(head) and not {"ONNX", "CATBOOST"} & set(by_extension) else ()
    # An ONNX model has no magic: a file is taken for one by framing and either its extension or none at all.
    return ("ONNX",) if "ONNX" in by_extension or not extension else ()
