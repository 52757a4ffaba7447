"""The server read again before each write: a model's detail, or one list for all changes of half a second."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import cast

from mmsync.apply.preconditions import staleness
from mmsync.client import Client, Model, ModelDetail
from mmsync.client.error import ModelManagerError
from mmsync.plan import Change

FRESH = 0.5
"""Seconds for which what was read of a model is taken to be as it was."""

# A list is asked for so long before the last one is too old, so that nobody has to wait for it.
_AHEAD = 0.1
# Fewer changes than these cost less read one by one: a list does not show hidden models, which a server that refuses a
# second model of a name protects as well, but only once it has the bytes.
_WORTH_A_LIST = 20
_ROWS_A_DETAIL = 100  # rows of a list that cost both sides about as much as one model's detail


class Rereader:
    """Reads models again, each time as they were at most half a second ago. Safe in threads.

    A list may be behind, and tells less than a detail: it is believed where it shows that a model to be added is not
    there, or one to be replaced is as it was. What it shows otherwise is looked at in the model's own detail, and what
    is deleted, or saved with its bytes as they are, always is.

    ``row_will_do`` says of a model to be replaced whether anything but its detail tells what its callers rely on.
    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        change_count: int,
        row_will_do: Callable[[Change], bool],
    ) -> None:
        self._client = client
        self._clock = clock
        self._row_will_do = row_will_do
        self._most_rows = change_count * _ROWS_A_DETAIL
        self._is_listing = change_count >= _WORTH_A_LIST
        self._lock = threading.Lock()  # held by the one who asks for the list
        self._listed: tuple[float, dict[str, list[Model]]] = (float("-inf"), {})  # when it was asked for, and its rows

    def prefetch(self, change: Change) -> Callable[[], ModelDetail | None]:
        """Read a change's model; return a function that returns it as it was at most half a second ago, None for none.

        That is its detail or, from a list, one without ``fields``. The function raises what the reading raises.
        """
        try:
            asked, model = self._read(change)
        except Exception:  # noqa: BLE001 - it is read again as part of the change, which then fails with it
            return lambda: self._read(change)[1]
        return lambda: model if self._clock() - asked <= FRESH else self._read(change)[1]

    def _read(self, change: Change) -> tuple[float, ModelDetail | None]:
        """Return when the server was asked, and what it says."""
        asked, rows = self._fresh_list()
        if rows is not None:
            found = rows.get(change.name, [])
            if change.before is None and not found:
                return asked, None
            if change.before is not None and change.uploads and len(found) == 1:
                model = _as_detail(found[0])
                if model is not None and not staleness(change.before, model) and self._row_will_do(change):
                    return asked, model
        asked = self._clock()
        return asked, self._client.find_detail(change.name)

    def _fresh_list(self) -> tuple[float, dict[str, list[Model]] | None]:
        """Return when a fresh list was asked for, and its rows by name; None for those where details cost less."""
        age = self._clock() - self._listed[0]
        # A list that is long in coming is not waited for: meanwhile the others read details.
        if self._is_listing and age > FRESH - _AHEAD and self._lock.acquire(timeout=FRESH if age > FRESH else 0):
            try:
                if self._is_listing and self._clock() - self._listed[0] > FRESH - _AHEAD:
                    self._ask()
            finally:
                self._lock.release()
        asked, rows = self._listed
        return asked, rows if self._is_listing and self._clock() - asked <= FRESH else None

    def _ask(self) -> None:
        """Ask for the list; from now on for details, if it fails, is too long or takes too long."""
        asked = self._clock()
        try:
            models = self._client.get_models()
        except ModelManagerError:
            self._is_listing = False
            return
        rows: dict[str, list[Model]] = defaultdict(list)
        for model in models:
            rows[model["name"]].append(model)
        self._is_listing = len(models) <= self._most_rows and self._clock() - asked <= FRESH - _AHEAD
        self._listed = asked, rows


def _as_detail(row: Model) -> ModelDetail | None:
    """Return a row of the list as a detail; None where it does not say all that shows whether a model has changed."""
    if None in (row.get("id"), row.get("imageId"), row.get("updateDate")):
        return None
    said = {key: value for key, value in row.items() if key != "imageId"}
    return cast("ModelDetail", {**said, "image": {"id": row["imageId"]}})
