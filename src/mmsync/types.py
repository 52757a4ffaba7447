"""The values the rooms of the house hand to one another.

*Desired* comes from the manifest, *content* from model files, *observed* from the server, *evidence* from the
ledger or the server. All are frozen: a plan made from them cannot change under its reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Content",
    "Desired",
    "Diagnostic",
    "Evidence",
    "EvidenceSource",
    "FileKey",
    "Observed",
    "ServerName",
    "Shape",
    "Source",
    "Verdict",
    "Verify",
    "date_of",
]

_FAR_FUTURE = 2**53  # the whole numbers that every JSON reader keeps


def date_of(value: object) -> int | None:
    """Return a date of a server's, milliseconds since the epoch; None where that is missing, or none that can be kept."""
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


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something to tell the user, with its place where it has one.

    Attributes:
        severity: ``error`` makes the run fail (exit 1); ``warning`` and ``info`` do not.
        code: A stable name for scripts, ``room/fault`` in lower case with hyphens (``manifest/unknown-key``).
        summary: What is wrong, one sentence without a full stop.
        detail: What to do about it, or empty.
        source: Where in the manifest, or None.
        model: The model it speaks of, or empty.
    """

    severity: Literal["error", "warning", "info"]
    code: str
    summary: str
    detail: str = ""
    source: Source | None = None
    model: str = ""

    def __str__(self) -> str:
        place = f"{self.source}: " if self.source else ""
        hint = f" ({self.detail})" if self.detail else ""
        return f"{place}{self.summary}{hint}"


class Desired(NamedTuple):
    """What the manifest asks for one model. A NamedTuple: ten thousand are made for every plan.

    Attributes:
        name: The model's name, unique across all manifests read together.
        engine: The engine's code as the manifest writes it, for example ``ONNX``.
        file: The path as the manifest writes it.
        path: The path to open, relative to the working directory or absolute.
        description: The text wanted; None leaves the server's alone, ``""`` empties it.
        sha256: The pinned content in lower-case hex, or None.
        allow_signature_change: Whether inputs and output type may change.
        source: Where the manifest names it.
        inspect: Whether the file must look like what its engine reads.
    """

    name: str
    engine: str
    file: str
    path: str
    description: str | None
    sha256: str | None
    allow_signature_change: bool
    source: Source
    inspect: bool = True


class FileKey(NamedTuple):
    """What says that a file is still the one that was read (``stat``; times in ns since the epoch).

    ctime is part of it: a write of the same size whose mtime was put back still changes ctime.
    """

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Content(NamedTuple):
    """The content a model file holds.

    Attributes:
        sha256: 64 lower-case hex digits.
        size: In bytes.
        key: The stat it was read under; what an upload compares with.
        lfs: True where the file is a Git LFS pointer: the digest and size are those of the file it stands for.
    """

    sha256: str
    size: int
    key: FileKey
    lfs: bool = False


class ServerName(NamedTuple):
    """Which server: its normalised URL (``local:/folder`` for an embedded one) and the domain, empty where none."""

    url: str
    domain: str = ""


class Observed(NamedTuple):
    """One row of the server's list. Every field but the name may be missing there, and is then None.

    A NamedTuple: ten thousand are made for every plan.

    Attributes:
        name: The model's name.
        id: The server's id, never reused for another model (int on the servers known).
        engine: The engine's code.
        description: The text the server holds.
        image_id: The id of the uploaded bytes; whoever replaces them gets a new one.
        creation_date: Epoch milliseconds.
        update_date: Epoch milliseconds.
    """

    name: str
    id: int | str | None = None
    engine: str | None = None
    description: str | None = None
    image_id: int | str | None = None
    creation_date: int | None = None
    update_date: int | None = None


class Shape(NamedTuple):
    """A model's signature, which queries that call it depend on; None where it is not known.

    Attributes:
        inputs: By name, with their types.
        output: The type of what it answers.
    """

    inputs: dict[str, str | None] | None = None
    output: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything of it is known."""
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


Verdict = Literal["same", "different", "unknown"]
Verify = Literal["auto", "always", "never"]
"""How far to go to find out what the server holds."""

EvidenceSource = Literal["ledger", "size", "download", "none"]


class Evidence(NamedTuple):
    """Whether the server holds the desired content of one model, and how we know.

    Attributes:
        verdict: ``same``, ``different``, or ``unknown`` (never guessed).
        source: What settled it: the ledger, the image's size, a download of the bytes, or nothing (``none``).
        sha256: The content the server holds, where known.
        size: Its size in bytes, where known.
        why: For ``unknown``, the reason in one clause; otherwise empty.
    """

    verdict: Verdict
    source: EvidenceSource
    sha256: str | None = None
    size: int | None = None
    why: str = ""
