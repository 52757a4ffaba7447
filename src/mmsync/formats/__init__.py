"""Formats of model files: which it is, whole or not, inputs and outputs.

Each format has a module that reads what it must and no more, and raises `FormatError` or returns the `Signature`.
"""

from mmsync.formats.detect import INSPECTOR, claims_to_be_pointer, inspect, is_known, mistaken_for, signature
from mmsync.formats.types import Field, FormatError, Signature

__all__ = [
    "INSPECTOR",
    "Field",
    "FormatError",
    "Signature",
    "claims_to_be_pointer",
    "inspect",
    "is_known",
    "mistaken_for",
    "signature",
]
