"""What the files of models are called on disk: one name a model, whatever the server calls it."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mmsync.states import Observed

__all__ = ["file_names"]

_LONGEST = 255  # bytes, on the file systems in use


def file_names(models: Iterable[Observed]) -> Mapping[str, str]:
    """Return a file name for each model, by model name.

    They are those of ``FileSystemDownloader``, with what cannot be shown percent-encoded as well. Where two would be
    the same file (on a file system that ignores case, too), the later in order of name gets a mark of its own: the
    names depend on the models alone, not on the order the server lists them in.
    """
    from mmsync.client.downloader import FileSystemDownloader  # noqa: PLC0415 - imports the HTTP library

    downloader = FileSystemDownloader(".")
    names: dict[str, str] = {}
    taken: set[str] = set()
    for model in sorted(models, key=lambda model: model.name):
        # Without an engine there is no extension to add, which is what an unknown one comes to.
        plain = PurePath(downloader.file_for({"name": model.name, "engine": model.engine or "?"})).name
        name = _shown(plain)
        if _folded(name) in taken or len(name.encode()) > _LONGEST:
            name = _marked(name, model.name)
        taken.add(_folded(name))
        names[model.name] = name
    return names


def _shown(name: str) -> str:
    """Percent-encode what a manifest refuses in a path and a reader cannot see."""
    if name.isprintable():
        return name
    return "".join(
        char if char.isprintable() else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        for char in name
    )


def _marked(name: str, model: str) -> str:
    mark = "~" + hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = PurePath(name)
    suffix = path.suffix if len(path.suffix) < len(mark) else ""
    stem = name.removesuffix(suffix).encode()[: _LONGEST - len(mark) - len(suffix.encode())].decode("utf-8", "ignore")
    return stem + mark + suffix


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
