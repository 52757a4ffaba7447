"""What the package ``onnx`` says of a model, where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.formats import Unfit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_model"]

_LIMIT = 32 << 20  # bytes; parsed, a model takes its size again, and a large one is nearly all weights

# Complaints about what is newer than the package, or stored beside the model: not about the model.
_NOT_THE_MODEL = ("ir_version", "opset", "No Op registered", "should be stored in", "external")


def check_model(path: Path) -> None:
    """Parse and check a model; does nothing for a large one, or where the package is missing.

    Raises:
        Unfit: The package cannot parse it, or finds it inconsistent.
    """
    if path.stat().st_size > _LIMIT:
        return
    try:
        # An optional extra, half a second to load; protobuf, which it brings along, has no types of its own.
        from google.protobuf.message import (  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415
            DecodeError,
        )
        from onnx import checker, load_model_from_string  # noqa: PLC0415
    except ImportError:
        return
    try:
        checker.check_model(load_model_from_string(path.read_bytes()))
    except DecodeError as error:
        raise Unfit(f"it is no ONNX model ({error})") from error
    except checker.ValidationError as error:
        if not any(words in str(error) for words in _NOT_THE_MODEL):
            raise Unfit(f"it is an inconsistent ONNX model: {str(error).splitlines()[0]}") from error
    except (ValueError, TypeError) as error:  # raised by the bindings for text that is not UTF-8
        raise Unfit(f"it is no ONNX model that can be parsed: {error}") from error
