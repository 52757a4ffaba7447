"""A stranger's model of another signature under a managed name is healed, each time it comes."""

from __future__ import annotations

import json

import devo_ml.modelmanager as official
import pytest
from devo_ml.modelmanager.auth import create_auth_from_token

from support.model_files import bigml, regression_onnx
from support.watching import write_manifest

# The official client leaves the model file open for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

OTHER_INPUTS = json.dumps(
    {
        "object": {
            "objective_field": "y",
            "model": {"fields": {"x": {"name": "x", "optype": "numeric"}, "y": {"name": "y", "optype": "numeric"}}},
        }
    }
).encode()


def test_a_rogue_model_of_another_signature_is_healed(root, watch, server, tmp_path):
    ours = {"m": bigml()}
    (root / "m.json").write_bytes(ours["m"])
    write_manifest(root, {"m": "m.json"})
    process = watch(interval="0.5")
    process.until(lambda: server.holds(ours))
    process.until(lambda: process.of("reconciled"))
    client = official.Client(server.url, create_auth_from_token(server.token, "standalone"))
    for engine, content in (("BIGML", OTHER_INPUTS), ("ONNX", regression_onnx())):
        told = len(process.of("model_changed"))
        file = tmp_path / "rogue"
        file.write_bytes(content)
        client.add_model("m", engine, str(file), force=True)
        process.until(lambda told=told: len(process.of("model_changed")) > told)
        process.until(lambda: server.holds(ours))
        assert "restored; drift had changed its inputs" in process.of("model_changed")[-1]["message"]
    # A watcher begun anew knows from the ledger what is ours.
    process.stop()
    file.write_bytes(OTHER_INPUTS)
    client.add_model("m", "BIGML", str(file), force=True)
    second = watch(interval="300")
    second.until(lambda: server.holds(ours))
    assert not second.of("model_failed"), second.tail()
