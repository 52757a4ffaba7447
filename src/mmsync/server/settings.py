"""How one server behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Generation", "Settings"]

Generation = Literal["both", "latest", "legacy"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server behaves.

    Attributes:
        generation: Which addresses it answers: ``/models…`` (latest), ``/domains/{domain}/models…`` (legacy) or both;
            the others are 404, as on a real server of the other generation.
        domain: The domain the latest generation speaks of; a real server infers it from the token.
        prefix: A path it answers under as well, such as ``/mlmodelmanager``; empty for none.
        latency: Seconds it waits before it answers a request, as a network would.
        allow_delete: Whether the latest generation knows DELETE; without it, 405. The legacy one always does.
        patience: Seconds requests in flight have to finish when it stops.
    """

    generation: Generation = "both"
    domain: str = "self"
    prefix: str = ""
    latency: float = 0.0
    allow_delete: bool = True
    patience: float = 1.0
