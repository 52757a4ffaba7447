"""Rows as the contract's JSON objects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from mmsync.server.review import Review

__all__ = ["ABSENT_DETAIL", "ABSENT_IMAGE", "list_row", "model_detail", "review_reply"]

# What a server of the legacy generation answers for a model it does not have.
ABSENT_DETAIL: dict[str, Any] = dict.fromkeys(
    (
        "id", "name", "engine", "description", "updateDate", "creationDate", "outputType", "domainId", "domainName",
        "category", "parentId", "runtimeSize", "image", "fields", "clusters", "hidden",
    )
)  # fmt: skip  # one key a line says less
ABSENT_IMAGE: dict[str, Any] = {"id": None, "size": None, "image": None}


def _common(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "engine": row["engine"],
        "description": row["description"],
        "updateDate": row["updated_ms"],
        "creationDate": row["created_ms"],
        "outputType": row["output_type"],
        "domainId": row["domain"],
        "domainName": row["domain"],
        "category": row["category"],
        "parentId": row["parent"],
        "runtimeSize": row["runtime_size"],
    }


def list_row(row: sqlite3.Row) -> dict[str, Any]:
    """A *Model*."""
    return {**_common(row), "imageId": row["image"]}


def model_detail(row: sqlite3.Row) -> dict[str, Any]:
    """A *ModelDetail* without the image's bytes."""
    return {
        **_common(row),
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
