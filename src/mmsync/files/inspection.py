"""Whether a model file is what its engine reads, asked of a path."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mmsync.engines import EXTENSIONS
from mmsync.files.opening import opened, translated
from mmsync.formats import Unfit, claims_to_be_pointer, inspect

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["guess_engine", "misfit"]

_HEAD_BYTES = 64 * 1024
_BIGML_RESOURCE = re.compile(rb'"(?:resource|object)"\s*:')


def misfit(path: str, engine: str) -> Unfit | None:
    """Return what about the file does not fit the engine, or None where it fits.

    Raises:
        FileFault: The file is missing, unreadable or no regular file.
    """
    with opened(path) as (descriptor, _status), translated(path):
        try:
            inspect(descriptor, engine, path)
        except Unfit as fault:
            return fault
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
    return next((engine for engine in _candidates(head, extension, by_extension) if not misfit(path, engine)), None)


def _candidates(head: bytes, extension: str, by_extension: Sequence[str]) -> Sequence[str]:
    if head.startswith(b"CBM1"):
        return ("CATBOOST",)
    if head.startswith(b"PK"):
        return ("H2O",)
    if head.lstrip().startswith((b"{", b"[")):
        return ("BIGML",) if _BIGML_RESOURCE.search(head) and not {"ONNX", "CATBOOST"} & set(by_extension) else ()
    # An ONNX model has no magic: a file is taken for one by framing and either its extension or none at all.
    return ("ONNX",) if "ONNX" in by_extension or not extension else ()
