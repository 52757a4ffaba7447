"""The engines, and which reviewer each has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mmsync.server.refusal import Refusal
from mmsync.server.review.found import Review, Unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["require_engine", "review"]


def _anything(path: Path) -> Review:
    return Review(runtime_size=path.stat().st_size)


REVIEWERS: Final[Mapping[str, Callable[[Path], Review]]] = {
    name: _anything
    for name in ("ONNX", "H2O", "BIGML", "CATBOOST", "DT", "IDA", "MLSTATS", "MUA", "UNICODE", "WORKFLOWS")
}


def require_engine(engine: str) -> None:
    """Raises: Refusal: 500 in the words of a Java server, which is how the real one answers an unknown engine."""
    if engine not in REVIEWERS:
        raise Refusal(500, f"No enum constant com.devo.ml.modelmanager.model.EngineType.{engine[:200]}")


def review(path: Path, engine: str) -> Review:
    """Review the file at ``path`` as a model of a known ``engine``.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        if not path.stat().st_size:
            raise Unfit("The file is empty")
        return REVIEWERS[engine](path)
    except Unfit as error:
        return replace(Review(), error_detail=str(error))
