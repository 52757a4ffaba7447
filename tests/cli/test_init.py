from __future__ import annotations

import os

import pytest

from mmsync.manifest import read_manifest
from support.commands import Shell, names
from support.model_files import bigml, catboost, mojo, regression_onnx


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    return Shell(tmp_path, capsys, monkeypatch)


def put(shell, files):
    for name, content in files.items():
        path = shell.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def listed(shell, folder="."):
    return {model.name: (model.engine, model.file) for model in read_manifest([f"{folder}/models.yaml"]).models}


def test_model_files_become_entries(shell):
    put(
        shell,
        {
            "fraud_score.onnx": regression_onnx(),
            "more/fraud_risk.cbm": catboost(),
            "more/odds.zip": mojo(),
            "trees/species.json": bigml(),
            "package.json": b'{"name": "not a model"}',
            "notes.txt": b"hello",
            ".hidden/x.onnx": regression_onnx(),
            "env/pyvenv.cfg": b"",
            "env/lib/y.onnx": regression_onnx(),
        },
    )
    ran = shell("init")
    assert (ran.code, ran.out) == (0, "Wrote models.yaml: 4 models.\n")
    assert "mmsync validate\n" in ran.err
    assert listed(shell) == {
        "fraud_score": ("ONNX", "fraud_score.onnx"),
        "fraud_risk": ("CATBOOST", "more/fraud_risk.cbm"),
        "odds": ("H2O", "more/odds.zip"),
        "species": ("BIGML", "trees/species.json"),
    }
    text = (shell.folder / "models.yaml").read_text()
    names = [line for line in text.splitlines() if "- name:" in line]
    assert names == sorted(names)
    assert '# scope: ["fraud_*", "odds", "species"]' in text
    assert shell("validate").code == 0


def test_names_stay_unique_and_the_nearest_file_keeps_the_plain_one(shell):
    files = {
        "a/m.onnx": regression_onnx(),
        "m.onnx": regression_onnx(),
        "m.cbm": catboost(),
        "b/m.onnx": regression_onnx(),
    }
    put(shell, files)
    assert shell("init").code == 0
    assert listed(shell) == {
        "m": ("CATBOOST", "m.cbm"),
        "m_onnx": ("ONNX", "m.onnx"),
        "a_m": ("ONNX", "a/m.onnx"),
        "b_m": ("ONNX", "b/m.onnx"),
    }


@pytest.mark.parametrize(
    ("files", "default"),
    [
        ({"a.onnx": regression_onnx(), "b.onnx": regression_onnx(), "c.cbm": catboost()}, "ONNX"),
        ({"a.onnx": regression_onnx(), "c.cbm": catboost()}, None),
        ({"a.onnx": regression_onnx(), "b.onnx": regression_onnx(), "c.cbm": catboost(), "d.zip": mojo()}, None),
        ({"c.cbm": catboost()}, "CATBOOST"),
    ],
)
def test_an_engine_is_the_default_where_more_than_half_have_it(shell, files, default):
    put(shell, files)
    assert shell("init").code == 0
    text = (shell.folder / "models.yaml").read_text()
    assert text.count("defaults:") == (default is not None)
    assert default is None or f"defaults:\n  engine: {default}\n" in text
    assert len(listed(shell)) == len(files)


def test_an_existing_manifest_is_never_touched(shell):
    put(shell, {"models.yaml": b"mine", "m.onnx": regression_onnx()})
    ran = shell("init")
    assert (ran.code, ran.out) == (1, "")
    assert "models.yaml is there already; it was left as it is" in ran.err
    assert (shell.folder / "models.yaml").read_bytes() == b"mine"
    assert names(shell.folder) == ["m.onnx", "models.yaml"]


def test_a_link_in_the_manifests_place_is_not_followed(shell):
    (shell.folder / "models.yaml").symlink_to("elsewhere.yaml")
    assert shell("init").code == 1
    assert not (shell.folder / "elsewhere.yaml").exists()


def test_a_folder_without_models_gets_an_example_that_is_valid(shell):
    ran = shell("init", "new/place")
    assert (ran.code, ran.out) == (0, "Wrote new/place/models.yaml: 0 models.\n")
    assert "mmsync validate -f new/place/models.yaml" in ran.err
    assert shell("validate", "-f", "new/place").code == 0
    text = (shell.folder / "new/place/models.yaml").read_text()
    put(shell, {"new/place/models/fraud_score.onnx": regression_onnx()})
    # The example becomes an entry as its comment says.
    head, _, example = text.partition("models: []")
    entry = "".join(f"{line[1:]}\n" for line in example.splitlines() if line.startswith("#  "))
    (shell.folder / "new/place/models.yaml").write_text(f"{head}models:\n{entry}")
    assert listed(shell, "new/place") == {"fraud_score": ("ONNX", "models/fraud_score.onnx")}


def test_what_looks_like_a_model_but_cannot_be_taken_is_named(shell, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "far.onnx"
    outside.write_bytes(regression_onnx())
    put(
        shell,
        {
            "0.json": b"{}",
            "broken.onnx": b"<html>",
            "some.zip": b"PK\x05\x06" + b"\0" * 18,
            "good.onnx": regression_onnx(),
        },
    )
    (shell.folder / "far.onnx").symlink_to(outside)
    os.mkfifo(shell.folder / "pipe.onnx")
    put(shell, {"odd\x1b[31m.onnx": regression_onnx()})
    ran = shell("init")
    assert ran.code == 0
    assert listed(shell) == {"good": ("ONNX", "good.onnx")}
    for name in ("broken.onnx", "some.zip", "far.onnx", "pipe.onnx", "odd\\x1b[31m.onnx", "0.json"):
        assert f"Left out {name}: " in ran.err
    assert ran.err.index("0.json") > ran.err.index("pipe.onnx")  # least likely a model, so named last
    assert "\x1b" not in ran.err


def test_file_names_that_yaml_would_misread_survive(shell):
    for name in ("yes", "null", "1e5", "- x", "a: b", "#c", "é ü", "it's", "a  b", "2024-01-01", "[x]", "*"):
        put(shell, {f"{name}.onnx": regression_onnx()})
    assert shell("init").code == 0
    found = listed(shell)
    assert len(found) == 12
    assert all(file == f"{name}.onnx" for name, (_, file) in found.items())


def test_the_token_of_the_environment_is_not_written(shell, monkeypatch):
    monkeypatch.setenv("MMSYNC_TOKEN", "s3cret-token")
    monkeypatch.setenv("MMSYNC_URL", "https://user:s3cret-token@example.com")
    ran = shell("init")
    assert "s3cret" not in (shell.folder / "models.yaml").read_text() + ran.out + ran.err
