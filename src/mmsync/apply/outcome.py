"""Outcomes of changes, and the events on the way to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from mmsync.plan import Change
from mmsync.types import Shape

Status = Literal["verified", "applied", "skipped", "failed", "not-attempted"]
Phase = Literal["hashing", "uploading", "downloading", "verifying"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one change.

    Attributes:
        change: The change.
        status: ``verified`` (done, and read back as done), ``applied`` (done, not read back), ``skipped``
            (nothing written, on purpose), ``failed``, or ``not-attempted`` (the run was stopped first).
        code: Why not done, a stable word: ``stale``, ``file-changed``, ``signature``, ``refused``, ``unknown-engine``,
            ``protected``, ``backup``, ``lfs-pointer``, ``token``, ``network``, ``server``, ``file``, ``read-back``, ``fail-fast``,
            ``audit``, ``interrupted``, ``internal``; empty where it was done.
        message: One sentence for a person: what, why and the hint; empty where there is nothing to add.
        permanent: Whether trying the same again is pointless until the file or the entry changes.
        uploaded: Bytes of the model sent to the server for this change.
        seconds: How long the change took.
    """

    change: Change
    status: Status
    code: str = ""
    message: str = ""
    permanent: bool = False
    uploaded: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Return whether the server holds what the change asked for."""
        return self.status in ("verified", "applied")


class Attempt(NamedTuple):
    """An outcome and, where bytes were uploaded, the image they became."""

    outcome: Outcome
    image_id: int | str | None = None
    declared: Shape = Shape()  # the signature the file declares, where it was read
    displayed: Shape = Shape()  # the signature the server's review of it says
    is_unconnected: bool = False  # whether it failed as no connection to the server could be made at all


@dataclass(frozen=True, slots=True)
class Started:
    """A worker has taken up the change."""

    change: Change


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes done of a phase of one model; sent a few times a second at most."""

    name: str
    phase: Phase
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Downloads:
    """So many models are about to be downloaded to compare them, of so many bytes in all."""

    models: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A change has its outcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Verified:
    """Every change has its final outcome; the last event of an apply."""

    outcomes: tuple[Outcome, ...]  # one for each change of the plan, in its order
    unverified: str = ""  # why nothing could be read back, or empty


Event = Started | Progress | Downloads | Finished | Verified
