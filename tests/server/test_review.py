"""What each engine takes, and what a review finds in it."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import sys
import tracemalloc
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from mmsync.server.review import Review, review
from support.model_files import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    MODEL_INI,
    STRING,
    bigml,
    catboost,
    field,
    mojo,
    onnx_model,
    regression_onnx,
    tensor,
    zipped,
)

ENGINES = ["ONNX", "H2O", "BIGML", "CATBOOST", "DT", "IDA", "MLSTATS", "MUA", "UNICODE", "WORKFLOWS"]


@pytest.fixture
def reviewed(tmp_path):
    def look(engine: str, content: bytes) -> Review:
        path = tmp_path / "model"
        path.write_bytes(content)
        return review(path, engine)

    return look


@pytest.fixture
def without_onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)


def fields(found: Review) -> list[tuple[str, str]]:
    assert found.valid, found.error_detail
    return [(field["name"], field["type"]) for field in found.fields]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_empty_file_is_no_model(reviewed, engine):
    assert reviewed(engine, b"").error_detail == "The file is empty"


@pytest.mark.parametrize(
    ("engine", "content"),
    [
        ("ONNX", regression_onnx()),
        ("H2O", mojo()),
        ("BIGML", bigml()),
        ("CATBOOST", catboost()),
        ("CATBOOST", b"CBM1\x08\0\0\0whatever follows"),
        ("DT", b"{}"),
        ("DT", zipped({"tree.json": "{}"})),
        ("IDA", b"[1, 2]"),
        ("IDA", zipped({"ida.json": "{}"})),
        ("MLSTATS", b"\0"),
        ("MUA", zipped({"a": ""})),
        ("UNICODE", zipped({"a": ""})),
        ("WORKFLOWS", b'\xef\xbb\xbf {"a": "\xc3\xa9"}\n'),
    ],
)
def test_a_file_of_its_engine_is_taken(reviewed, engine, content):
    found = reviewed(engine, content)
    assert found.error_detail is None
    assert len(content) <= found.runtime_size < 20 * len(content) + 1000


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "MLSTATS"])
@pytest.mark.parametrize(
    "content",
    [b"\0" * 100, b"hello world", b"PK", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 10, b"CBM", b"{", b"5", b'"s"'],
)
def test_what_is_not_of_the_engine_is_refused_with_a_reason(reviewed, engine, content):
    found = reviewed(engine, content)
    assert not found.valid
    assert found.error_detail
    assert "/" not in found.error_detail


class TestOnnx:
    @pytest.mark.parametrize("extra", ["with onnx", "without onnx"])
    def test_inputs_are_fields_of_their_type(self, reviewed, request, extra):
        if extra == "without onnx":
            request.getfixturevalue("without_onnx")
        kinds = {"f": FLOAT, "d": DOUBLE, "i": INT32, "l": INT64, "s": STRING, "b": BOOL}
        inputs = [tensor(name, kind, 0, 1) for name, kind in kinds.items()]
        found = reviewed("ONNX", onnx_model(inputs, [tensor("out", FLOAT, 0, 1)]))
        expected = [("f", "float8"), ("d", "float8"), ("i", "int4"), ("l", "int8"), ("s", "str"), ("b", "bool")]
        assert fields(found) == expected
        assert (found.category, found.output_type) == ("Regression", "float8")

    def test_a_label_with_probabilities_is_a_classifier(self, reviewed, without_onnx):
        for classes, category in ((2, "Binomial"), (3, "Multinomial")):
            outputs = [tensor("label", STRING, 0), tensor("probabilities", FLOAT, 0, classes)]
            found = reviewed("ONNX", onnx_model([tensor("x", FLOAT, 0, 4)], outputs))
            assert (found.category, found.output_type) == (category, "str")

    def test_the_classes_of_a_zipmap_are_counted(self, reviewed, without_onnx):
        sequence_of_maps = field(2, field(4, field(1, field(5, field(1, INT64) + field(2, field(1, field(1, FLOAT)))))))
        outputs = [tensor("output_label", INT64, 0), field(1, "output_probability") + sequence_of_maps]
        for packed in (field(8, bytes([0, 1])), field(8, 0) + field(8, 1)):
            labels = field(1, "classlabels_int64s") + packed
            zipmap = field(1, field(4, "ZipMap") + field(5, labels))
            found = reviewed("ONNX", onnx_model([tensor("x", FLOAT, 0, 4)], outputs, extra=zipmap))
            assert (found.category, found.output_type) == ("Binomial", "int8")

    def test_a_label_with_scores_is_a_clustering(self, reviewed, without_onnx):
        outputs = [tensor("label", INT64, 0), tensor("scores", FLOAT, 0, 3)]
        found = reviewed("ONNX", onnx_model([tensor("x", FLOAT, 0, 4)], outputs))
        assert (found.category, found.output_type) == ("Clustering", "int8")

    def test_weights_listed_as_inputs_are_no_fields(self, reviewed, without_onnx):
        weight = field(5, field(8, "w") + field(2, FLOAT))
        model = onnx_model([tensor("x", FLOAT, 1), tensor("w", FLOAT, 1)], [tensor("y", FLOAT, 1)], extra=weight)
        assert fields(reviewed("ONNX", model)) == [("x", "float8")]

    @pytest.mark.parametrize("extra", ["with onnx", "without onnx"])
    def test_cut_off_anywhere_it_is_refused(self, reviewed, request, extra):
        if extra == "without onnx":
            request.getfixturevalue("without_onnx")
        model = onnx_model([tensor("x", FLOAT, 0, 1)], [tensor("y", FLOAT, 0, 1)])
        graph_ends = len(model) - len(field(8, field(1, "") + field(2, 13)))
        for length in range(1, graph_ends):
            assert not reviewed("ONNX", model[:length]).valid, length

    def test_one_byte_of_a_weight_makes_it_another_model_not_a_bad_one(self, reviewed):
        assert reviewed("ONNX", regression_onnx(b"\0\0\0\x01")).valid
        assert reviewed("ONNX", regression_onnx(b"\xff\xff\xff\xff")).valid

    @pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs the extra onnx")
    def test_with_the_package_an_inconsistent_graph_is_refused(self, reviewed):
        dangling = field(1, field(1, "nowhere") + field(2, "z") + field(4, "Identity"))
        model = onnx_model([tensor("x", FLOAT, 1)], [tensor("y", FLOAT, 1)], extra=dangling)
        assert "inconsistent" in (reviewed("ONNX", model).error_detail or "")

    @pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs the extra onnx")
    def test_a_model_newer_than_the_package_is_taken(self, reviewed):
        assert reviewed("ONNX", onnx_model([tensor("x", FLOAT, 1)], [tensor("y", FLOAT, 1)], ir_version=99)).valid

    def test_a_large_model_is_not_held_in_memory(self, reviewed):
        reviewed("ONNX", regression_onnx())  # whatever it imports is imported now
        model = onnx_model([tensor("x", FLOAT, 1)], [tensor("y", FLOAT, 1)], extra=field(5, field(9, bytes(50 << 20))))
        tracemalloc.start()
        try:
            assert reviewed("ONNX", model).valid
            assert tracemalloc.get_traced_memory()[1] < 2 << 20
        finally:
            tracemalloc.stop()


class TestMojo:
    def test_columns_become_fields(self, reviewed):
        found = reviewed("H2O", mojo())
        assert fields(found) == [("amount", "float8"), ("country", "str"), ("hour", "float8")]
        assert (found.category, found.output_type) == ("Binomial", "str")

    @pytest.mark.parametrize(
        ("category", "output"), [("Regression", "float8"), ("Clustering", "int4"), ("Future", None)]
    )
    def test_the_category_is_h2os(self, reviewed, category, output):
        found = reviewed("H2O", mojo(MODEL_INI.replace("Binomial", category)))
        assert (found.category, found.output_type) == (category, output)

    def test_a_zip_without_model_ini_is_refused(self, reviewed):
        assert "model.ini" in (reviewed("H2O", zipped({"other": "x"})).error_detail or "")

    def test_a_model_ini_that_is_none_is_refused(self, reviewed):
        for content in (b"", b"nothing of the kind", b"\xff\xfe\x00"):
            assert not reviewed("H2O", zipped({"model.ini": content})).valid

    def test_a_zip_bomb_is_not_unpacked(self, reviewed):
        bomb = zipped({"model.ini": b"[columns]\n" + bytes(64 << 20)})
        tracemalloc.start()
        try:
            found = reviewed("H2O", bomb)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert "larger than" in (found.error_detail or "")
        assert peak < 16 << 20

    def test_a_directory_that_claims_to_be_enormous_is_refused(self, reviewed):
        content = bytearray(mojo())
        at = content.rfind(b"PK\x05\x06")
        struct.pack_into("<L", content, at + 12, 0x7FFFFFFF)
        assert not reviewed("H2O", bytes(content)).valid

    def test_an_encrypted_or_damaged_entry_is_refused(self, reviewed):
        content = bytearray(mojo())
        content[6] |= 1  # the encryption flag, in the local header and in the directory
        content[content.index(b"PK\x01\x02") + 8] |= 1
        assert not reviewed("H2O", bytes(content)).valid
        stored = bytearray(zipped({"model.ini": MODEL_INI}, compression=zipfile.ZIP_STORED))
        stored[stored.index(b"gbm")] ^= 1
        assert not reviewed("H2O", bytes(stored)).valid


class TestJson:
    def test_bigml_inputs_are_fields(self, reviewed):
        found = reviewed("BIGML", bigml())
        assert fields(found) == [("sepal", "float8"), ("colour", "str")]
        assert (found.category, found.output_type) == ("Multinomial", "str")

    @pytest.mark.parametrize(
        "document",
        [
            {}, [], {"object": 5}, {"object": {"model": []}}, {"model": {"fields": {"a": 5, "b": {}}}},
            {"objective_field": ["x"], "model": {"fields": {"x": {"optype": 5}}}},
        ],
    )  # fmt: skip
    def test_a_bigml_document_of_another_shape_is_taken_as_json(self, reviewed, document):
        assert reviewed("BIGML", json.dumps(document).encode()).valid

    @pytest.mark.parametrize("content", [b"{]", b"[" * 100_000, b"{} {}", b"\xff\xff", b'{"a": 1,}'])
    def test_what_does_not_parse_is_refused(self, reviewed, content):
        assert "JSON" in (reviewed("WORKFLOWS", content).error_detail or "")

    def test_a_very_large_document_is_checked_by_its_outline(self, reviewed):
        filler = b'"' + b"x" * (9 << 20) + b'"'
        assert reviewed("WORKFLOWS", b' {"a": ' + filler + b"}\n").valid
        assert not reviewed("WORKFLOWS", b' {"a": ' + filler).valid
        assert not reviewed("WORKFLOWS", filler).valid


@pytest.mark.parametrize("engine", ENGINES)
@given(noise=st.binary(max_size=300), place=st.integers(0, 400), original=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_whatever_break_a_review(reviewed, monkeypatch, engine, noise, place, original):
    monkeypatch.setitem(sys.modules, "onnx", None)
    models = {"ONNX": regression_onnx(), "H2O": mojo(), "CATBOOST": catboost(), "MUA": mojo(), "BIGML": bigml()}
    content = bytearray(models.get(engine, b"{}") if original else os.urandom(16))
    content[place : place + len(noise)] = noise
    found = reviewed(engine, bytes(content))
    assert found.valid is (found.error_detail is None)
