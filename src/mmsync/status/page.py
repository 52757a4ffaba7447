"""The page: the status as plain HTML, whole without a script; filters, order and pages are links and a form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, get_args
from urllib.parse import urlencode

from mmsync.html.environment import asset, render
from mmsync.printable import printable
from mmsync.status.model import ModelState, ModelStatus, Status
from mmsync.status.summary import attention, counts, headline, is_well

_ROWS = 100
_MOST_CONDITIONS = 50  # of the models there may be thousands with one each: the table has them all
_MOST_DIAGNOSTICS = 100
_LONGEST_SEARCH = 200
_LONGEST_NAME = 20_000
_MOST_PAGES = 1_000_000

# By the name of a column: what it is ordered by. What is not known comes last in either direction.
_ORDERS: dict[str, Callable[[ModelStatus], Any]] = {
    "state": lambda one: get_args(ModelState).index(one.state),
    "name": lambda one: one.name.casefold(),
    "engine": lambda one: one.engine,
    "size": lambda one: one.size,
    "since": lambda one: one.since,
    "synced": lambda one: one.synced_at,
}
_FALLING_FIRST = ("size", "since", "synced")  # the largest and the latest are what one looks for


@dataclass(frozen=True, slots=True)
class Query:
    """The models that are asked for, and their order."""

    state: ModelState | None = None
    search: str = ""  # a part of the name or of the engine as they are shown, in any case
    order: str = "state"  # a column; with a minus before it, from its end
    page: int = 1

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Query:
        """Return the query in a request's parameters; what is none of its values is left out."""
        state, order, page = given.get("state", ""), given.get("order", ""), given.get("page", "")
        return cls(
            state=next((one for one in get_args(ModelState) if one == state), None),
            search=printable(given.get("q", ""), _LONGEST_SEARCH).strip(),
            order=order if order.removeprefix("-") in _ORDERS else "state",
            page=max(int(page), 1) if page.isascii() and page.isdigit() and len(page) < len(str(_MOST_PAGES)) else 1,
        )

    def link(self, **changed: object) -> str:
        """Return the address of the same query but for what is changed; it begins at its first page."""
        other = replace(self, **{"page": 1, **changed})  # type: ignore[arg-type]  # the template names the fields
        found = {"state": other.state, "q": other.search, "order": other.order, "page": other.page}
        standard = {"state": None, "q": "", "order": "state", "page": 1}
        return "?" + urlencode({key: value for key, value in found.items() if value != standard[key]})

    def heading(self, column: str) -> tuple[str, str]:
        """Return the address that orders by a column, or the other way round, and how it is ordered now, or empty."""
        first = f"-{column}" if column in _FALLING_FIRST else column
        if self.order.removeprefix("-") != column:
            return self.link(order=first), ""
        is_falling = self.order.startswith("-")
        return self.link(order=column if is_falling else f"-{column}"), "descending" if is_falling else "ascending"

    def select(self, models: tuple[ModelStatus, ...]) -> list[ModelStatus]:
        """Return the models that are asked for, in their order."""
        words = self.search.casefold()
        found = [
            one
            for one in models
            if (self.state is None or one.state == self.state)
            and (
                not words
                or any(words in printable(text, _LONGEST_NAME).casefold() for text in (one.name, one.engine or ""))
            )
        ]
        column = self.order.removeprefix("-")
        key, is_falling = _ORDERS[column], self.order.startswith("-")
        known = sorted((one for one in found if key(one) is not None), key=key, reverse=is_falling)
        return known + [one for one in found if key(one) is None]


def render_page(status: Status, query: Query, now: float) -> str:
    """Return the page; ``now`` is in seconds since the epoch, for how long ago something was."""
    found = query.select(status.models)
    pages = max(-(-len(found) // _ROWS), 1)
    page = min(query.page, pages)
    wrong = attention(status)
    return render(
        "status.html",
        status=status,
        query=query,
        now=now,
        headline=headline(status),
        mood="good" if is_well(status) else "bad" if status.health == "degraded" else "waiting",
        counts=counts(status),
        wrong=wrong[:_MOST_CONDITIONS],
        more_wrong=max(len(wrong) - _MOST_CONDITIONS, 0),
        to_know=[one for one in status.conditions if one.level == "info"][:_MOST_CONDITIONS],
        rows=found[(page - 1) * _ROWS : page * _ROWS],
        found=len(found),
        first=(page - 1) * _ROWS + 1,
        page=page,
        pages=pages,
        diagnostics=status.diagnostics[:_MOST_DIAGNOSTICS],
        more_diagnostics=max(len(status.diagnostics) - _MOST_DIAGNOSTICS, 0),
    )


@cache
def assets() -> Mapping[str, tuple[str, bytes]]:
    """Return what the page refers to under ``assets/``: by name, the media type and the bytes."""
    return {
        "status.css": ("text/css; charset=utf-8", asset("look.css") + asset("status.css")),
        "status.js": ("text/javascript; charset=utf-8", asset("status.js")),
        "icon.svg": ("image/svg+xml", asset("icon.svg")),
    }
