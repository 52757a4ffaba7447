from __future__ import annotations

import hashlib
import json

import pytest

from support.commands import Shell
from support.model_files import FLOAT, INT64, catboost, field, onnx_model, regression_onnx, tensor

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 12345\n" % (b"ab" * 32)


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.onnx").write_bytes(regression_onnx())
    (tmp_path / "b.cbm").write_bytes(catboost())
    return Shell(tmp_path, capsys, monkeypatch)


def manifest(shell, *entries, name="models.yaml"):
    lines = [f"  - {{{entry}}}\n" for entry in entries]
    (shell.folder / name).write_text("version: 1\nmodels:\n" + "".join(lines))


def test_a_sound_manifest_is_said_to_be_valid_without_server_or_token(shell):
    manifest(shell, "name: a, engine: ONNX, file: a.onnx", "name: b, engine: CATBOOST, file: b.cbm")
    assert shell("validate") == (0, "2 models in 1 manifest are valid.\n", "")


def test_several_manifests_are_checked_together(shell):
    manifest(shell, "name: a, engine: ONNX, file: a.onnx", name="one.yaml")
    manifest(shell, "name: b, engine: CATBOOST, file: b.cbm", name="two.yaml")
    assert shell("validate", "-f", "one.yaml", "-f", "two.yaml").out == "2 models in 2 manifests are valid.\n"
    manifest(shell, "name: a, engine: ONNX, file: a.onnx", name="two.yaml")
    ran = shell("validate", "-f", "one.yaml", "-f", "two.yaml")
    assert ran.code == 1
    assert "two.yaml:3:" in ran.err
    assert "one.yaml:3" in ran.err


def test_every_fault_is_told_with_its_place_and_counted(shell):
    manifest(shell, "name: a, engine: ONNX, file: gone.onnx", "name: b, engin: CATBOOST, file: b.cbm")
    ran = shell("validate")
    assert (ran.code, ran.out) == (1, "")
    assert "models.yaml:3:35: gone.onnx: there is no such file" in ran.err
    assert "models.yaml:4:15: a model has no key 'engin' (did you mean engine?)" in ran.err
    assert ran.err.endswith("errors.\n")


@pytest.mark.parametrize(
    ("file", "engine", "content", "said"),
    [
        ("m.onnx", "ONNX", b"", "it is empty"),
        ("m.onnx", "ONNX", catboost(), "it is a CatBoost model, not an ONNX model"),
        ("m.cbm", "CATBOOST", b"no model", "it is no CatBoost model"),
        ("m.json", "BIGML", b'{"a": ', "it is no whole JSON text (cut off)"),
        ("m.bin", "MLSTATS", b"<!DOCTYPE html><html>sign in</html>", "an HTML page"),
    ],
)
def test_a_file_that_no_reader_of_its_engine_can_read_is_a_fault(shell, file, engine, content, said):
    (shell.folder / file).write_bytes(content)
    manifest(shell, f"name: m, engine: {engine}, file: {file}")
    ran = shell("validate")
    assert ran.code == 1
    assert "models.yaml:3:5: m: " in ran.err
    assert said in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("content", "code", "hint"),
    [
        (b"", "file/incomplete", "copy or export it again; watch waits until it is whole"),
        (regression_onnx()[:-20], "file/incomplete", "copy or export it again; watch waits until it is whole"),
        (b"words", "file/misfit", "export it again, or correct engine or file"),
        (b"/annex/objects/SHA256E-s5--ab.onnx\n", "file/misfit", "run git annex get m.onnx"),
    ],
    ids=["empty", "cut off", "text", "stub"],
)
def test_validate_and_plan_agree_about_a_file(shell, content, code, hint):
    (shell.folder / "m.onnx").write_bytes(content)
    manifest(shell, "name: m, engine: ONNX, file: m.onnx")
    verdicts = [
        [(each["code"], each["detail"]) for each in json.loads(shell(*words, "--format", "json").out)["diagnostics"]]
        for words in (["validate"], ["plan", "--url", "local:server"])
    ]
    assert (code, hint) in verdicts[1]
    assert verdicts[0] == [(code, hint)]


def test_files_are_let_be_where_that_is_asked_for(shell):
    manifest(shell, "name: m, engine: ONNX, file: gone.onnx")
    assert shell("validate", "--no-files").out == "1 model in 1 manifest is valid.\n"


def test_a_pin_must_be_what_the_file_holds(shell):
    held = hashlib.sha256(regression_onnx()).hexdigest()
    manifest(shell, f"name: a, engine: ONNX, file: a.onnx, sha256: '{held}'")
    assert shell("validate").code == 0
    (shell.folder / "a.onnx").write_bytes(regression_onnx(b"\1\0\0\0"))
    ran = shell("validate")
    assert ran.code == 1
    assert f"not the pinned {held}" in " ".join(ran.err.split())


def test_a_git_lfs_pointer_is_a_warning_and_stands_for_its_content(shell):
    (shell.folder / "a.onnx").write_bytes(POINTER)
    manifest(shell, f"name: a, engine: ONNX, file: a.onnx, sha256: '{'ab' * 32}'")
    ran = shell("validate")
    assert (ran.code, ran.out) == (0, "1 model in 1 manifest is valid, with 1 warning.\n")
    assert "git lfs pull --include=a.onnx" in " ".join(ran.err.split())
    assert shell("validate", "--strict").code == 1
    manifest(shell, f"name: a, engine: ONNX, file: a.onnx, sha256: '{'cd' * 32}'")
    assert "not the pinned" in shell("validate").err


def test_json_holds_the_diagnostics_of_the_plan_document(shell):
    (shell.folder / "b.cbm").write_bytes(b"no model")
    manifest(shell, "name: a, engine: ONNX, file: a.onnx", "name: b, engine: CATBOOST, file: b.cbm")
    ran = shell("validate", "--format", "json")
    document = json.loads(ran.out)
    assert (ran.code, ran.err) == (1, "")
    assert document["valid"] is False
    assert document["summary"] == {"models": 2, "errors": 1, "warnings": 0}
    [fault] = document["diagnostics"]
    assert fault.keys() == {"severity", "code", "summary", "detail", "file", "line", "column"}
    assert (fault["severity"], fault["code"], fault["file"], fault["line"]) == (
        "error",
        "file/misfit",
        "models.yaml",
        4,
    )


def test_json_tells_faults_of_the_manifest_too(shell):
    (shell.folder / "models.yaml").write_text("version: 1\nmodels: 3\n")
    ran = shell("validate", "--format", "json")
    document = json.loads(ran.out)
    assert (ran.code, document["valid"], document["summary"]["models"]) == (1, False, None)
    assert document["diagnostics"][0]["line"] == 2


def test_under_github_actions_faults_become_annotations(shell, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (shell.folder / "b.cbm").write_bytes(b"no model")
    manifest(shell, "name: b, engine: CATBOOST, file: b.cbm")
    assert "::error file=models.yaml,line=3" in shell("validate").err


def test_a_missing_manifest_is_one_sentence(shell):
    ran = shell("validate")
    assert ran.code == 1
    assert "models.yaml:1:1: there is no such manifest" in ran.err
    assert "Traceback" not in ran.err


def test_outputs_that_are_maps_are_warned_of_with_the_way_to_export_without(shell):
    maps = field(1, "output_probability") + field(
        2, field(4, field(1, field(5, field(1, 7) + field(2, field(1, field(1, 1))))))
    )
    label = tensor("output_label", INT64, 0)
    (shell.folder / "zip.onnx").write_bytes(onnx_model([tensor("x", FLOAT, 0, 4)], [label, maps]))
    manifest(shell, "name: z, engine: ONNX, file: zip.onnx")
    ran = shell("validate")
    said = " ".join(ran.err.split())
    assert ran.code == 0
    assert "models.yaml:3:5: warning: z: zip.onnx: its output output_probability is a sequence of maps (ZipMap)" in said
    assert 'skl2onnx takes options={id(model): {"zipmap": False}}' in said
    held = hashlib.sha256((shell.folder / "zip.onnx").read_bytes()).hexdigest()
    manifest(shell, f"name: z, engine: ONNX, file: zip.onnx, sha256: '{held}'")
    assert "ZipMap" in shell("validate").err
    manifest(shell, "name: z, engine: ONNX, file: zip.onnx, inspect: false")
    assert "ZipMap" not in shell("validate").err
