"""The shapes the server sends and takes, and how the body of a save is made.

Sources: the published API 2.0 description and the official client. Every field may be missing or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict, cast


class Field(TypedDict, total=False):
    """An input of a model; ``type`` is one of the server's, such as ``str`` or ``float8``."""

    id: int | None
    name: str | None
    description: str | None
    type: str | None


class Cluster(TypedDict, total=False):
    """A cluster of a clustering model."""

    id: int | None
    name: str | None
    description: str | None
    centroid: list[float] | None


class Image(TypedDict, total=False):
    """A model's bytes: an id, the size in bytes, and the bytes in base64 where they were asked for."""

    id: int | None
    size: int | None
    image: str | None


class _Common(TypedDict, total=False):
    id: int | None
    name: str
    engine: str
    description: str | None
    updateDate: int | None
    creationDate: int | None
    outputType: str | None
    domainId: str | None
    domainName: str | None
    category: str | None
    parentId: int | None
    runtimeSize: int | None


class Model(_Common, total=False):
    """A row of the list. Dates are epoch milliseconds. ``file`` is set by a download: where the file went."""

    imageId: int | None
    file: str


class ModelDetail(_Common, total=False):
    """One model in full; also, with fewer fields, what a save takes. Dates are epoch milliseconds."""

    image: Image | None
    fields: list[Field] | None
    clusters: list[Cluster] | None
    hidden: bool | None


class ModelReview(TypedDict, total=False):
    """The server's review of an uploaded file. Sizes are bytes."""

    valid: bool
    errorDetail: str | None
    outputType: str | None
    category: str | None
    imageId: int | None
    fields: list[Field] | None
    clusters: list[Cluster] | None
    fileName: str | None
    size: int | None
    runtimeSize: int | None


class ImageContent(NamedTuple):
    """The content of a model's bytes on the server.

    Attributes:
        sha256: 64 lower-case hex digits.
        size: In bytes.
        image_id: The server's id of these bytes, where it says one.
    """

    sha256: str
    size: int
    image_id: int | str | None


DERIVED = ("outputType", "fields", "clusters", "category", "runtimeSize")
"""What the server works out from a model's bytes, and may leave out of a detail."""


def save_body(
    name: str, engine: str, description: str | None, review: Mapping[str, Any], stored: Mapping[str, Any] | None
) -> ModelDetail:
    """Return what to save so that ``name`` holds the reviewed file.

    Args:
        description: The text, or None to keep the stored one.
        review: The review of the uploaded file.
        stored: The model as the server holds it, for an update; None or empty to create it.

    Returns:
        The body of the official client; on an update also the stored id, ``hidden`` and ``parentId``, which the
        server would reset otherwise.
    """
    body: dict[str, Any] = {
        "name": name,
        "engine": engine,
        "description": description,
        "image": {"id": review.get("imageId"), "size": review.get("size")},
        **{key: review.get(key) for key in DERIVED},
        "hidden": False,
    }
    if stored:
        body["id"] = stored.get("id")
        body["hidden"] = bool(stored.get("hidden"))
        if "parentId" in stored:
            body["parentId"] = stored["parentId"]
        if description is None:
            body["description"] = stored.get("description")
    return cast("ModelDetail", body)
