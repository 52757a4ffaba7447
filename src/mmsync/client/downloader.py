"""Downloaders: takers of downloaded model files.

A downloader is any callable that takes a model, its bytes in base64 included, and returns a string that says where
they went. `FileSystemDownloader` is the one most people want, and the only one that works in constant memory.
"""

# ruff: noqa: PTH100, PTH111, PTH118 - paths are strings for callers, and links are not to be resolved
from __future__ import annotations

import abc
import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pybase64

from mmsync.client.engines import get_default_engine_extension
from mmsync.files.atomic import Draft, draft_in

__all__ = [
    "Downloader",
    "DownloaderCallable",
    "FileSystemDownloader",
    "PartialFile",
    "get_default_downloader",
    "get_image_bytes",
]

DownloaderCallable = Callable[[dict[str, Any]], str]
"""What stores a model: it gets the model with its bytes in base64, and returns where they went."""

# What ext4, XFS, Btrfs, APFS and NTFS take, in bytes or UTF-16 units.
_LONGEST_NAME = 255
_UNSAFE = re.compile("[/\x00-\x1f\x7f-\x9f\ud800-\udfff]|^\\.|%(?=[0-9a-fA-F]{2})")


def get_default_downloader() -> Downloader:
    """Return the downloader of clients that were given none: into the current directory, as it is now."""
    return FileSystemDownloader(".")


def get_image_bytes(image: Mapping[str, Any]) -> bytes:
    """Return the bytes of a detail's ``image``.

    Raises:
        ValueError: There are none, or they are not base64.
    """
    encoded = image.get("image")
    if not encoded:
        raise ValueError("Invalid image")
    return pybase64.b64decode("".join(encoded.split()) if isinstance(encoded, str) else encoded, validate=True)


class Downloader(abc.ABC):
    """A callable that stores a model's bytes; to subclass, or to imitate with any function of that signature."""

    @abc.abstractmethod
    def __call__(self, model: dict[str, Any]) -> str:
        """Store the bytes of ``model`` and return where they went.

        ``model`` has at least ``name``, ``engine`` and ``image``, whose ``image`` is the bytes in base64.
        """


class FileSystemDownloader(Downloader):
    """Writes models into one folder, under their name and the extension of their engine.

    A file appears there whole or not at all, and nothing is ever written outside the folder: characters of a name
    that are not safe in a file's are percent-encoded (a leading dot as well), and an over-long name is cut and
    ends in a digest. Names without any of that are file names as they are.

    Args:
        path: The folder; ``~`` is expanded. It must exist by the time a file is written.

    Attributes:
        path: The folder, absolute.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.expanduser(path)
        with contextlib.suppress(FileNotFoundError):  # the working folder was removed: said where a file is written
            self.path = os.path.abspath(self.path)

    def __call__(self, model: dict[str, Any]) -> str:
        """Write the model's bytes and return the absolute path of the file.

        Raises:
            ValueError: The name, the engine or the bytes are missing or not valid.
            OSError: The file cannot be written.
        """
        self.file_for(model)
        data = get_image_bytes(model.get("image") or {})
        with self.open() as file:
            file.write(data)
            return file.keep(model)

    def file_for(self, model: Mapping[str, Any]) -> str:
        """Return the absolute path the model is written to.

        Raises:
            ValueError: The name or the engine is missing.
        """
        name, engine = model.get("name"), model.get("engine")
        if not name or not engine:
            raise ValueError("Invalid model")
        extension = get_default_engine_extension(str(engine))
        safe = _UNSAFE.sub(
            lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")), str(name)
        )
        raw, room = safe.encode(), _LONGEST_NAME - len(extension)
        if len(raw) > room:
            mark = "~" + hashlib.sha256(raw).hexdigest()[:16]
            safe = raw[: room - len(mark)].decode("utf-8", "ignore") + mark
        return os.path.join(self.path, safe + extension)

    def open(self) -> PartialFile:
        """Return a file in the folder that gets its name once it is complete."""
        return PartialFile(self)


class PartialFile(contextlib.ExitStack):
    """A download under way: a hidden file of its own in the downloader's folder, gone unless it is kept.

    Made when the first bytes are written, so that what needs no file leaves no trace.
    """

    def __init__(self, downloader: FileSystemDownloader) -> None:
        super().__init__()
        self._downloader = downloader
        self._draft: Draft | None = None

    def _opened(self) -> Draft:
        if self._draft is None:
            try:
                self._draft = self.enter_context(draft_in(Path(self._downloader.path)))
            except OSError as error:
                # The caller knows the folder; of the hidden file it has never heard.
                raise OSError(error.errno, error.strerror, self._downloader.path) from None
        return self._draft

    def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        self._opened().file.write(data)

    def rewind(self) -> bool:
        """Empty the file; always possible."""
        if self._draft is not None:
            self._draft.file.seek(0)
            self._draft.file.truncate()
        return True

    def keep(self, model: Mapping[str, Any]) -> str:
        """Give the file the model's name, in place of any file of that name, and return its absolute path.

        Raises:
            ValueError: The model has no name or no engine.
            OSError: The file cannot be written or renamed.
        """
        target = self._downloader.file_for(model)
        self._opened().become(Path(target), replace=True)
        return target
