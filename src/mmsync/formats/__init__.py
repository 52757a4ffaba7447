"""What a model file is: format, whole or not, inputs and outputs.

Each format has a module that reads what it must and no more, and either raises `Unfit` or returns the `Signature`.
"""

from mmsync.formats.detect import INSPECTOR, inspect, is_known, signature
from mmsync.formats.found import Field, Signature, Unfit
from mmsync.formats.stubs import claims_to_be_pointer

__all__ = ["INSPECTOR", "Field", "Signature", "Unfit", "claims_to_be_pointer", "inspect", "is_known", "signature"]
