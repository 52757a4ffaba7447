"""Ask the four models for predictions and print them; with ``--write``, keep them in expected_predictions.json.

Run in an environment made from requirements.txt, in this folder: ``python predict.py``. Java is not needed: the H2O
model is a logistic regression, whose coefficients stand in the MOJO's ``model.ini``.
"""

from __future__ import annotations

import json
import math
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoostClassifier
from data import DOMAIN_FIELDS, LOGIN_FIELDS, domain_features
from onnxruntime import InferenceSession

MODELS = Path(__file__).parent / "models"
DOMAINS = ("coffee-market", "northwind", "kq3v9zxw1trb8", "xjqhwvzkprtnmd", "blueriver42")
LOGINS = {
    "a morning at the office": [9.1, 0, 4, 0, 130, 25],
    "a late evening at home": [22.8, 1, 12, 0, 45, 10],
    "a first login from a new phone": [12.5, 1, 30, 1, 60, 20],
    "a conference abroad": [10.0, 0, 2100, 0, 95, 60],
    "three in the morning, far away": [3.2, 6, 4200, 1, 8, 950],
}


def ask_onnx(name: str, fields: tuple[str, ...], row: list[float]) -> list[np.ndarray]:
    """Return the outputs of an ONNX model for one row, in the model's order."""
    session = InferenceSession(MODELS / f"{name}.onnx", providers=["CPUExecutionProvider"])
    inputs = {field: np.array([[value]], dtype=np.float32) for field, value in zip(fields, row, strict=True)}
    return list(session.run(None, inputs))


def ask_mojo(name: str, row: list[float]) -> float:
    """Return the probability that a binomial GLM saved as a MOJO gives one row of numbers."""
    with zipfile.ZipFile(MODELS / f"{name}.zip") as mojo:
        lines = mojo.read("model.ini").decode().splitlines()
    [beta] = [json.loads(line.removeprefix("beta = ")) for line in lines if line.startswith("beta = ")]
    *slopes, intercept = beta
    odds = intercept + sum(slope * value for slope, value in zip(slopes, row, strict=True))
    return 1 / (1 + math.exp(-odds))


def predictions() -> dict[str, list[dict[str, Any]]]:
    """Return what each model says of each example, with the inputs it was given."""
    said: dict[str, list[dict[str, Any]]] = {name: [] for name in ("domain_dga", "login_profile")}
    said |= {"login_risk": [], "login_odds": []}
    risk = CatBoostClassifier().load_model(MODELS / "login_risk.cbm")
    for domain in DOMAINS:
        row = [round(value, 6) for value in domain_features(domain)]
        label, shares = ask_onnx("domain_dga", DOMAIN_FIELDS, row)
        answer = {"label": int(label[0]), "probability": round(float(shares[0, 1]), 4)}
        said["domain_dga"].append({"of": domain, "input": dict(zip(DOMAIN_FIELDS, row, strict=True)), **answer})
    for what, row in LOGINS.items():
        example = {"of": what, "input": dict(zip(LOGIN_FIELDS, row, strict=True))}
        cluster, _ = ask_onnx("login_profile", LOGIN_FIELDS, row)
        said["login_profile"].append({**example, "cluster": int(cluster.ravel()[0])})
        said["login_risk"].append({**example, "probability": round(float(risk.predict_proba([row])[0, 1]), 4)})
        said["login_odds"].append({**example, "probability": round(ask_mojo("login_odds", row), 4)})
    return said


def main() -> None:
    said = predictions()
    for model, rows in said.items():
        print(model)
        for row in rows:
            answers = "  ".join(f"{key} {value}" for key, value in row.items() if key not in ("of", "input"))
            print(f"  {row['of']:<32}{answers}")
    if "--write" in sys.argv[1:]:
        Path(__file__).with_name("expected_predictions.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
