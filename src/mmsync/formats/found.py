"""What an inspection finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

__all__ = ["Field", "Signature", "Unfit"]


class Field(TypedDict):
    """An input of a model; ``type`` is one of ``str``, ``bool``, ``int4``, ``int8``, ``float8``."""

    name: str
    description: str | None
    type: str


class Unfit(Exception):
    """The file is not what its engine takes.

    Attributes:
        reason: What is wrong, a clause about the file ("it is no ONNX model (...)").
        hint: What to do about it, or empty.
        cut_off: Whether more of the file may be still to come.
    """

    def __init__(self, reason: str, hint: str = "", *, cut_off: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.cut_off = cut_off


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model file declares of itself.

    Attributes:
        output_type: The type of what the model answers, or None where the file does not say.
        category: ``Regression``, ``Binomial``, ``Multinomial``, ``Clustering`` and the like, or None.
        fields: The inputs, in order.
        clusters: Clusters as the contract has them; no reviewer finds any yet.
        runtime_size: Bytes the model is thought to take once loaded.
    """

    output_type: str | None = None
    category: str | None = None
    fields: list[Field] = field(default_factory=list)
    clusters: list[dict[str, Any]] = field(default_factory=list)
    runtime_size: int = 0
