"""What a review finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

__all__ = ["Field", "Review", "Unfit"]


class Field(TypedDict):
    """An input of a model; ``type`` is one of ``str``, ``bool``, ``int4``, ``int8``, ``float8``."""

    name: str
    description: str | None
    type: str


class Unfit(Exception):
    """The file is not what its engine takes; the message becomes the review's ``errorDetail``."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a review found.

    Attributes:
        output_type: The type of what the model answers, or None where the file does not say.
        category: ``Regression``, ``Binomial``, ``Multinomial``, ``Clustering`` and the like, or None.
        fields: The inputs, in order.
        clusters: Clusters as the contract has them; no reviewer finds any yet.
        runtime_size: Bytes the model is thought to take once loaded.
        error_detail: Why it was refused; None for a valid file.
    """

    output_type: str | None = None
    category: str | None = None
    fields: list[Field] = field(default_factory=list)
    clusters: list[dict[str, Any]] = field(default_factory=list)
    runtime_size: int = 0
    error_detail: str | None = None

    @property
    def valid(self) -> bool:
        """Whether the file was accepted."""
        return self.error_detail is None
