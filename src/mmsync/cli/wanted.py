"""Which of a server's models are meant by the names on a command line, and which files they become."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from mmsync.apply.observe import rows
from mmsync.cli.download import Wanted
from mmsync.cli.naming import file_names
from mmsync.plan import Selection
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mmsync.client import Client, LegacyClient
    from mmsync.states import Observed

__all__ = ["choose"]

_ENOUGH_TO_SEARCH = 20_000  # names; the comparison takes about a second for these


def choose(
    names: Sequence[str] | None, client: Client | LegacyClient, folder: Path, *, exclude: Sequence[str] = ()
) -> tuple[list[Wanted], list[str]]:
    """Return the models meant, sorted by name, and a sentence for each name that means none.

    Args:
        names: Exact names, or globs; a name that is there is never taken for a glob. None for every model.
        client: The way to the server.
        folder: Where the files go.
        exclude: Globs of names to leave out of what globs find; a name given exactly is wanted.

    Raises:
        ModelManagerError: The server cannot be read.
    """
    # A name the server lists twice stands for the first; one that is empty cannot be asked for.
    listed = {name: found[0] for name, found in rows(client.get_models())[0].items() if name}
    meant: dict[str, Observed] = {}
    missing: list[str] = []
    for name in ("*",) if names is None else names:
        selection = Selection(target=(name,), exclude=tuple(exclude)).among(listed)
        exact = listed.get(name) if names is not None else None
        found = [exact] if exact else [row for row in listed.values() if row.name in selection]
        if not found and names is not None and (hidden := _hidden(name, client)):
            found = [hidden]
        if not found and names is not None:
            missing.append(_missing(name, listed))
        meant.update((row.name, row) for row in found)
    files = file_names({**meant, **listed}.values())
    return [Wanted(row, folder / files[name]) for name, row in sorted(meant.items())], missing


def _hidden(name: str, client: Client | LegacyClient) -> Observed | None:
    """Return a model that the server has but does not list."""
    if not name or set(name) & set("*?["):
        return None
    detail = client.find_detail(name)
    return next((row for (row,) in rows([{**detail, "name": name}])[0].values()), None) if detail else None  # type: ignore[typeddict-item] # a detail's rows are a list's


def _missing(name: str, listed: Iterable[str]) -> str:
    known = list(listed)[:_ENOUGH_TO_SEARCH]
    near = difflib.get_close_matches(name[:200], known, 1)
    hint = f" (did you mean {printable(near[0])}?)" if near else ""
    if not known:
        hint = " (it lists none)"
    return f"the server has no model {printable(name)}{hint}"
