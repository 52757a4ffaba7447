"""What a model file is: real files are taken, whole only, and stubs are named with the command that fetches."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mmsync.formats import FormatError, inspect, signature
from support.model_files import FLOAT, catboost, field, mojo, onnx_model, regression_onnx, tensor

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "models"
CATBOOST = next(QUICKSTART.glob("*.cbm"))


@pytest.fixture
def found(tmp_path):
    def look(content: bytes, engine: str) -> FormatError | None:
        path = tmp_path / "model"
        path.write_bytes(content)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            inspect(descriptor, engine)
        except FormatError as error:
            return error
        finally:
            os.close(descriptor)
        return None

    return look


EXTERNAL = field(8, "w") + field(13, field(1, "location") + field(2, "weights.bin")) + field(14, 1)
X, Y = tensor("x", FLOAT, 1), tensor("y", FLOAT, 1)
BRANCH = field(5, EXTERNAL)  # a graph that holds the tensor


@pytest.mark.parametrize(
    "extra",
    [
        field(5, EXTERNAL),
        field(15, field(1, EXTERNAL)),
        field(15, field(2, EXTERNAL)),
        field(1, field(4, "Constant") + field(5, field(1, "value") + field(5, EXTERNAL))),
        field(1, field(4, "If") + field(5, field(1, "then_branch") + field(6, BRANCH))),
        field(1, field(4, "If") + field(5, field(11, field(1, field(5, field(6, BRANCH)))))),
    ],
    ids=["initializer", "sparse values", "sparse indices", "attribute", "subgraph", "subgraph of a subgraph"],
)
def test_weights_in_another_file_are_found_wherever_they_are(found, extra):
    error = found(onnx_model([X], [Y], extra=extra), "ONNX")
    assert error is not None
    assert error.reason == "its weights are in another file (weights.bin)"
    assert "save_as_external_data=False" in error.hint
    assert not error.cut_off


def test_weights_in_another_file_are_found_in_functions(found):
    function = field(25, field(7, field(5, field(5, EXTERNAL))))
    assert found(onnx_model([X], [Y]) + function, "ONNX") is not None


def test_the_call_in_the_hint_makes_one_file_of_two(found, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    weights = onnx.numpy_helper.from_array(__import__("numpy").zeros(4000, "float32"), "w")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [value("x", 1, [4000])],
        [value("y", 1, [4000])],
        [weights],
    )
    onnx.save(onnx.helper.make_model(graph), "m.onnx", save_as_external_data=True, location="w.bin")
    error = found(Path("m.onnx").read_bytes(), "ONNX")
    assert error is not None
    call = error.hint.split(": ", 1)[1].split(", or export")[0]
    assert call.startswith("onnx.save(onnx.load(")
    eval(call, {"onnx": onnx})
    assert found(Path("m.onnx").read_bytes(), "ONNX") is None


@pytest.mark.parametrize(
    ("content", "engine"),
    [(regression_onnx(), "ONNX"), (mojo(), "H2O"), (json.dumps({"a": [1, "x", None]}).encode(), "BIGML")],
    ids=["ONNX", "H2O", "BIGML"],
)
def test_a_file_cut_off_at_any_byte_is_refused(found, content, engine):
    assert found(content, engine) is None
    assert [length for length in range(len(content)) if found(content[:length], engine) is None] == []


def test_a_catboost_model_ends_not_before_its_core_and_may_go_on(found):
    content = CATBOOST.read_bytes()
    core = 8 + int.from_bytes(content[4:8], "little")
    assert core <= len(content)
    for length in (1, 3, 7, 8, core // 2, core - 1):
        error = found(content[:length], "CATBOOST")
        assert error is not None
        assert error.cut_off
    assert found(content[:core], "CATBOOST") is None
    assert found(content + b"tables of text and categories", "CATBOOST") is None


def test_a_number_of_any_length_is_json(found):
    assert found(b'{"n": ' + b"9" * 5000 + b"}", "BIGML") is None


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n"


@pytest.mark.parametrize(
    ("content", "what", "command"),
    [
        (LFS, "a Git LFS pointer", "git lfs pull --include=m.onnx"),
        (b"\xef\xbb\xbf" + LFS, "a Git LFS pointer", "git lfs pull --include=m.onnx"),
        (
            b"<<<<<<< HEAD\n" + LFS + b"=======\n" + LFS + b">>>>>>> other\n",
            "a Git LFS pointer in a merge conflict",
            "git checkout --ours m.onnx",
        ),
        (b"/annex/objects/SHA256E-s5--ab.onnx\n", "a git-annex pointer", "git annex get m.onnx"),
        (b"../.git/annex/objects/a/b/SHA256E-s5--ab.onnx/SHA256E-s5--ab.onnx", "a git-annex pointer", "git annex get m.onnx"),
        (b"# xet version 0\nfilesize = 5\nhash = 'ab'\n", "a Xet pointer", "git xet checkout m.onnx"),
        (b"outs:\n- md5: ab\n  size: 5\n  path: m.onnx\n", "a DVC file", "dvc pull m.onnx"),
        (b"../shared/m.onnx", "a symbolic link checked out as text", "git config core.symlinks true"),
    ],
    ids=["lfs", "lfs with a mark", "lfs in conflict", "annex", "annex link", "xet", "dvc", "link"],
)  # fmt: skip
@pytest.mark.parametrize("engine", ["ONNX", "MLSTATS", "NEW"])
def test_a_stub_is_named_with_the_command_that_fetches_the_file(found, engine, content, what, command):
    error = found(content, engine)
    assert error is not None
    assert error.reason == f"it is {what}, not the file itself"
    assert error.hint_for("m.onnx").startswith(f"run {command}")


def test_the_signature_is_what_the_file_declares(tmp_path):
    def of(content: bytes, engine: str):
        (tmp_path / "m").write_bytes(content)
        with (tmp_path / "m").open("rb") as file:
            return signature(file.fileno(), engine)

    declared = of(onnx_model([X], [Y]), "ONNX")
    assert declared is not None
    assert [(each["name"], each["type"]) for each in declared.fields] == [("x", "float8")]
    assert declared.output_type == "float8"
    assert of(catboost(), "CATBOOST") is not None
    assert of(b"{}", "WORKFLOWS") is None
    assert of(b"noise", "ONNX") is None
    assert of(b"anything", "NEW") is None
