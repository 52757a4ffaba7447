"""Rows as the contract's JSON objects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import sqlite3

    from mmsync.server.review import Review

DATABASE = "mmsync-server.db"  # the file of the metadata, by which a server's folder is known

# What a model and its detail have in common: the contract's key, and the column it is kept in.
_COMMON = {
    "id": "id",
    "name": "name",
    "engine": "engine",
    "description": "description",
    "updateDate": "updated_ms",
    "creationDate": "created_ms",
    "outputType": "output_type",
    "domainId": "domain",
    "domainName": "domain",
    "category": "category",
    "parentId": "parent",
    "runtimeSize": "runtime_size",
}

# A *Model* as an SQL expression over ``models``: SQLite writes a list of ten thousand four times as fast as Python.
_PAIRS = [f"'{key}', {column}" for key, column in {**_COMMON, "imageId": "image"}.items()]
LIST_ROW = f"json_object({', '.join(_PAIRS)})"

# What a server of the legacy generation answers for a model it does not have.
ABSENT_DETAIL = dict.fromkeys((*_COMMON, "fields", "clusters", "hidden", "image"))
ABSENT_IMAGE = dict.fromkeys(("id", "size", "image"))


def model_detail(row: sqlite3.Row) -> dict[str, Any]:
    """A *ModelDetail* without the image's bytes."""
    return {
        **{key: row[column] for key, column in _COMMON.items()},
        "fields": json.loads(row["fields"]),
        "clusters": json.loads(row["clusters"]),
        "hidden": bool(row["hidden"]),
        "image": {"id": row["image"], "size": row["image_size"], "image": None},
    }


def review_reply(review: Review, image: int | None, file_name: str, size: int) -> dict[str, Any]:
    """A *ModelReview*; ``image`` is None for a refused file."""
    return {
        "valid": review.valid,
        "errorDetail": review.error_detail,
        "outputType": review.output_type,
        "category": review.category,
        "imageId": image,
        "fields": [{"id": None, **field} for field in review.fields],
        "clusters": review.clusters,
        "fileName": file_name,
        "size": size,
        "runtimeSize": review.runtime_size,
    }


Generation = Literal["both", "latest", "legacy"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one server."""

    # Which addresses it answers: ``/models…`` (latest), ``/domains/{domain}/models…`` (legacy) or both; the others
    # are 404, as on a real server of the other generation.
    generation: Generation = "both"
    domain: str = "self"  # the domain the latest generation speaks of; a real server infers it from the token
    prefix: str = ""  # a path it answers under as well, such as ``/mlmodelmanager``; empty for none
    latency: float = 0.0  # seconds it waits before it answers a request, as a network would
    allow_delete: bool = True  # whether the latest generation knows DELETE: 405 without; the legacy one always does
    patience: float = 1.0  # seconds requests in flight have to finish when it stops
