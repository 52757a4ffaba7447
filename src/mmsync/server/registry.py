"""The registry as people look at it: a page of the models of a domain, one model whole, and the domains there are.

What is returned is bounded, whatever the models hold: texts are cut in the database, and counted where they are lists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlite3

    from mmsync.server.store import Store

PAGE_ROWS = 50
"""Models on one page: so few that a page stays under 300 KB, whatever their names and descriptions are."""

SORTS = {
    "name": "name COLLATE NOCASE",
    "engine": "models.engine",
    "size": "images.size",
    "updated": "updated_ms",
    "created": "models.created_ms",
}
"""What a list can be sorted by, and how the database says it."""

_MOST_DOMAINS = 25
_LONGEST_DOMAIN = 128  # characters of one that is listed; a longer one can still be asked for by its name
_LONGEST_SEARCH = 100
_MOST_FIELDS, _FIELDS_WHOLE = 5, 1000  # in a list, and of one model
_DESCRIPTION_LISTED, _DESCRIPTION_WHOLE = 200, 20_000

# One character more than is shown, so that one sees that there is more. ``fields`` may be what a client made up.
_ROW = """
SELECT models.id, models.domain, name, models.engine, substr(description, 1, :text) AS description, output_type, category,
    hidden, updated_ms, models.created_ms, image, runtime_size, images.size AS size,
    CASE WHEN json_valid(fields) THEN json_array_length(fields) END AS fields_count,
    CASE WHEN json_valid(fields) THEN (
        SELECT json_group_array(json_array(
            substr(json_extract(value, '$.name'), 1, 200),
            substr(json_extract(value, '$.type'), 1, 60),
            substr(json_extract(value, '$.description'), 1, 300)
        )) FROM (SELECT value FROM json_each(fields) LIMIT :fields)
    ) ELSE '[]' END AS inputs
FROM models JOIN images ON images.id = models.image
"""
_MATCHES = """
FROM models JOIN images ON images.id = models.image WHERE models.domain = :domain
    AND (:search = '' OR instr(lower(name), lower(:search)) OR instr(lower(description), lower(:search)))
    AND (:engine = '' OR models.engine = :engine)
"""


class Input(NamedTuple):
    """An input of a model, as far as its field says; None where it does not."""

    name: str | None
    type: str | None
    description: str | None


class Model(NamedTuple):
    """One model as the registry shows it; times are seconds since the epoch, sizes bytes."""

    id: int
    name: str
    engine: str
    description: str  # its beginning; empty where there is none
    output_type: str | None
    category: str | None
    is_hidden: bool  # whether the API's list leaves it out
    updated: float
    created: float
    image: int  # the id of its image
    runtime_size: int | None
    size: int
    fields_count: int | None  # how many inputs it has; None where they cannot be read
    inputs: tuple[Input, ...]  # the first of them


@dataclass(frozen=True, slots=True)
class Query:
    """The part of a list that is asked for: a search in names and descriptions, an engine, an order and a page from 1."""

    domain: str
    search: str = ""
    engine: str = ""
    sort: str = "name"
    descending: bool = False
    page: int = 1

    @property
    def order(self) -> str:
        """Return the order in one word, with a minus where it begins from the end."""
        return f"-{self.sort}" if self.descending else self.sort


class Listing(NamedTuple):
    """One page of a list. ``query`` says the page that it is, which is the last where a later one was asked for."""

    query: Query
    models: tuple[Model, ...]
    found: int  # how many the query matches, on all pages
    total: int  # how many models the domain has
    total_size: int  # bytes of all their images
    engines: tuple[tuple[str, int], ...]  # those the domain's models are of, and how many are

    @property
    def pages(self) -> int:
        """Return how many pages there are, at least one."""
        return max(1, -(-self.found // PAGE_ROWS))

    @property
    def first(self) -> int:
        """Return which of those found the page begins with, counted from 1."""
        return (self.query.page - 1) * PAGE_ROWS + 1

    @property
    def last(self) -> int:
        """Return which of those found the page ends with."""
        return self.first - 1 + len(self.models)


class Registry:
    """The models of a store, for people. Blocks, as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def domains(self) -> tuple[list[tuple[str, int]], int]:
        """Return the domains that hold models, with how many, by name; and how many more there are than listed."""
        rows = self._store.rows("SELECT domain, count(*) FROM models GROUP BY domain ORDER BY domain", {})
        short = [(row[0], row[1]) for row in rows if len(row[0]) <= _LONGEST_DOMAIN][:_MOST_DOMAINS]
        return short, len(rows) - len(short)

    def page(self, query: Query) -> Listing:
        """Return one page of a list."""
        query = replace(query, search=query.search.strip()[:_LONGEST_SEARCH])
        values = {"domain": query.domain, "search": query.search, "engine": query.engine}
        engines = self._store.rows(
            "SELECT models.engine, count(*), sum(size) FROM models JOIN images ON images.id = models.image"
            " WHERE models.domain = :domain GROUP BY models.engine ORDER BY models.engine",
            values,
        )
        [(found,)] = self._store.rows(f"SELECT count(*) {_MATCHES}", values)
        listing = Listing(
            query,
            (),
            found,
            sum(row[1] for row in engines),
            sum(row[2] for row in engines),
            tuple((row[0], row[1]) for row in engines),
        )
        query = replace(query, page=min(max(query.page, 1), listing.pages))
        order = f"{SORTS[query.sort]} {'DESC' if query.descending else 'ASC'}, models.id"
        # The ids first: what is shown of a model is then made for one page of them only.
        rows = self._store.rows(
            f"{_ROW} WHERE models.id IN (SELECT models.id {_MATCHES} ORDER BY {order} LIMIT :rows OFFSET :offset)"
            f" ORDER BY {order}",
            {
                **values,
                "text": _DESCRIPTION_LISTED + 1,
                "fields": _MOST_FIELDS,
                "rows": PAGE_ROWS,
                "offset": (query.page - 1) * PAGE_ROWS,
            },
        )
        return listing._replace(query=query, models=tuple(map(_model, rows)))

    def model(self, identifier: int) -> tuple[str, Model] | None:
        """Return the domain of a model and the model with all there is to show of it, or None."""
        values = {"id": identifier, "text": _DESCRIPTION_WHOLE + 1, "fields": _FIELDS_WHOLE}
        rows = self._store.rows(f"{_ROW} WHERE models.id = :id", values)
        return (rows[0]["domain"], _model(rows[0])) if rows else None


def _model(row: sqlite3.Row) -> Model:
    found: list[list[Any]] = json.loads(row["inputs"])
    return Model(
        row["id"],
        row["name"],
        row["engine"],
        row["description"] or "",
        row["output_type"],
        row["category"],
        bool(row["hidden"]),
        row["updated_ms"] / 1000,
        row["created_ms"] / 1000,
        row["image"],
        row["runtime_size"],
        row["size"],
        row["fields_count"],
        tuple(Input(*(None if text is None else str(text) for text in one)) for one in found),
    )
