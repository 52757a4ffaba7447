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


def properties(part, path=""):
    """Every property of the schema, with its place, references followed."""
    for key, value in (part.get("properties") or {}).items():
        place = f"{path}/{key}"
        reference = value.get("$ref", "").rpartition("/")[2]
        yield place, schema()["$defs"][reference] if reference else value
        yield from properties(value, place)
    for key, value in (part.get("$defs") or {}).items():
        yield f"{path}/{key}", value
        yield from properties(value, f"{path}/{key}")


def test_every_property_is_described_with_examples_that_are_valid():
    whole = schema()
    found = dict(properties(whole))
    assert {"/server/auth_type", "/model/inspect", "/rule/name", "/defaults/engine", "/scope"} <= found.keys()
    for place, value in found.items():
        assert len(value.get("description", "")) > len("How."), place
        assert value.get("examples"), place
        within = {**value, "$defs": whole["$defs"]}
        for example in value["examples"]:
            jsonschema.Draft202012Validator(within).validate(example)
