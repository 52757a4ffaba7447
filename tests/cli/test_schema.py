from __future__ import annotations

import json

import jsonschema
import pytest

from mmsync.manifest import schema
from support.commands import Shell


def test_it_prints_the_schema_that_ships_with_the_package(tmp_path, capsys, monkeypatch):
    ran = Shell(tmp_path, capsys, monkeypatch)("schema")
    assert (ran.code, ran.err) == (0, "")
    printed = json.loads(ran.out)
    assert printed == schema()
    jsonschema.Draft202012Validator.check_schema(printed)


def test_it_tells_a_good_manifest_from_a_bad_one(tmp_path, capsys, monkeypatch):
    printed = json.loads(Shell(tmp_path, capsys, monkeypatch)("schema").out)
    model = {"name": "a", "engine": "ONNX", "file": "a.onnx"}
    jsonschema.validate({"version": 1, "models": [model]}, printed)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 1, "models": [{**model, "engin": "ONNX"}]}, printed)
