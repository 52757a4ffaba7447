from __future__ import annotations

import json
import os

import pytest

from mmsync.manifest import read_manifest, schema
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
            "kept/.mmsync-backup": b"",
            "kept/run/z.onnx": regression_onnx(),
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
    assert "add what it does not list with --update" in ran.err


def test_a_link_in_the_manifests_place_is_not_followed(shell):
    (shell.folder / "models.yaml").symlink_to("elsewhere.yaml")
    assert shell("init").code == 1
    assert not (shell.folder / "elsewhere.yaml").exists()


def test_a_folder_without_models_gets_an_example_that_is_valid(shell):
    (shell.folder / "new/place").mkdir(parents=True)
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


@pytest.mark.parametrize(
    ("folder", "why"), [("nope/deeper", "there is no such folder"), ("a.onnx", "that is no folder")]
)
def test_a_folder_that_is_missing_is_an_error_and_is_not_made(shell, folder, why):
    put(shell, {"a.onnx": regression_onnx()})
    ran = shell("init", folder)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: {folder}: {why}\n")
    assert names(shell.folder) == ["a.onnx"]


def test_models_of_other_forms_are_named_with_the_way_to_onnx(shell):
    pickled = b"\x80\x04\x95\x00"
    put(
        shell,
        {"a.pkl": pickled, "b.joblib": pickled, "c.onnx": pickled, "d.pt": b"PK\x03\x04", "e.keras": b"PK\x03\x04"},
    )
    ran = shell("init")
    assert ran.out == "Wrote models.yaml: 0 models.\n"
    for name in ("a.pkl", "b.joblib", "c.onnx"):
        [line] = [line for line in ran.err.splitlines() if line.startswith(f"Left out {name}: ")]
        assert "to_onnx(model, X[:1])" in line
    assert "Left out d.pt: PyTorch's own format: torch.onnx.export(" in ran.err
    assert "Left out e.keras: Keras' own format: tf2onnx" in ran.err


def test_editors_find_the_schema_beside_the_manifest(shell):
    put(shell, {"m.onnx": regression_onnx()})
    assert shell("init").code == 0
    first = (shell.folder / "models.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=models.schema.json"
    assert json.loads((shell.folder / "models.schema.json").read_text()) == schema()
    assert shell("validate").out == "1 model in 1 manifest is valid.\n"


def test_the_schema_of_an_older_mmsync_is_renewed_and_another_file_left(shell):
    (shell.folder / "models.schema.json").write_text('{"$id": "urn:mmsync:manifest:1", "old": true}')
    assert "models.schema.json" not in shell("init").err
    assert json.loads((shell.folder / "models.schema.json").read_text()) == schema()
    (shell.folder / "models.yaml").unlink()
    (shell.folder / "models.schema.json").write_text("mine")
    assert "Left models.schema.json as it is" in shell("init").err
    assert (shell.folder / "models.schema.json").read_text() == "mine"


def test_without_a_schema_there_is_neither_the_line_nor_the_file(shell):
    assert shell("init", "--no-schema").code == 0
    assert names(shell.folder) == ["models.yaml"]
    assert "yaml-language-server" not in (shell.folder / "models.yaml").read_text()


def test_the_schema_is_never_taken_for_a_model(shell):
    (shell.folder / "models.yaml").write_text("version: 1\ndiscover:\n  - {glob: '*.json', engine: BIGML}\n")
    put(shell, {"species.json": bigml(), "models.schema.json": b"{}"})
    assert list(listed(shell)) == ["species"]
    assert "models.schema.json" not in shell("init", "--update").err


def test_update_adds_what_is_not_listed_and_nothing_else(shell):
    put(
        shell,
        {"a.onnx": regression_onnx(), "sub/a.onnx": regression_onnx(), "b.cbm": catboost(), "far.onnx": b"<html>"},
    )
    (shell.folder / "models.yaml").write_text(
        "version: 1\nmodels:\n- file: ./a.onnx\n  name: first  # mine\n  engine: ONNX\n"
    )
    ran = shell("init", "--update")
    assert (ran.code, ran.out) == (0, "+ a  ONNX  sub/a.onnx\n+ b  CATBOOST  b.cbm\nmodels.yaml: 2 models added.\n")
    assert "1 model file listed already.\n" in ran.err
    assert "Left out far.onnx: it is an HTML page" in ran.err
    assert (shell.folder / "models.yaml").read_text() == (
        "version: 1\nmodels:\n- file: ./a.onnx\n  name: first  # mine\n  engine: ONNX\n"
        "- file: sub/a.onnx\n  name: a\n  engine: ONNX\n- file: b.cbm\n  name: b\n  engine: CATBOOST\n"
    )
    again = shell("init", "--update")
    assert (again.code, again.out) == (0, "models.yaml: 0 models added.\n")


def test_update_leaves_to_discover_rules_what_they_find_and_keeps_to_the_scope(shell):
    put(shell, {"drop/x.onnx": regression_onnx(), "fraud_a.onnx": regression_onnx(), "other.onnx": regression_onnx()})
    (shell.folder / "models.yaml").write_text(
        "version: 1\nscope: [fraud_*, drop_*]\nmodels: []\n"
        "discover:\n  - {glob: 'drop/*.onnx', engine: ONNX, name: 'drop_{stem}'}\n"
    )
    ran = shell("init", "--update")
    assert ran.out == "+ fraud_a  ONNX  fraud_a.onnx\nmodels.yaml: 1 model added.\n"
    assert "Skipped other, other.onnx: its name is outside the manifest's scope" in ran.err
    assert set(listed(shell)) == {"fraud_a", "drop_x"}


def test_update_of_a_folder_without_a_manifest_writes_the_first(shell):
    put(shell, {"a.onnx": regression_onnx()})
    assert shell("init", "--update").out == "Wrote models.yaml: 1 model.\n"


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


def test_of_each_file_left_out_it_is_said_what_is_wrong_with_it(shell):
    pointer = b"version https://git-lfs.github.com/spec/v2\noid sha256:zz\nsize 1\n"
    files = {
        "void.onnx": (b"", "it is empty"),
        "half.onnx": (regression_onnx()[:-20], "it is no whole ONNX model (cut off or damaged: "),
        "half.cbm": (catboost()[:9], "it is no whole CatBoost model (cut off)"),
        "half.zip": (mojo()[:-40], "it is no whole zip archive (cut off)"),
        "half.json": (bigml()[:-9], "it is no whole JSON text (cut off)"),
        "void.json": (b"", "it is empty"),
        "text.onnx": (b"hello there", "it is no ONNX model ("),
        "b.cbm": (regression_onnx(), "it is an ONNX model, not a CATBOOST model"),
        "stub.json": (pointer, "it is a Git LFS pointer, not the file itself; run git lfs pull --include=stub.json"),
        "plain.json": (b"{}", "which engine it is for cannot be told"),
    }
    put(shell, {name: content for name, (content, _) in files.items()})
    ran = shell("init")
    assert ran.out == "Wrote models.yaml: 0 models.\n"
    for name, (_, why) in files.items():
        assert f"Left out {name}: {why}" in ran.err


@pytest.mark.parametrize("words", [["init"], ["init", "--update"], ["add", "m.onnx"]])
def test_a_file_whose_name_promises_another_engine_is_listed_by_its_content_and_told(shell, words):
    put(shell, {"m.onnx": mojo()})
    if "--update" in words:
        (shell.folder / "models.yaml").write_text("version: 1\nmodels: []\n")
    ran = shell(*words)
    assert (ran.code, listed(shell)) == (0, {"m": ("H2O", "m.onnx")})
    assert "Look at m.onnx: by its content it is for H2O; an H2O model usually ends in .zip\n" in ran.err


@pytest.mark.parametrize("name", ["models.yml", "models.json", "Models.yaml", "models.yaml.txt"])
@pytest.mark.parametrize("words", [["init"], ["init", "--update"]])
def test_beside_another_manifest_nothing_is_written(shell, name, words):
    (shell.folder / name).write_text('{"version": 1, "models": []}\n')
    ran = shell(*words)
    assert (ran.code, ran.out) == (1, "")
    assert f"{name} is there already; nothing was written" in ran.err
    assert f"name it with -f {name}, or rename it to models.yaml" in " ".join(ran.err.split())
    assert names(shell.folder) == [name]


def test_a_model_that_is_called_as_a_manifest_could_be_is_none(shell):
    put(shell, {"models.json": bigml()})
    assert shell("init").code == 0
    assert listed(shell) == {"models": ("BIGML", "models.json")}
