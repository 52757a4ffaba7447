"""The framing of protocol buffers, as far as it tells an ONNX model from other files.

Sources: the protobuf encoding guide; the field numbers of onnx.proto3's ModelProto.
"""

from __future__ import annotations

import os

__all__ = ["onnx_fault"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# ModelProto's fields and how each is framed: ir_version 1, producer 2-3, domain 4, model_version 5, doc_string 6,
# graph 7, opset_import 8, metadata_props 14, training_info 20, functions 25, configuration 26.
_MODEL_FIELDS = {1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES}
_MODEL_FIELDS |= {14: _BYTES, 20: _BYTES, 25: _BYTES, 26: _BYTES}
_GRAPH = 7
_MAX_FIELDS = 10_000
_LONGEST_VARINT = 10


def onnx_fault(descriptor: int, size: int) -> str | None:
    """Return why the file is no ONNX model by its framing, or None where it may be one.

    Only the heads of the top-level fields are read, so a model of gigabytes costs as little as a small one.
    """
    at, fields, graphs = 0, 0, 0
    while at < size:
        fields += 1
        if fields > _MAX_FIELDS:
            break
        head = os.pread(descriptor, 2 * _LONGEST_VARINT, at)
        tag, used = _varint(head, 0)
        if not used:
            return "it is no ONNX model (not protobuf)"
        number, wire = tag >> 3, tag & 7
        if number == 0 or _MODEL_FIELDS.get(number, wire) != wire:
            return "it is no ONNX model (its protobuf fields are others)"
        value, length = _varint(head, used) if wire in (_VARINT, _BYTES) else (0, 0)
        if wire in (_VARINT, _BYTES) and not length:
            return "it is no ONNX model (not protobuf)"
        step = {_VARINT: 0, _BYTES: value, _FIXED32: 4, _FIXED64: 8}.get(wire)
        if step is None:
            return "it is no ONNX model (not protobuf)"
        at += used + length + step
        graphs += number == _GRAPH
        if at > size:
            return "it is no whole ONNX model (cut off)" if graphs else "it is no ONNX model (not protobuf)"
    return None if graphs else "it is no ONNX model (it has no graph)"


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a varint at ``at`` and how many bytes it takes; 0 bytes where there is none."""
    value = 0
    for index, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, index + 1
    return 0, 0
