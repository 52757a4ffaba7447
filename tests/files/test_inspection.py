from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest

from mmsync.engines import EXTENSIONS
from mmsync.errors import FileError
from mmsync.files.inspection import format_error, guess_engine
from support.model_files import FLOAT, field as wire, regression_onnx, tensor

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "models"


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


MOJO = zipped(**{"model.ini": "[info]\nalgorithm = gbm\n", "domains/d000.txt": "a\n"})
BIGML = json.dumps({"resource": "model/5f1", "object": {"model": {}}}).encode()
ONNX = regression_onnx()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n"
FIT = {
    "ONNX": ONNX,
    "H2O": MOJO,
    "BIGML": BIGML,
    "CATBOOST": b"CBM1\x04\x00\x00\x00core and what follows",
    "DT": b'{"a": 1}',
    "IDA": zipped(a="x"),
    "MUA": zipped(a="x"),
    "UNICODE": zipped(a="x"),
    "WORKFLOWS": b"[1, 2]\n",
    "MLSTATS": b"anything",
}


def inspect(path: str, engine: str) -> tuple[str, ...]:
    error = format_error(path, engine)
    return (error.reason, error.hint) if error and error.hint else (error.reason,) if error else ()


def varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


@pytest.fixture
def file(tmp_path):
    def make(data: bytes, name: str = "model.bin") -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return make


def test_every_engine_known_is_tried_here():
    assert set(FIT) == set(EXTENSIONS)


@pytest.mark.parametrize("engine", sorted(FIT))
def test_a_model_fits_its_engine(file, engine):
    assert inspect(file(FIT[engine]), engine) == ()


@pytest.mark.parametrize("model", sorted(QUICKSTART.glob("*.*")), ids=lambda path: path.name)
def test_real_models_fit_and_are_recognised(model, file):
    engine = {".onnx": "ONNX", ".cbm": "CATBOOST"}.get(model.suffix)
    if engine is None:
        pytest.skip("another format")
    assert inspect(str(model), engine) == ()
    assert guess_engine(str(model)) == engine
    assert guess_engine(file(model.read_bytes(), "model")) == engine


PICKLE = pickle.dumps({"a": [1, 2, 3]}, protocol=4)


@pytest.mark.parametrize(
    ("data", "engine", "said"),
    [
        (b"", "ONNX", "it is empty"),
        (b"", "OTHER", "it is empty"),
        (PICKLE, "ONNX", "it is a Python pickle, not an ONNX model"),
        (pickle.dumps([1], protocol=0), "ONNX", "it is a Python pickle, not an ONNX model"),
        (pickle.dumps(zipfile.Path, protocol=0), "H2O", "it is a Python pickle, not an H2O model"),
        (gzip.compress(ONNX, mtime=0), "ONNX", "it is a gzip archive, not an ONNX model"),
        (b"\x89HDF\r\n\x1a\n....", "ONNX", "it is an HDF5 file (Keras), not an ONNX model"),
        (FIT["CATBOOST"], "ONNX", "it is a CatBoost model, not an ONNX model"),
        (MOJO, "ONNX", "it is a zip archive, not an ONNX model"),
        (b"\x08\x07\x10\x01", "ONNX", "it is no ONNX model (it has no IR version or no graph)"),
        (b"random text", "ONNX", "it is no ONNX model (the field at byte 2 reaches beyond the end)"),
        (b"random text", "CATBOOST", "it is no CatBoost model (CatBoost's begin with CBM1)"),
        (ONNX, "H2O", "it is no whole zip archive"),
        (MOJO[:-30], "H2O", "it is no whole zip archive"),
        (zipped(a="x"), "H2O", "it is no H2O model (MOJO): no model.ini in it"),
        (b'{"a": }', "BIGML", "it is no JSON: expecting value at line 1 column 7"),
        (b'"text"', "BIGML", "it is no JSON object or list"),
        (b"\xff{}", "DT", "it is no JSON (not UTF-8)"),
        (b"[" * 100_000, "BIGML", "it is JSON nested too deeply"),
        (
            b"<!DOCTYPE html><title>Log in",
            "ONNX",
            "it is an HTML page (a login or error page saved in place of the file?), not an ONNX model",
        ),
        (b"<html>", "OTHER", "it is an HTML page (a login or error page saved in place of the file?), not a model"),
        (
            b"\n<!-- x -->\n<HTML lang=en>",
            "BIGML",
            "it is an HTML page (a login or error page saved in place of the file?), not a BIGML model",
        ),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,
)
def test_a_file_that_does_not_fit_is_named(file, data, engine, said):
    assert inspect(file(data), engine) == (said,)


@pytest.mark.parametrize("engine", [*sorted(EXTENSIONS), "OTHER"])
def test_a_pointer_is_named_with_the_command_that_fetches_the_file(file, engine):
    path = file(POINTER)
    assert inspect(path, engine) == (
        "it is a Git LFS pointer, not the file itself",
        f"run git lfs pull --include={path}",
    )


@pytest.mark.parametrize("engine", ["OTHER", "MLSTATS"])
def test_of_engines_not_known_of_anything_may_be_a_model(file, engine):
    assert inspect(file(PICKLE), engine) == ()


def test_large_json_is_judged_by_its_ends(file):
    good = json.dumps({"text": "é" * 100, "list": [{"k": "v" * 50}] * 40_000}).encode()
    assert len(good) > 2**20
    assert inspect(file(good), "BIGML") == ()
    assert inspect(file(good[:-1]), "BIGML") == ("it is no whole JSON text (cut off)",)
    assert inspect(file(b'{"a" 1' + good), "BIGML") == ("it is no JSON: expecting ':' delimiter at line 1 column 6",)
    assert inspect(file(b'["' + b"x" * 2**21 + b'"]'), "BIGML") == ()


def test_a_large_model_is_not_read_through(file, tmp_path):
    size = 2**36
    opset, outputs = wire(8, wire(2, 13)), wire(12, tensor("y", FLOAT, 1))
    weight = b"\x4a" + varint(size)
    initializer = b"\x2a" + varint(len(weight) + size) + weight
    path = tmp_path / "large.onnx"
    with path.open("wb") as sparse:  # an initializer of 64 GiB, all holes
        head = wire(1, 9) + opset + b"\x3a" + varint(len(outputs) + len(initializer) + size) + outputs + initializer
        sparse.write(head)
        sparse.truncate(len(head) + size)
    assert inspect(str(path), "ONNX") == ()


@pytest.mark.parametrize(
    ("data", "name", "engine"),
    [
        (ONNX, "a.onnx", "ONNX"),
        (ONNX, "a", "ONNX"),
        (ONNX, "a.bin", None),
        (PICKLE, "a.onnx", None),
        (FIT["CATBOOST"], "a.cbm", "CATBOOST"),
        (FIT["CATBOOST"], "a.dat", "CATBOOST"),
        (MOJO, "a.zip", "H2O"),
        (zipped(a="x"), "a.zip", None),
        (BIGML, "a.json", "BIGML"),
        (b'{"a": 1}', "a.json", None),
        (POINTER, "a.onnx", "ONNX"),
        (POINTER, "a.CBM", "CATBOOST"),
        (POINTER, "a.json", None),
        (b"", "a.onnx", None),
        (b"# read me", "README", None),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,
)
def test_the_engine_is_guessed_only_where_it_is_sure(file, data, name, engine):
    assert guess_engine(file(data, name)) == engine


def test_files_that_cannot_be_read_are_faults(tmp_path):
    for path in (str(tmp_path), str(tmp_path / "gone")):
        with pytest.raises(FileError):
            inspect(path, "ONNX")
        with pytest.raises(FileError):
            guess_engine(path)
