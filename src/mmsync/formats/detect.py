"""What a model file is: the one inspection that validate, plan, apply, watch and the embedded server share.

It judges framing, never taste: what is refused, no reader of the format can read. The open file is read, whatever
its size in bounded memory; nothing in it is executed or unpacked to disk.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mmsync.engines import EXTENSIONS
from mmsync.formats.archive import read_zip
from mmsync.formats.catboost import read_catboost
from mmsync.formats.found import Signature, Unfit
from mmsync.formats.json_documents import read_bigml, read_json
from mmsync.formats.kinds import mistaken_for
from mmsync.formats.mojo import read_mojo
from mmsync.formats.onnx import read_onnx
from mmsync.formats.stubs import stub_of
from mmsync.formats.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["INSPECTOR", "inspect", "is_known", "signature"]

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
    """Whether a format is known for this engine; files of another can be looked into for little."""
    return engine in _READERS


def inspect(descriptor: int, engine: str, path: str) -> Signature:
    """Return what a model file declares; empty for an engine whose format is not known.

    Of such an engine only files that nothing can read as a model are refused: empty ones, stubs, HTML pages.

    Args:
        descriptor: The file, open for reading; its position neither matters nor moves.
        engine: The engine's code.
        path: What to call the file in hints.

    Raises:
        Unfit: The file is not what the engine takes, or not all of it.
        OSError: It cannot be read.
    """
    data = Window(descriptor)
    if not data.size:
        raise Unfit("it is empty", cut_off=True)
    head = data[:_HEAD_BYTES]
    stub = stub_of(head, data.size, path)
    if stub:
        raise Unfit(f"it is {stub[0]}, not the file itself", f"run {stub[1]}")
    kind = mistaken_for(head) or ""
    reader = _READERS.get(engine)
    try:
        found = reader(data) if reader else Signature()
    except Unfit as fault:
        if not kind or (kind.endswith("a zip archive") and EXTENSIONS.get(engine, ())[-1:] == (".zip",)) or fault.hint:
            raise
        if kind == "a CatBoost model" and engine == "CATBOOST":
            raise
    else:
        if not kind.startswith("an HTML"):
            return found
    article = "an" if engine[:1] in "AEIO" or engine.startswith(("H2", "ML")) else "a"
    raise Unfit(f"it is {kind}, not {f'{article} {engine} model' if engine in EXTENSIONS else 'a model'}")


def signature(descriptor: int, engine: str) -> Signature | None:
    """Return the inputs and the output type a model file declares, or None where it cannot be told.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        found = inspect(descriptor, engine, "")
    except Unfit:
        return None
    return found if found.fields or found.output_type else None
