"""The page: the status as plain HTML, whole without a script; filters, order and pages are links and a form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from typing import Any, get_args
from urllib.parse import urlencode

from mmsync.html.environment import asset, render
from mmsync.printable import printable
from mmsync.status.model import ChangeRecord, ModelState, ModelStatus, Reconcile, Status
from mmsync.status.summary import attention, counts, headline, is_well

_ROWS = 100
_MOST_CONDITIONS = 50  # of the models there may be thousands with one each: the table has them all
_MOST_DIAGNOSTICS = 50
_MOST_NOTES = 20
_MOST_CHANGES = 150  # of all reconciles together: a hundred that fail again and again would be ten thousand lines
_CHANGES_OF_AN_OLDER = 5
_LATEST = 10  # reconciles that are shown before one unfolds the others
_BEGINNINGS, _RESTS = 80_000, 30_000  # bytes of texts from elsewhere
_WHOLE = 4_000  # characters of one text, unfolded
_SCANT = 12  # characters of a text for which there is no room left
_LONGEST_SEARCH = 200
_LONGEST_NAME = 20_000
_MOST_PAGES = 1_000_000

_RANKS = {state: rank for rank, state in enumerate(get_args(ModelState))}

# By the name of a column: what it is ordered by. What is not known comes last in either direction.
_ORDERS: dict[str, Callable[[ModelStatus], Any]] = {
    "state": lambda one: _RANKS[one.state],
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
        keyed = [(key(one), one) for one in found]
        known = sorted((pair for pair in keyed if pair[0] is not None), key=lambda pair: pair[0], reverse=is_falling)
        return [one for _, one in known] + [one for value, one in keyed if value is None]


class Room:
    """The room on one page for texts from elsewhere: however many there are and whatever is in them, it stays small.

    Names of a usual length are not among them: they are always shown.
    """

    def __init__(self) -> None:
        self._beginnings, self._rests = _BEGINNINGS, _RESTS

    def cut(self, text: str, most: int) -> tuple[str, str]:
        """Return the beginning of a text, ``most`` characters or less, and what follows it, empty where there is no room."""
        is_room = min(len(text), _WHOLE) - most <= self._rests  # else what follows is not even looked at
        whole = printable(text, _WHOLE if is_room else most)
        beginning = whole if len(whole) <= most else whole[: most - 1] + "…"
        size = _bytes(beginning)
        if size > self._beginnings:
            return printable(text, _SCANT), ""
        self._beginnings -= size
        rest = whole[most - 1 :] if len(whole) > most else ""
        size = _bytes(rest)
        if size > self._rests:
            self._rests = 0  # nor will those that follow: to try each would take longer than all the rest of the page
            return beginning, ""
        self._rests -= size
        return beginning, rest


def _bytes(text: str) -> int:
    return len(escape(text).encode())


def limited_history(history: tuple[Reconcile, ...]) -> list[tuple[Reconcile, tuple[ChangeRecord, ...], int]]:
    """Return the reconciles, each with the changes that there is room for and the number of those left out.

    The latest that did something is shown whole: it is the one that is looked for.
    """
    limited, left = [], _MOST_CHANGES
    for one in history:
        most = left if left == _MOST_CHANGES else min(left, _CHANGES_OF_AN_OLDER)
        changes = one.changes[:most]
        left -= len(changes)
        limited.append((one, changes, len(one.changes) - len(changes) + one.more))
    return limited


def render_page(status: Status, query: Query, now: float) -> str:
    """Return the page; ``now`` is in seconds since the epoch, for how long ago something was."""
    found = query.select(status.models)
    pages = max(-(-len(found) // _ROWS), 1)
    page = min(query.page, pages)
    wrong = attention(status)
    history = limited_history(status.history)
    return render(
        "status.html",
        status=status,
        query=query,
        now=now,
        cut=Room().cut,
        headline=headline(status),
        mood="good" if is_well(status) else "bad" if status.health == "degraded" else "waiting",
        counts=counts(status),
        wrong=wrong[:_MOST_CONDITIONS],
        more_wrong=max(len(wrong) - _MOST_CONDITIONS, 0),
        to_know=[one for one in status.conditions if one.level == "info"][:_MOST_NOTES],
        rows=found[(page - 1) * _ROWS : page * _ROWS],
        found=len(found),
        first=(page - 1) * _ROWS + 1,
        page=page,
        pages=pages,
        latest=history[:_LATEST],
        older=history[_LATEST:],
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
