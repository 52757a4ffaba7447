"""The engines a Model Manager runs, and the file extensions that belong to them.

The codes are literals of the server. Where the server's documentation and the official client disagree about an
extension, both are listed, the one to write first.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

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

ONNX = "ONNX"
"""Open Neural Network Exchange: ``.onnx``."""

H2O = "H2O"
"""H2O MOJO: ``.zip``."""

BIGML = "BIGML"
"""BigML: ``.json``."""

CATBOOST = "CATBOOST"
"""CatBoost: ``.cbm``, and ``.cmb`` as the official client writes it."""

DT = "DT"
"""Decision tree: ``.json``, and ``.zip`` in the server's documentation."""

IDA = "IDA"
"""Iterated distillation and amplification: ``.json``, and ``.zip`` in the server's documentation."""

MLSTATS = "MLSTATS"
"""ML statistics: no extension."""

MUA = "MUA"
"""MUA: ``.zip``."""

UNICODE = "UNICODE"
"""Unicode: ``.zip``."""

WORKFLOWS = "WORKFLOWS"
"""Workflows: ``.json``."""

_EXTENSIONS = MappingProxyType(
    {
        ONNX: (".onnx",),
        H2O: (".zip",),
        BIGML: (".json",),
        CATBOOST: (".cbm", ".cmb"),
        DT: (".json", ".zip"),
        IDA: (".json", ".zip"),
        MLSTATS: (),
        MUA: (".zip",),
        UNICODE: (".zip",),
        WORKFLOWS: (".json",),
    }
)


def get_engine_extensions(engine_code: str) -> Sequence[str]:
    """Return the extensions of an engine's files, the default one first, each with its dot.

    The code may be in any case. An unknown engine has none; that is no error.
    """
    return list(_EXTENSIONS.get(engine_code.upper(), ()))


def get_default_engine_extension(engine_code: str) -> str:
    """Return the extension a file of that engine is written with, dot included; empty where there is none."""
    extensions = get_engine_extensions(engine_code)
    return extensions[0] if extensions else ""
