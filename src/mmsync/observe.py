"""Reading what the server holds: its list as values, and the detail of one model. Every field may be missing, null or of a type nobody promised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mmsync.types import Diagnostic, Observed, date_of

if TYPE_CHECKING:
    from mmsync.client import Client, Model, ModelDetail


def observe(client: Client) -> tuple[dict[str, tuple[Observed, ...]], list[Diagnostic]]:
    """Read the server's list, in one request, and return it as `rows` does; raises `ModelManagerError` if it cannot."""
    return rows(client.get_models())


def rows(models: Iterable[Model]) -> tuple[dict[str, tuple[Observed, ...]], list[Diagnostic]]:
    """Return the list's rows by name, and what is odd about them.

    A name stands more than once only where the server lets it. Rows without one match no manifest and are reported.
    """
    found: dict[str, tuple[Observed, ...]] = {}
    nameless = 0
    for model in models:
        name = model.get("name")
        if not isinstance(name, str):
            nameless += 1
            continue
        row = as_row(name, model, model.get("imageId"))
        found[name] = (*found[name], row) if name in found else (row,)
    odd = f"The server lists {nameless} models without a name; left alone"
    return found, [Diagnostic("warning", "server/nameless", odd)] if nameless else []


def row_of(client: Client, name: str, *, hidden: bool = True) -> Observed | None:
    """Return the row of one model as its detail says it, which may be newer than the list; None where there is none.

    Without ``hidden``, a model that no list shows is none. Raises `ModelManagerError`: the detail cannot be read.
    """
    detail = client.find_detail(name)
    if detail is None or (detail.get("hidden") and not hidden):
        return None
    return as_row(name, detail, image_id(detail))


def fill_in(row: Observed, seen: Observed, *keys: str) -> Observed:
    """Return the row with what it leaves out of these as ``seen`` has it."""
    return row._replace(**{key: getattr(seen, key) for key in keys if getattr(row, key) is None})


def image_id(detail: ModelDetail) -> int | str | None:
    """Return the id of a detail's image, where it says one; the image may be missing or no object."""
    image: object = detail.get("image")
    return _id(image.get("id")) if isinstance(image, dict) else None


def image_size(detail: Mapping[str, Any]) -> int | None:
    """Return the size in bytes that a detail says of its image, where it does."""
    image: object = detail.get("image")
    size = image.get("size") if isinstance(image, dict) else None
    return size if isinstance(size, int) and not isinstance(size, bool) else None


def holds(client: Client, name: str, image: int | str, sha256: str) -> bool:
    """Return whether an image of an id nobody expected holds known bytes: some servers may give each save its own id.

    Raises `ModelManagerError` where the bytes cannot be read.
    """
    found = client.download_image(name)
    return found.sha256 == sha256 and (found.image_id is None or str(found.image_id) == str(image))


def as_row(name: str, model: Mapping[str, Any], image: object) -> Observed:
    """Return a row of the list, or a detail with the id of its image, as a value."""
    get = model.get
    return Observed(
        name,
        _id(get("id")),
        _text(get("engine")),
        _text(get("description")),
        _id(image),
        date_of(get("creationDate")),
        date_of(get("updateDate")),
    )


def _id(value: object) -> int | str | None:
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
