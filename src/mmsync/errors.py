"""The tree of errors mmsync raises.

::

    MmsyncError                  anything mmsync can explain; the command line prints it and exits 1
    ├── ManifestError            models.yaml is wrong: every error at once, each with its place
    ├── FileError                a model file cannot be read, or changed while it was read
    │   └── WrongFormat          … is not what its engine reads, or not all of it
    ├── PlanRefused              a saved plan or digest is stale, or a guard forbids the plan
    ├── SettingsError            a server address, token or option is missing or contradicts another
    │   └── TokenSettingsError   … the token
    ├── LockTimeout              another mmsync holds the server's lock
    ├── AuditError               the audit record cannot be written
    └── client.error.ModelManagerError   the server or the way to it (its own tree is in that module)

An error's ``str`` is one sentence that a person can act on; ``hint`` says what to do next, or is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsync.types import Diagnostic


class MmsyncError(Exception):
    """The root of all errors mmsync raises on purpose.

    Attributes:
        hint: What the reader can do about it; empty where nothing is known.
    """

    def __init__(self, message: str | None = "", hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ManifestError(MmsyncError):
    """The manifest has errors; none of it was acted on.

    Attributes:
        diagnostics: Every error found, in the order of file, line and column; never empty.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class FileError(MmsyncError):
    """A model file cannot be read as a whole.

    Attributes:
        path: The file, as it was asked for.
        reason: Why, without the path.
    """

    def __init__(self, path: str, reason: str, hint: str = "") -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}", hint)


class WrongFormat(FileError):
    """A model file is not what its engine reads, or not all of it."""

    def __init__(self, path: str, reason: str, hint: str = "", *, is_incomplete: bool = False) -> None:
        super().__init__(path, reason, hint)
        self.is_incomplete = is_incomplete  # whether more of the file may be still to come


class PlanRefused(MmsyncError):
    """A plan may not be carried out; nothing was written.

    Attributes:
        diagnostics: Each reason, with the flag or command that is its hint.
    """

    def __init__(self, summary: str, diagnostics: Sequence[Diagnostic] = (), hint: str = "") -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(summary, hint)


class SettingsError(MmsyncError):
    """An option, environment variable or setting is missing, malformed or contradicts another."""


class TokenSettingsError(SettingsError):
    """The token is missing, cannot be read, or may not go to the server."""


class LockTimeout(MmsyncError):
    """Another mmsync on this machine is at work on the same server and did not finish in time."""


class AuditError(MmsyncError):
    """The audit record cannot be opened or written, without which nothing is written to the server."""
