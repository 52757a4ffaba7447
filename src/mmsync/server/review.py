"""The review of an upload: what the inspection of model files, and the package ``onnx`` where there is one, say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmsync.engines import EXTENSIONS
from mmsync.formats import FormatError, Signature, inspect
from mmsync.server.errors import ApiError

_LIMIT = 32 << 20  # bytes; parsed, a model takes its size again, and a large one is nearly all weights

# Complaints about what is newer than the package, or stored beside the model: not about the model.
_NOT_THE_MODEL = ("ir_version", "opset", "No Op registered", "should be stored in", "external")


def _check_onnx(path: Path) -> None:
    """Parse and check a model; does nothing for a large one, or where the package is missing.

    Raises `FormatError` if the package cannot parse it, or finds it inconsistent.
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
        raise FormatError(f"it is no ONNX model ({error})") from error
    except checker.ValidationError as error:
        if not any(words in str(error) for words in _NOT_THE_MODEL):
            raise FormatError(f"it is an inconsistent ONNX model: {str(error).splitlines()[0]}") from error
    except (ValueError, TypeError) as error:  # raised by the bindings for text that is not UTF-8
        raise FormatError(f"it is no ONNX model that can be parsed: {error}") from error


@dataclass(frozen=True, slots=True)
class Review(Signature):
    """The signature the file declares, or the reason why it was refused."""

    error_detail: str | None = None  # why it was refused; None for a valid file

    @property
    def valid(self) -> bool:
        """Return whether the file was accepted."""
        return self.error_detail is None


def require_engine(engine: str) -> None:
    """Raise `ApiError` 500 for an unknown engine (case matters) in a Java exception's words as the real server does."""
    if engine not in EXTENSIONS:
        raise ApiError(500, f"No enum constant com.devo.ml.modelmanager.model.EngineType.{engine[:200]}")


def review(path: Path, engine: str) -> Review:
    """Review the file at ``path`` as a model of a known ``engine``; raises `OSError` if it cannot be read."""
    size = path.stat().st_size
    if not size:
        return Review(error_detail="The file is empty")
    try:
        with path.open("rb") as file:
            found = inspect(file.fileno(), engine)
        if engine == "ONNX":
            _check_onnx(path)
    except FormatError as error:
        hint = f": {error.hint_for('the file')}" if error.hint else ""
        return Review(error_detail=f"The file cannot be used: {error.reason}{hint}")
    # What a model takes once loaded is a guess: an eighth more than its file, or what it unpacks to.
    takes = max(found.runtime_size, size + size // 8)
    return Review(found.output_type, found.category, found.fields, found.clusters, takes)
