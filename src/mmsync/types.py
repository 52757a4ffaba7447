"""The values the rooms of the house hand to one another.

*Desired* comes from the manifest, *content* from model files, *observed* from the server, *evidence* from the
ledger or the server. All are frozen: a plan made from them cannot change under its reader.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

if TYPE_CHECKING:
    import os

_FAR_FUTURE = 2**53  # the whole numbers that every JSON reader keeps


def date_of(value: object) -> int | None:
    """Return a date of a server's, milliseconds since the epoch; None where it is missing, or none that can be kept."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _FAR_FUTURE:
        return value
    return None


class Source(NamedTuple):
    """A place in a manifest: ``file`` as the user named it, ``line`` and ``column`` counted from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Excerpt(NamedTuple):
    """The line of a source that a diagnostic points into, as it was read, or the part of a long one around the place."""

    text: str  # as it is in the file, without its line end: nothing to print as it is
    caret: int  # the index in ``text`` of the character meant; its length where that is the end of the line
    begins: bool = True  # whether ``text`` is where the line begins
    ends: bool = True  # whether the line ends where ``text`` does


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something to tell the user, with its place where it has one.

    Attributes:
        severity: ``error`` makes the run fail (exit 1); ``warning`` and ``info`` do not.
        code: A stable name for scripts, ``room/error`` in lower case with hyphens (``manifest/unknown-key``).
        summary: What is wrong, one sentence without a full stop.
        detail: What to do about it, or empty.
        source: Where in the manifest, or None.
        model: The model it speaks of, or empty.
        excerpt: The line at ``source``, for people; None where it is not known or may hold a secret. It is no part of
            what the diagnostic says: two that differ in it alone are equal.
    """

    severity: Literal["error", "warning", "info"]
    code: str
    summary: str
    detail: str = ""
    source: Source | None = None
    model: str = ""
    excerpt: Excerpt | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        place = f"{self.source}: " if self.source else ""
        hint = f" ({self.detail})" if self.detail else ""
        return f"{place}{self.summary}{hint}"


class Desired(NamedTuple):
    """One model as the manifest asks for it. A NamedTuple: ten thousand are made for every plan."""

    name: str  # the model's name, unique across all manifests read together
    engine: str  # the engine's code as the manifest writes it, for example ``ONNX``
    file: str  # the path as the manifest writes it
    path: str  # the path to open, relative to the working directory or absolute
    description: str | None  # the text wanted; None leaves the server's alone, ``""`` empties it
    sha256: str | None  # the pinned content in lower-case hex, or None
    allow_signature_change: bool  # whether inputs and output type may change
    source: Source  # where the manifest names it
    inspect: bool = True  # whether the file must look like what its engine reads
    protect: bool = False  # whether it is never deleted, nor replaced by another engine or signature


class FileKey(NamedTuple):
    """The stat that says that a file is still the one that was read (``stat``; times in ns since the epoch).

    ctime is part of it: a write of the same size whose mtime was put back still changes ctime.
    """

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


# One call for all of them: a key is made for every model of every run.
_stamps = attrgetter("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


def file_key(status: os.stat_result) -> FileKey:
    """Return what identifies a state of the file ``status`` was taken from."""
    return FileKey._make(_stamps(status))


class Content(NamedTuple):
    """The content a model file holds."""

    sha256: str  # 64 lower-case hex digits
    size: int  # in bytes
    key: FileKey  # the stat it was read under; what an upload compares with
    lfs: bool = False  # whether it is a Git LFS pointer: digest and size are those of the file it stands for


class ServerName(NamedTuple):
    """A server: its normalised URL (``local:/folder`` for an embedded one) and the domain, empty where none."""

    url: str
    domain: str = ""


class Observed(NamedTuple):
    """One row of the server's list. Every field but the name may be missing there, and is then None.

    A NamedTuple: ten thousand are made for every plan.
    """

    name: str  # the model's name
    id: int | str | None = None  # the server's id, never reused for another model (int on the servers known)
    engine: str | None = None  # the engine's code
    description: str | None = None  # the text the server holds
    image_id: int | str | None = None  # the id of the uploaded bytes; whoever replaces them gets a new one
    creation_date: int | None = None  # epoch milliseconds
    update_date: int | None = None  # epoch milliseconds


class Shape(NamedTuple):
    """The part of a signature that queries depend on; None where it is not known. A file's: ``formats.Signature``."""

    inputs: dict[str, str | None] | None = None  # by name, with their types
    output: str | None = None  # the type of what it answers

    @property
    def is_known(self) -> bool:
        """Return whether anything of it is known."""
        return self != (None, None)

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> Self:
        """Return the signature in a server's ModelDetail or ModelReview, where it says one."""
        fields, output = model.get("fields"), model.get("outputType")
        inputs = None
        if isinstance(fields, list):
            named = [field for field in fields if isinstance(field, dict) and field.get("name") is not None]
            inputs = {str(field["name"]): None if field.get("type") is None else str(field["type"]) for field in named}
        return cls(inputs, None if output is None else str(output))


Verify = Literal["auto", "always", "never"]
"""How far to go to find out what the server holds."""

EvidenceSource = Literal["ledger", "size", "download", "none"]


class Evidence(NamedTuple):
    """The verdict on one model's content on the server, and its source."""

    verdict: Literal["same", "different", "unknown"]  # never guessed
    source: EvidenceSource  # what settled it: the ledger, the image's size, a download of the bytes, or nothing
    sha256: str | None = None  # the content the server holds, where known
    size: int | None = None  # its size in bytes, where known
    why: str = ""  # for ``unknown``, the reason in one clause; otherwise empty


MOST_GLOBS = 1_000
"""Globs in one list; plain names beside them cost next to nothing and are not counted."""


def is_glob(text: str) -> bool:
    """Tell whether ``text`` could stand for other names than itself."""
    return any(character in text for character in "*?[")


class Patterns:
    """A list of names and globs; ``name in patterns`` asks whether any of them means a name.

    Globs are those of Python's ``fnmatch``, with case: ``*``, ``?``, ``[abc]``. What is asked takes time in
    proportion to the name and the number of globs: ``translate`` writes expressions that never go back. What is one of
    the ``known`` names, letter for letter, is no glob.
    """

    def __init__(self, texts: Iterable[str], known: Collection[str] = ()) -> None:
        self.texts = tuple(dict.fromkeys(texts))
        self._names = frozenset(self.texts)
        globs = [text for text in self.texts if is_glob(text) and text not in known]
        self._match = re.compile("|".join(map(translate, globs))).match if globs else None

    def __contains__(self, name: str) -> bool:
        return name in self._names or (self._match is not None and self._match(name) is not None)
