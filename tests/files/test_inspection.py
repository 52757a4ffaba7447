from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import pickle
import time
import zipfile
from functools import partial
from pathlib import Path

import pytest

from mmsync.engines import EXTENSIONS
from mmsync.errors import FileError, WrongFormat
from mmsync.files import inspection as inspection_module
from mmsync.files.digest import digest_file
from mmsync.files.inspection import Inspection, examine, format_error, guess_engine, inspected
from mmsync.types import Desired, Source
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


class Fits:
    """A cache of what fits, in memory."""

    def __init__(self, *known):
        self.known = set(known)

    def fits(self):
        return self.known

    def learn_fits(self, found):
        self.known |= set(found)


def desired(name: str, path: str, engine: str, *, inspect: bool = True) -> Desired:
    return Desired(name, engine, path, path, None, None, False, Source("models.yaml", 1), inspect)


def test_what_was_inspected_while_it_was_hashed_is_not_opened_again(file):
    path = file(ONNX)
    models = [
        desired("fit", path, "ONNX"),
        desired("unfit", path, "H2O"),
        desired("known", path, "BIGML"),
        desired("passed", path, "CATBOOST", inspect=False),
    ]
    sha256 = hashlib.sha256(ONNX).hexdigest()
    cache = Fits((sha256, "BIGML"))
    inspection = Inspection(cache.fits())
    content = digest_file(path, while_open=partial(inspection.while_open, models))
    assert {engine: getattr(found, "reason", found) for (_, engine), found in inspection.results.items()} == {
        "ONNX": examine(path, "ONNX"),
        "H2O": "it is an ONNX model, not an H2O model",
    }
    contents = dict.fromkeys(("fit", "unfit", "known", "passed"), content)
    later = time.time_ns() + 10**10
    opened_again = inspected(models, contents, Fits(*cache.known), now_ns=later)
    Path(path).unlink()
    found = inspected(models, contents, cache, now_ns=later, results=inspection.results)
    assert {name: str(each) for name, each in found.items()} == {name: str(each) for name, each in opened_again.items()}
    assert isinstance(found["unfit"], WrongFormat)
    assert found["unfit"].is_incomplete == opened_again["unfit"].is_incomplete
    assert cache.known == {(sha256, "BIGML"), (sha256, "ONNX")}


def test_the_result_of_a_fresh_file_is_used_and_not_remembered(file):
    path = file(ONNX)
    models, cache, inspection = [desired("fit", path, "ONNX")], Fits(), Inspection()
    content = digest_file(path, while_open=partial(inspection.while_open, models))
    now_ns = content.key.mtime_ns
    assert inspected(models, {"fit": content}, cache, now_ns=now_ns, results=inspection.results) == {"fit": content}
    assert not cache.known


def test_the_result_of_a_file_that_was_replaced_is_not_taken(file):
    models, inspection = [desired("m", file(ONNX), "H2O")], Inspection()
    digest_file(models[0].path, while_open=partial(inspection.while_open, models))
    assert list(inspection.results.values()) != [None]
    Path(models[0].path).rename(models[0].path + ".old")
    content = digest_file(file(MOJO))
    found = inspected(models, {"m": content}, Fits(), now_ns=0, results=inspection.results)
    assert found == {"m": content}


def test_a_file_that_cannot_be_inspected_is_an_error_of_it(monkeypatch, file):
    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(inspection_module, "inspect", fails)
    inspection = Inspection()
    with pytest.raises(FileError, match="cannot be read: input/output error"):
        digest_file(path := file(ONNX), while_open=partial(inspection.while_open, [desired("m", path, "ONNX")]))
    assert not inspection.results


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
        (MOJO, "ONNX", "it is an H2O model (MOJO), not an ONNX model"),
        (b"\x08\x07\x10\x01", "ONNX", "it is no ONNX model (it has no IR version or no graph)"),
        (b"random text", "ONNX", "it is no ONNX model (the field at byte 2 reaches beyond the end)"),
        (b"random text", "CATBOOST", "it is no CatBoost model (CatBoost's begin with CBM1)"),
        (ONNX, "H2O", "it is an ONNX model, not an H2O model"),
        (MOJO[:-30], "H2O", "it is no whole zip archive (cut off)"),
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
