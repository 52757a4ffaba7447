"""The plan document: its keys, its digest, and what it says of a world that moved."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mmsync.errors import PlanRefused
from mmsync.plan import (
    After,
    Before,
    Change,
    Plan,
    Selection,
    differences,
    dump,
    plan_digest,
    plan_document,
    read_document,
    saved_options,
)
from mmsync.types import Diagnostic, ServerName, Source

BEFORE = Before(3, "ONNX", "old", 7, 2000, "b" * 64, 12)
AFTER = After("ONNX", "new", "m.onnx", "a" * 64, 10)
CHANGE = Change("m", "change", ("content", "description"), BEFORE, AFTER, "ledger", Source("models.yaml", 4, 5))
ADD = Change("n", "add", (), None, AFTER, "none", Source("models.yaml", 9, 5))
SAME = Change("z", "none", (), BEFORE, AFTER, "ledger", Source("models.yaml", 12, 5))
PLAN = Plan(
    ServerName("https://models.example", ""),
    ("models.yaml",),
    (CHANGE, ADD),
    (SAME,),
    diagnostics=(Diagnostic("warning", "manifest/x", "odd", "do this", Source("models.yaml", 1, 2)),),
)


def test_the_document_has_exactly_the_keys_users_script_against():
    document = plan_document(PLAN, version="1.2.3")
    assert list(document) == [
        "format_version", "mmsync_version", "server", "manifests", "digest", "summary", "changes", "diagnostics",
        "options",
    ]  # fmt: skip
    assert document["format_version"] == "1"
    assert document["server"] == {"url": "https://models.example", "domain": ""}
    assert list(document["summary"]) == [
        "add", "change", "delete", "unchanged", "unmanaged", "orphans", "blocked", "unknown", "upload_bytes",
    ]  # fmt: skip
    assert document["changes"][0] == {
        "name": "m",
        "action": "change",
        "reasons": ["content", "description"],
        "before": {
            "id": 3,
            "engine": "ONNX",
            "description": "old",
            "image_id": 7,
            "update_date": 2000,
            "sha256": "b" * 64,
            "size": 12,
        },
        "after": {"engine": "ONNX", "description": "new", "file": "m.onnx", "sha256": "a" * 64, "size": 10},
        "evidence": "ledger",
        "source": {"file": "models.yaml", "line": 4},
        "signatures": None,
        "renamed_from": None,
    }
    assert document["diagnostics"] == [
        {
            "severity": "warning",
            "code": "manifest/x",
            "summary": "odd",
            "detail": "do this",
            "file": "models.yaml",
            "line": 1,
            "column": 2,
        }
    ]


def test_all_adds_the_unchanged_ones_with_action_none():
    names = {change["name"]: change["action"] for change in plan_document(PLAN, version="1", show_all=True)["changes"]}
    assert names == {"m": "change", "n": "add", "z": "none"}


def test_the_same_plan_is_the_same_bytes_and_reads_back():
    text = dump(plan_document(PLAN, version="1"))
    assert text == dump(plan_document(dataclasses.replace(PLAN), version="1"))
    assert text.isascii()
    assert read_document(text, "plan.json")["digest"] == plan_digest(PLAN)
    assert differences(read_document(text, "plan.json"), PLAN) == ()


def test_the_digest_does_not_depend_on_how_the_content_is_known():
    before = BEFORE._replace(sha256=None, size=None)
    cold = dataclasses.replace(PLAN, changes=(dataclasses.replace(CHANGE, before=before, evidence="size"), ADD))
    assert plan_digest(cold) == plan_digest(PLAN)


@pytest.mark.parametrize(
    "changes",
    [
        (CHANGE,),
        (dataclasses.replace(CHANGE, after=AFTER._replace(sha256="c" * 64)), ADD),
        (dataclasses.replace(CHANGE, before=BEFORE._replace(image_id=8)), ADD),
        (dataclasses.replace(CHANGE, before=BEFORE._replace(update_date=2001)), ADD),
        (dataclasses.replace(CHANGE, reasons=("content",)), ADD),
    ],
)
def test_the_digest_changes_with_what_would_be_written(changes):
    now = dataclasses.replace(PLAN, changes=changes)
    assert plan_digest(now) != plan_digest(PLAN)
    saved = read_document(dump(plan_document(PLAN, version="1")), "plan.json")
    assert differences(saved, now)


def test_another_server_is_another_plan():
    saved = read_document(dump(plan_document(PLAN, version="1")), "plan.json")
    (line,) = differences(saved, dataclasses.replace(PLAN, server=ServerName("https://other.example", "d")))
    assert line == "the server is https://other.example domain d, the plan is for https://models.example"


def test_what_moved_is_said_by_name_and_field():
    saved = read_document(dump(plan_document(PLAN, version="1")), "plan.json")
    now = dataclasses.replace(
        PLAN, changes=(dataclasses.replace(CHANGE, before=BEFORE._replace(image_id=8, engine="H2O")),)
    )
    assert differences(saved, now) == (
        'm: before engine was "ONNX", is "H2O"; before image_id was 7, is 8',
        "n: planned to add, now neither listed nor to be deleted",
    )


def test_an_image_id_that_the_server_leaves_out_makes_the_content_part_of_the_digest():
    nameless = dataclasses.replace(CHANGE, before=BEFORE._replace(image_id=None))
    other = dataclasses.replace(CHANGE, before=BEFORE._replace(image_id=None, sha256="d" * 64))
    digests = {plan_digest(dataclasses.replace(PLAN, changes=(change,))) for change in (nameless, other)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"format_version": "1"}', '"x"', '{"format_version": "1", "changes": 3}'],
)
def test_what_is_no_plan_document_is_refused_in_one_sentence(text):
    with pytest.raises(PlanRefused, match="is not a plan document"):
        read_document(text, "plan.json")


def test_another_format_version_is_refused():
    document = plan_document(PLAN, version="1") | {"format_version": "2"}
    with pytest.raises(PlanRefused, match="plan format '2'"):
        read_document(json.dumps(document), "plan.json")


def test_an_edited_plan_is_refused():
    document = plan_document(PLAN, version="1")
    document["changes"][0]["after"]["sha256"] = "0" * 64
    with pytest.raises(PlanRefused, match="edited after it was saved"):
        read_document(json.dumps(document), "plan.json")


def test_the_options_of_a_partial_plan_come_back():
    from mmsync.plan import Situation, compare

    selection = Selection(("it's a *",), ("b c", "--prune"), (2, 5))
    plan = compare(Situation(PLAN.server, ("models.yaml",), [], {}, {}, {}), selection=selection, prune=True)
    document = plan_document(plan, version="1")
    assert document["options"] == {
        "target": ["it's a *"],
        "exclude": ["b c", "--prune"],
        "shard": [2, 5],
        "prune": True,
    }
    assert saved_options(document) == (selection, True)
    del document["options"]  # as mmsync 0.1.0 saved it, with the flags in the text of a diagnostic
    assert saved_options(document) == (selection, True)


@pytest.mark.parametrize(
    "options",
    [None, [], {}, {"target": "x"}, {"target": [1], "exclude": [], "shard": None, "prune": False}]
    + [{"target": [], "exclude": [], "shard": shard, "prune": True} for shard in (3, [], [1], [1, 2, 3], ["a", "b"])],
)
def test_options_of_another_form_make_it_no_plan_document(options):
    document = plan_document(PLAN, version="1") | {"options": options}
    with pytest.raises(PlanRefused, match="is not a plan document"):
        read_document(json.dumps(document), "plan.json")
