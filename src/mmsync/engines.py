"""The engines known of, and what their model files are called.

From the Model Manager's REST contract: an engine that is not here is no error, a server may know more of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXTENSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "BIGML": (".json",),
        # The official client says .cmb since its 1.0; CatBoost itself writes .cbm.
        "CATBOOST": (".cbm", ".cmb"),
        # The engine table says .json, the documentation .zip: both are met.
        "DT": (".json", ".zip"),
        "H2O": (".zip",),
        "IDA": (".json", ".zip"),
        "MLSTATS": (),
        "MUA": (".zip",),
        "ONNX": (".onnx",),
        "UNICODE": (".zip",),
        "WORKFLOWS": (".json",),
    }
)
"""Engine code to its file extensions, the preferred first; empty where any file will do."""


def normalised(engine: str) -> str:
    """Return a known engine's code in its own case, ``ONNX`` for ``onnx``; any other as it is.

    The codes are constants of the server, which refuses them in another case, and no two differ by that alone.
    """
    upper = engine.upper()
    return upper if upper in EXTENSIONS else engine
