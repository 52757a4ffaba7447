"""The engines, and which reviewer each has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mmsync.server.refusal import Refusal
from mmsync.server.review.archive import review_zip
from mmsync.server.review.catboost import review_catboost
from mmsync.server.review.document import review_bigml, review_json
from mmsync.server.review.found import Review, Unfit
from mmsync.server.review.mojo import review_mojo
from mmsync.server.review.onnx import review_onnx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["require_engine", "review"]


def _review_anything(_: Path) -> Review:
    return Review()


def _review_json_or_zip(path: Path) -> Review:
    # The client's table says .json, the guide says .zip.
    with path.open("rb") as file:
        return review_zip(path) if file.read(2) == b"PK" else review_json(path)


_REVIEWERS: Final[Mapping[str, Callable[[Path], Review]]] = {
    "BIGML": review_bigml,
    "CATBOOST": review_catboost,
    "DT": _review_json_or_zip,
    "H2O": review_mojo,
    "IDA": _review_json_or_zip,
    "MLSTATS": _review_anything,
    "MUA": review_zip,
    "ONNX": review_onnx,
    "UNICODE": review_zip,
    "WORKFLOWS": review_json,
}


def require_engine(engine: str) -> None:
    """Refuse an unknown engine as the real server does: in the words of a Java exception, with status 500.

    Raises:
        Refusal: 500, it is unknown; case matters.
    """
    if engine not in _REVIEWERS:
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
        found = _REVIEWERS[engine](path)
    except Unfit as error:
        return Review(error_detail=str(error))
    # What a model takes once loaded is a guess: an eighth more than its file, or what it unpacks to.
    return replace(found, runtime_size=max(found.runtime_size, size + size // 8))
