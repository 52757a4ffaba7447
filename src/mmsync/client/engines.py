"""The engines a Model Manager runs, by name as in the official client; the codes are literals of the server.

The file extensions are those of `mmsync.engines`: where the server's documentation and the official client disagree
about one, both are listed, the one to write first.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmsync.engines import EXTENSIONS

__all__ = [
    "BIGML",
    "CATBOOST",
    "DT",
    "H2O",
    "IDA",
    "MLSTATS",
    "MUA",
    "ONNX",
    "UNICODE",
    "WORKFLOWS",
    "get_default_engine_extension",
    "get_engine_extensions",
]

ONNX = "ONNX"  # Open Neural Network Exchange
H2O = "H2O"  # H2O MOJO
BIGML = "BIGML"
CATBOOST = "CATBOOST"
DT = "DT"  # decision tree
IDA = "IDA"  # iterated distillation and amplification
MLSTATS = "MLSTATS"  # ML statistics
MUA = "MUA"
UNICODE = "UNICODE"
WORKFLOWS = "WORKFLOWS"


def get_engine_extensions(engine_code: str) -> Sequence[str]:
    """Return the extensions of an engine's files, the default one first, each with its dot.

    The code may be in any case. An unknown engine has none; that is no error.
    """
    return list(EXTENSIONS.get(engine_code.upper(), ()))


def get_default_engine_extension(engine_code: str) -> str:
    """Return the extension a file of that engine is written with, dot included; empty where there is none."""
    return next(iter(get_engine_extensions(engine_code)), "")
