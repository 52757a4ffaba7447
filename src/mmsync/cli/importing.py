"""What a server holds, as a manifest: entries, files, and what no manifest can say."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mmsync.apply.observe import rows
from mmsync.cli.download import Download, Wanted
from mmsync.cli.draft import scope_for
from mmsync.cli.naming import file_names
from mmsync.connection import LOCAL
from mmsync.errors import SettingsError
from mmsync.manifest.writer import Entry, manifest_text, refusal, scalar
from mmsync.printable import printable
from mmsync.states import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmsync.cli.settings import ServerOptions
    from mmsync.connection import Connection
    from mmsync.plan import Selection
    from mmsync.states import Observed

__all__ = ["Draught", "moved", "read_server"]

_FOLDER = "models"


class Draught(NamedTuple):
    """A manifest to be.

    Attributes:
        models: The models it lists, by name.
        files: The file of each, relative to the folder of model files.
        text: The manifest.
        left_out: What is on the server and cannot be listed, or not as it is there.
        server_flags: What a command needs beside the manifest to reach the same server, with a space before it.
    """

    models: Sequence[Observed]
    files: Mapping[str, str]
    text: str
    left_out: Sequence[Diagnostic]
    server_flags: str

    def wanted(self, folder: Path) -> list[Wanted]:
        """Return the downloads for a manifest in ``folder``, and make the folder they go to.

        Raises:
            SettingsError: That folder is a link to somewhere else.
            OSError: It cannot be made.
        """
        place = folder / _FOLDER
        place.mkdir(exist_ok=True)
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder)):
            raise SettingsError(f"{place} is a link that leaves {folder}", "remove it, or import --to another folder")
        return [Wanted(model, place / self.files[model.name]) for model in self.models]


def read_server(connection: Connection, selection: Selection, given: ServerOptions) -> Draught:
    """Read the server's list and draw up the manifest of the selected models.

    Raises:
        ModelManagerError: The list cannot be read.
    """
    listed, odd = rows(connection.client.get_models())
    left_out = list(odd)
    models: list[Observed] = []
    entries: list[Entry] = []
    selection = selection.among(listed)
    chosen = {name: found for name, found in sorted(listed.items()) if name in selection}
    files = file_names(found[0] for found in chosen.values() if found[0].name)
    for name, found in chosen.items():
        why = refusal(name, found[0].engine)
        if len(found) > 1:
            why = f"the server lists {len(found)} models of this name"
        if why:
            left_out.append(_note("import/left-out", name, f"{why}; left out", "the plan counts it as unmanaged"))
            continue
        description = found[0].description
        try:
            scalar(description or "")
        except ValueError as fault:
            left_out.append(_note("import/description", name, f"its description is left out: {fault}", ""))
            description = None
        models.append(found[0])
        entries.append(Entry(name, f"{_FOLDER}/{files[name]}", found[0].engine, description))
    settings = _settings(connection, given)
    text = manifest_text(
        entries,
        heading=["Written by `mmsync import` from what the server held. Edit it, and `mmsync apply` it."],
        server=settings,
        scope_hint=scope_for([model.name for model in models]),
    )
    return Draught(models, files, text, left_out, _flags(given, settings))


def moved(done: Download) -> str:
    """Say so where the bytes downloaded are not those of the row that the manifest was drawn up from."""
    there, listed = done.image_id, done.wanted.observed.image_id
    if there is None or listed is None or str(there) == str(listed):
        return ""
    return "it was replaced on the server meanwhile; run the import again"


def _settings(connection: Connection, given: ServerOptions) -> dict[str, str]:
    """Return the ``server`` part: never a token, nor a folder of this machine."""
    url, domain = connection.server
    if url.startswith(LOCAL):
        return {}
    where = {"profile": given.profile} if given.profile and not given.url else {"url": url}
    extra = {"auth_type": given.auth_type, "domain": domain}
    return {key: value for key, value in {**where, **extra}.items() if value}


def _flags(given: ServerOptions, settings: Mapping[str, str]) -> str:
    """Return what is not in ``settings`` and cannot be: a folder of this machine, the way to the profiles."""
    words = []
    if not settings:
        words += ["--url", given.url or ""] + (["--domain", given.domain] if given.domain else [])
    elif "profile" in settings and given.profiles_path:
        words += ["--profiles-path", given.profiles_path]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _note(code: str, name: str, why: str, way_on: str) -> Diagnostic:
    shown = printable(name) or '""'
    return Diagnostic("warning", code, f"{shown}: {why}", way_on, None, shown)
