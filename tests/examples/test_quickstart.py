"""The quickstart's models are real: they load, and they predict what the example says they predict."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from mmsync.manifest import read_manifest

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
EXPECTED = json.loads((QUICKSTART / "expected_predictions.json").read_text())


def outputs(model, row, folder="models"):
    loaded = onnx.load(QUICKSTART / folder / f"{model}.onnx")
    inputs = {name: np.array([[value]], dtype=np.float32) for name, value in row["input"].items()}
    return ReferenceEvaluator(loaded).run(None, inputs)


def test_the_manifest_reads_without_a_fault_or_warning():
    manifest = read_manifest([str(QUICKSTART / "models.yaml")])
    assert manifest.warnings == ()
    assert {model.name: model.engine for model in manifest.models} == {
        "domain_dga": "ONNX",
        "login_odds": "H2O",
        "login_profile": "ONNX",
        "login_risk": "CATBOOST",
    }
    assert all(model.description for model in manifest.models)


def test_every_model_file_is_listed_and_small():
    listed = {Path(model.path).name for model in read_manifest([str(QUICKSTART / "models.yaml")]).models}
    files = list((QUICKSTART / "models").iterdir())
    assert {file.name for file in files} == listed
    assert all(file.stat().st_size < 200_000 for file in files)


@pytest.mark.parametrize("model", ["domain_dga", "login_profile"])
def test_the_onnx_models_name_their_inputs_as_the_predictions_do(model):
    loaded = onnx.load(QUICKSTART / "models" / f"{model}.onnx")
    onnx.checker.check_model(loaded)
    assert [field.name for field in loaded.graph.input] == list(EXPECTED[model][0]["input"])


@pytest.mark.parametrize("row", EXPECTED["domain_dga"], ids=lambda row: row["of"])
def test_the_gradient_boosting_model_predicts_what_the_example_says(row):
    label, shares = outputs("domain_dga", row)
    assert label.tolist() == [row["label"]]
    assert shares[0, 1] == pytest.approx(row["probability"], abs=1e-4)


@pytest.mark.parametrize("row", EXPECTED["login_profile"], ids=lambda row: row["of"])
def test_the_k_means_model_predicts_what_the_example_says(row):
    cluster, distances = outputs("login_profile", row)
    assert cluster.ravel().tolist() == [row["cluster"]]
    assert distances.ravel().argmin() == row["cluster"]


@pytest.mark.parametrize("row", EXPECTED["login_odds"], ids=lambda row: row["of"])
def test_the_mojo_holds_the_regression_that_predicts_what_the_example_says(row):
    with zipfile.ZipFile(QUICKSTART / "models" / "login_odds.zip") as mojo:
        settings, _, rest = mojo.read("model.ini").decode().partition("[columns]")
    info = dict(line.split(" = ", 1) for line in settings.splitlines() if " = " in line)
    assert (info["algo"], info["category"]) == ("glm", "Binomial")
    assert rest.split()[:6] == list(row["input"])
    *slopes, intercept = json.loads(info["beta"])
    odds = intercept + sum(slope * value for slope, value in zip(slopes, row["input"].values(), strict=True))
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(row["probability"], abs=1e-4)


def test_the_retrained_model_has_the_inputs_of_the_one_it_replaces_and_two_habits_more():
    row = EXPECTED["login_profile"][0]
    _, distances = outputs("login_profile", row)
    _, later = outputs("login_profile", row, folder="retrained")
    assert (distances.size, later.size) == (4, 6)


def test_the_catboost_file_has_its_magic_and_the_core_it_announces():
    data = (QUICKSTART / "models" / "login_risk.cbm").read_bytes()
    magic, core = struct.unpack_from("<4sI", data)
    assert magic == b"CBM1"
    assert 0 < core <= len(data) - 8
    assert b"megabytes_out" in data


def test_the_readme_shows_the_predictions_that_were_seen():
    text = (QUICKSTART / "README.md").read_text()
    for rows in EXPECTED.values():
        for row in rows:
            answers = "  ".join(f"{key} {value}" for key, value in row.items() if key not in ("of", "input"))
            assert f"  {row['of']:<32}{answers}\n" in text
