"""The review of an upload: what the inspection of model files, and the package ``onnx`` where there is one, say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsync.engines import EXTENSIONS
from mmsync.formats import Signature, Unfit, inspect
from mmsync.server.onnx_check import check_model
from mmsync.server.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Review", "require_engine", "review"]


@dataclass(frozen=True, slots=True)
class Review(Signature):
    """What the file declares, or why it was refused.

    Attributes:
        error_detail: Why it was refused; None for a valid file.
    """

    error_detail: str | None = None

    @property
    def valid(self) -> bool:
        """Whether the file was accepted."""
        return self.error_detail is None


def require_engine(engine: str) -> None:
    """Refuse an unknown engine as the real server does: in the words of a Java exception, with status 500.

    Raises:
        Refusal: 500, it is unknown; case matters.
    """
    if engine not in EXTENSIONS:
        raise Refusal(500, f"No enum constant com.devo.ml.modelmanager.model.EngineType.{engine[:200]}")


def review(path: Path, engine: str) -> Review:
    """Review the file at ``path`` as a model of a known ``engine``; a refused one has an ``error_detail``.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    if not size:
        return Review(error_detail="The file is empty")
    try:
        with path.open("rb") as file:
            found = inspect(file.fileno(), engine, "the file")
        if engine == "ONNX":
            check_model(path)
    except Unfit as fault:
        hint = f": {fault.hint}" if fault.hint else ""
        return Review(error_detail=f"The file cannot be used: {fault.reason}{hint}")
    # What a model takes once loaded is a guess: an eighth more than its file, or what it unpacks to.
    takes = max(found.runtime_size, size + size // 8)
    return Review(found.output_type, found.category, found.fields, found.clusters, takes)
