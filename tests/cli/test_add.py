from __future__ import annotations

import stat

import pytest

from mmsync.files.atomic import rewrite
from mmsync.manifest import read_manifest
from support.commands import Shell, names
from support.model_files import bigml, catboost, regression_onnx

MINE = "# Ours.\nversion: 1\nmodels:\n- {name: a, engine: ONNX, file: a.onnx}  # first\n"


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.onnx").write_bytes(regression_onnx())
    (tmp_path / "b.cbm").write_bytes(catboost())
    (tmp_path / "models.yaml").write_text(MINE)
    return Shell(tmp_path, capsys, monkeypatch)


def text(shell, name="models.yaml"):
    return (shell.folder / name).read_bytes().decode()


def test_a_file_is_added_with_its_stem_and_the_engine_that_it_is_for(shell):
    ran = shell("add", "b.cbm")
    assert (ran.code, ran.out) == (0, "+ b  CATBOOST  b.cbm\nmodels.yaml: 1 model added.\n")
    assert ran.err == "Next: mmsync validate\n"
    assert text(shell) == f"{MINE}- {{name: b, engine: CATBOOST, file: b.cbm}}\n"
    assert shell("validate").code == 0


def test_name_engine_and_description_are_given(shell):
    (shell.folder / "c.json").write_bytes(bigml())
    ran = shell("add", "c.json", "--name", "churn", "--engine", "bigml", "--description", "Churn, weekly")
    assert ran.code == 0, ran.err
    assert text(shell).endswith('- {name: churn, engine: BIGML, file: c.json, description: "Churn, weekly"}\n')


def test_a_missing_manifest_is_begun(shell):
    ran = shell("add", "a.onnx", "b.cbm", "-f", "new.yaml")
    assert (ran.code, ran.err) == (0, "Next: mmsync validate -f new.yaml\n")
    assert [model.name for model in read_manifest(["new.yaml"]).models] == ["a", "b"]
    assert shell("add", "a.onnx", "-f", "gone/models.yaml").err.startswith("Error: gone: there is no such folder")


def test_a_file_is_named_from_the_manifests_folder_wherever_one_is(shell, monkeypatch):
    (shell.folder / "sub/deep").mkdir(parents=True)
    (shell.folder / "sub/deep/d.onnx").write_bytes(regression_onnx())
    (shell.folder / "link").symlink_to("sub")
    monkeypatch.chdir(shell.folder / "sub")
    assert shell("add", "deep/d.onnx", "-f", "../models.yaml").code == 0
    assert "file: sub/deep/d.onnx" in text(shell)
    monkeypatch.chdir(shell.folder)
    ran = shell("add", "link/deep/d.onnx")
    assert ran.err == "Skipped d, sub/deep/d.onnx: models.yaml:5 lists it already\n"


def test_what_is_listed_is_skipped_and_the_rest_added(shell):
    ran = shell("add", "a.onnx", "b.cbm")
    assert (ran.code, ran.out) == (0, "+ b  CATBOOST  b.cbm\nmodels.yaml: 1 model added.\n")
    assert "Skipped a, a.onnx: models.yaml:4 lists it already\n" in ran.err
    again = shell("add", "a.onnx", "b.cbm")
    assert (again.code, again.out) == (0, "models.yaml: 0 models added.\n")
    assert shell("add", "a.onnx", "--name", "other").err.startswith(
        "Skipped other, a.onnx: models.yaml:4 lists its file as a"
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["gone.onnx"], "gone.onnx: there is no such file; nothing was written"),
        (["folder"], "folder: is a folder; nothing was written"),
        (["b.cbm", "--name", "a"], "a, b.cbm: models.yaml:4 lists another file of this name (give it one with --name)"),
        (["b.cbm", "--name", "x\ty"], "x y, b.cbm: the name holds a control or invisible character, U+0009"),
        (["b.cbm", "--name", ""], "--name is empty"),
        (["b.cbm", "a.onnx", "--name", "x"], "--name names one model"),
        (["b.cbm", "--engine", " "], "--engine is empty"),
        (["../outside.onnx"], "outside, ../outside.onnx: the file is outside the manifest's folder"),
        (["m.pkl"], "m.pkl: it is a Python pickle; nothing was written"),
        (["what.json"], "what.json: which engine it is for cannot be told; nothing was written"),
        (["b.cbm", "twin/b.cbm"], "b, twin/b.cbm: the name is also that of b.cbm"),
        (["b.cbm", "-f", "folder"], "folder is a folder: name the manifest in it with -f"),
        (["b.cbm", "-f", "models.yaml", "-f", "x.yaml"], "entries are added to one manifest: give -f once"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(words, why, shell):
    (shell.folder.parent / "outside.onnx").write_bytes(regression_onnx())
    (shell.folder / "m.pkl").write_bytes(b"\x80\x04\x95\x00")
    (shell.folder / "what.json").write_bytes(b"{}")
    for folder in ("folder", "twin"):
        (shell.folder / folder).mkdir()
    (shell.folder / "twin/b.cbm").write_bytes(catboost())
    ran = shell("add", *words)
    assert (ran.code, ran.out) == (1, "")
    assert f"Error: {why}" in ran.err
    assert text(shell) == MINE


@pytest.mark.parametrize(
    ("file", "content", "engine", "why"),
    [
        ("m.onnx", b"", None, "it is empty; nothing was written copy or export it again"),
        ("m.onnx", regression_onnx()[:-20], None, "it is no whole ONNX model (cut off or damaged: "),
        (
            "m.onnx",
            b"\x80\x04\x95\x00",
            None,
            "it is a Python pickle, not an ONNX model; nothing was written a Python",
        ),
        ("m.cbm", regression_onnx(), None, "it is an ONNX model, not a CATBOOST model; nothing was written export it"),
        ("m.zip", regression_onnx(), None, "it is an ONNX model, not an H2O model; nothing was written"),
        ("m.json", b'{"a": ', None, "it is no whole JSON text (cut off); nothing was written"),
        ("m.bin", b"", None, "it is empty; nothing was written"),
        ("m.bin", b"words", None, "which engine it is for cannot be told; nothing was written say which: --engine"),
        ("m.bin", b"words", "DT", "it is no JSON: "),
        ("m.bin", b"words", "onnx", "it is no ONNX model ("),
        ("m.zip", regression_onnx(), "H2O", "it is an ONNX model, not an H2O model"),
    ],
)
def test_a_file_that_would_not_be_applied_is_refused_by_what_is_wrong_with_it(shell, file, content, engine, why):
    (shell.folder / file).write_bytes(content)
    ran = shell("add", file, *(["--engine", engine] if engine else []))
    assert (ran.code, ran.out) == (1, "")
    assert f"Error: {file}: {why}" in " ".join(ran.err.split())
    assert text(shell) == MINE


def test_every_bad_file_is_named(shell):
    (shell.folder / "void.onnx").write_bytes(b"")
    (shell.folder / "what.json").write_bytes(b"{}")
    ran = shell("add", "void.onnx", "b.cbm", "gone.onnx", "what.json")
    assert (ran.code, ran.out) == (1, "")
    for said in ("void.onnx: it is empty", "gone.onnx: there is no such file", "what.json: which engine"):
        assert f"Error: {said}" in ran.err
    assert "Error: 3 files cannot be added; nothing was written" in ran.err
    assert "b.cbm" not in ran.err
    assert text(shell) == MINE


def test_a_git_lfs_pointer_is_added_as_what_it_stands_for(shell):
    oid = "ab" * 32
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12\n"
    (shell.folder / "tree.zip").write_text(pointer)
    assert shell("add", "tree.zip", "--engine", "DT").code == 0
    assert "engine: DT" in text(shell)


def test_the_scope_is_kept_to(shell):
    (shell.folder / "models.yaml").write_text(MINE + "scope: [a*]\n")
    ran = shell("add", "b.cbm")
    assert ran.code == 1
    assert "its name is outside the manifest's scope (rename it, or widen scope: a*)" in ran.err
    assert shell("add", "b.cbm", "--name", "a_b").code == 0


def test_a_manifest_with_errors_is_left_alone(shell):
    (shell.folder / "models.yaml").write_text("version: 1\nmodels:\n")
    ran = shell("add", "b.cbm")
    assert ran.code == 1
    assert "models.yaml:2" in ran.err
    assert text(shell) == "version: 1\nmodels:\n"


def test_where_lines_alone_do_not_do_they_are_printed_to_be_put_in(shell):
    (shell.folder / "models.yaml").write_text("version: 1\nmodels: [\n  # none yet\n]\n")
    ran = shell("add", "b.cbm")
    assert (ran.code, ran.out) == (1, "  - name: b\n    engine: CATBOOST\n    file: b.cbm\n")
    assert "its empty list goes over several lines; nothing was written" in ran.err
    assert "put the lines above under models: yourself" in ran.err


def test_mode_and_link_stay(shell):
    (shell.folder / "real").mkdir()
    target = (shell.folder / "models.yaml").rename(shell.folder / "real/list.yaml")
    target.chmod(0o640)
    (shell.folder / "models.yaml").symlink_to("real/list.yaml")
    assert shell("add", "b.cbm").code == 0
    assert (shell.folder / "models.yaml").is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert "name: b" in target.read_text()
    assert names(shell.folder / "real") == ["list.yaml"]


def test_what_was_changed_meanwhile_is_not_written_over(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_bytes(b"theirs")
    with pytest.raises(FileExistsError, match="it was changed meanwhile"):
        rewrite(path, b"ours", was=b"before")
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["models.yaml"]


def test_a_link_to_a_file_is_listed_by_its_own_name(shell):
    (shell.folder / "current.cbm").symlink_to("b.cbm")
    assert shell("add", "current.cbm").out.startswith("+ current  CATBOOST  current.cbm\n")
