"""Over pairs of real model files: the plan shows what the server's review of the upload then says, in every format."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from mmsync.client.error import TokenError
from mmsync.plan import Signatures, dump, plan_document
from mmsync.reconcile import Options
from mmsync.report.markdown import render
from mmsync.report.plan_text import render_plan
from mmsync.types import Shape
from support.applying import sha256
from support.fault_proxy import rewritten, status, without
from support.model_files import BOOL, FLOAT, INT32, INT64, MODEL_INI, STRING, bigml, mojo, onnx_model, tensor

MODELS = Path(__file__).parents[2] / "examples" / "quickstart" / "models"
onnx = pytest.importorskip("onnx")


def exported(inputs, output=FLOAT):
    """An ONNX model as the onnx package writes it, of inputs by name with their types."""
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("Identity", [name], [f"same_{name}"]) for name in inputs]
    nodes.append(onnx.helper.make_node("Cast", [next(iter(inputs))], ["y"], to=output))
    given = [value(name, kind, [None, 1]) for name, kind in inputs.items()]
    graph = onnx.helper.make_graph(nodes, "g", given, [value("y", output, [None, 1])])
    return onnx.helper.make_model(graph).SerializeToString()


def renamed(content: bytes, old: str, new: str) -> bytes:
    """A real CatBoost model with one feature's name written over, of the same length."""
    assert len(old) == len(new)
    was = struct.pack("<I", len(old)) + old.encode()
    assert content.count(was) == 1
    return content.replace(was, struct.pack("<I", len(new)) + new.encode())


RISK = (MODELS / "login_risk.cbm").read_bytes()
PROFILE = (MODELS / "login_profile.onnx").read_bytes()
RETRAINED = (MODELS.parent / "retrained" / "login_profile.onnx").read_bytes()
ODDS = (MODELS / "login_odds.zip").read_bytes()
DGA = (MODELS / "domain_dga.onnx").read_bytes()
BASE = exported({"amount": FLOAT, "country": STRING})
PAIRS = {
    "ONNX: retrained": ("ONNX", PROFILE, "ONNX", RETRAINED),
    "ONNX: another model": ("ONNX", PROFILE, "ONNX", DGA),
    "ONNX: an input added": ("ONNX", BASE, "ONNX", exported({"amount": FLOAT, "country": STRING, "hour": INT64})),
    "ONNX: an input removed": ("ONNX", BASE, "ONNX", exported({"amount": FLOAT})),
    "ONNX: an input retyped": ("ONNX", BASE, "ONNX", exported({"amount": INT32, "country": STRING})),
    "ONNX: inputs in another order": ("ONNX", BASE, "ONNX", exported({"country": STRING, "amount": FLOAT})),
    "ONNX: every input another": ("ONNX", BASE, "ONNX", exported({"colour": BOOL, "weight": FLOAT})),
    "ONNX: another output": ("ONNX", BASE, "ONNX", exported({"amount": FLOAT, "country": STRING}, output=INT64)),
    "ONNX: by hand": ("ONNX", BASE, "ONNX", onnx_model([tensor("amount", FLOAT, 0, 1)], [tensor("y", FLOAT, 0, 1)])),
    "MOJO: another category": ("H2O", mojo(), "H2O", mojo(MODEL_INI.replace("Binomial", "Regression"))),
    "MOJO: a column renamed": ("H2O", mojo(), "H2O", mojo(MODEL_INI.replace("country", "city"))),
    "MOJO: a column retyped": ("H2O", mojo(), "H2O", mojo(MODEL_INI.replace("1: 3 d000.txt\n", ""))),
    "MOJO: a real one": ("H2O", mojo(), "H2O", ODDS),
    "CatBoost: a feature renamed": ("CATBOOST", RISK, "CATBOOST", renamed(RISK, "failures", "mistakes")),
    "BigML to CatBoost": ("BIGML", bigml(), "CATBOOST", RISK),
    "ONNX to MOJO": ("ONNX", DGA, "H2O", ODDS),
    "CatBoost to ONNX": ("CATBOOST", RISK, "ONNX", DGA),
}


def differences(before: Shape, after: Shape):
    return Signatures(before, after).differences


def told(made):
    return [each for each in made.diagnostics if each.code.startswith("signature/")]


def only(values):
    (value,) = values
    return value


@pytest.mark.parametrize("is_remembered", [True, False], ids=["with a ledger", "without one"])
@pytest.mark.parametrize("pair", PAIRS)
def test_the_plan_shows_what_the_review_says(site, view, pair, is_remembered):
    engine, old, new_engine, new = PAIRS[pair]
    site.model("m", old, engine)
    site.apply()
    held = Shape.of(view.detail("m"))
    if not is_remembered:
        site.ledger.unlink()
    site.model("m", new, new_engine, allow_signature_change=True)
    made = site.plan()
    change = only(made.changes)
    review = Shape.of(view.upload(new, new_engine))
    assert change.signatures == (held, review)
    expected = differences(held, review)
    assert change.signatures.differences == expected
    written = only(json.loads(dump(plan_document(made, version="1")))["changes"])["signatures"]
    assert [(each["name"], each["type"]) for each in written["added"]] == list(expected.added)
    assert [(each["name"], each["type"]) for each in written["removed"]] == list(expected.removed)
    assert [(each["name"], each["before"], each["after"]) for each in written["retyped"]] == list(expected.retyped)
    assert (written["output_type"] and tuple(written["output_type"].values())) == expected.output
    text = render_plan(made, width=200)
    markdown = render(made)
    for name, kind in expected.added:
        assert f"+ {name} {kind}" in text
        assert f"input `{name}` `{kind}` added" in markdown
    for name, kind in expected.removed:
        assert f"- {name} {kind}" in text
        assert f"input `{name}` `{kind}` removed" in markdown
    for name, was, now in expected.retyped:
        assert f"~ {name} {was} → {now}" in text
        assert f"input `{name}` `{was}` → `{now}`" in markdown
    assert ("output type" in text) == ("output type" in markdown) == (expected.output is not None)
    assert ("inputs " in text) == bool(expected.added or expected.removed or expected.retyped)
    site.apply()
    assert Shape.of(view.detail("m")) == review


@pytest.mark.parametrize("pair", PAIRS)
def test_the_plan_blocks_what_apply_would_refuse_and_nothing_else(site, proxy, view, pair):
    engine, old, new_engine, new = PAIRS[pair]
    site.model("m", old, engine)
    site.apply()
    site.model("m", new, new_engine)
    made = site.plan()
    proxy.clear()
    outcome = only(site.apply_past_the_plan())
    assert (made.blocked == ("m",)) == (outcome.code == "signature")
    if made.blocked:
        diagnostic = only(told(made))
        assert (diagnostic.code, diagnostic.summary) == ("signature/break", f"m: {outcome.message}")
        assert not proxy.count("upload")
        assert view.digest("m") == sha256(old)


def test_a_plan_without_changes_asks_nothing_and_opens_no_file(site, proxy, monkeypatch):
    for number in range(20):
        site.model(f"m{number}", exported({"amount": FLOAT, f"x{number}": FLOAT}), "ONNX")
    site.apply()
    later = 4_000_000_000 * 10**9  # files are settled by then
    site.plan(now_ns=later)
    proxy.clear()
    monkeypatch.setattr("mmsync.files.digest.OPEN_FLAGS", -1)  # what is opened with them fails
    made = site.plan(now_ns=later)
    assert (len(made.unchanged), made.changes, told(made)) == (20, (), [])
    assert [(each.method, each.path) for each in proxy.exchanges] == [("GET", "/models")]


def test_changed_models_cost_no_request_where_the_ledger_knows_them_and_one_each_elsewhere(site, proxy):
    for number in range(4):
        site.model(f"m{number}", exported({"amount": FLOAT}), "ONNX")
    site.apply()
    for number in range(2):
        site.model(f"m{number}", exported({"amount": FLOAT, "hour": FLOAT}), "ONNX")
    site.plan()
    proxy.clear()
    assert len(site.plan().changes) == 2
    details = proxy.count("detail")
    # One each asks whether the list is behind; the signature is in the same answer, or in the ledger.
    assert details <= 2
    site.ledger.unlink()
    proxy.clear()
    made = site.plan(Options())
    assert [change.signatures.differences.added for change in made.changes] == [(("hour", "float8"),)] * 2
    assert proxy.count("detail") <= 4


@pytest.fixture
def known_and_not_ours(site, proxy, view):
    """Somebody's model under our name, whose content a plan has downloaded: the ledger has its digest, not its signature."""
    site.model("m", BASE, "ONNX")
    site.apply()
    theirs = exported({"amount": FLOAT, "nations": STRING})
    assert len(theirs) == len(BASE)
    view.put("m", theirs, "ONNX")
    assert only(site.plan().changes).evidence == "download"
    # Of the content last applied the detail would tell whether the list is behind; of a new one the ledger's word is enough.
    site.model("m", exported({"amount": FLOAT}), "ONNX", allow_signature_change=True)
    proxy.clear()
    return Shape.of(view.detail("m"))


def test_one_request_asks_for_the_signature_that_neither_ledger_nor_evidence_has(site, proxy, known_and_not_ours):
    change = only(site.plan().changes)
    assert change.evidence == "ledger"
    assert change.signatures.before == known_and_not_ours
    assert [(each.kind, each.name) for each in proxy.exchanges] == [("list", ""), ("detail", "m")]


@pytest.mark.parametrize(
    "fault",
    [
        status(500, {"msg": "boom"}),
        rewritten(lambda detail: {**detail, "image": {**detail["image"], "id": 999_999}}),
        rewritten(lambda _: None),
    ],
    ids=["an error", "another image", "gone"],
)
@pytest.mark.usefixtures("known_and_not_ours")
def test_a_signature_that_cannot_be_asked_for_is_unknown_and_the_plan_is_made(site, proxy, fault):
    proxy.on("detail", fault)
    change = only(site.plan().changes)
    assert proxy.count("detail", forwarded=False) == 1
    assert (change.reasons, change.signatures) == (("content",), None)


@pytest.mark.usefixtures("known_and_not_ours")
def test_a_token_refused_there_ends_the_plan(site, proxy):
    proxy.on("detail", status(403, {"code": 5, "msg": "Token invalid or expired"}))
    with pytest.raises(TokenError):
        site.plan()


def test_a_server_that_tells_nothing_leaves_one_side_unknown(site, proxy):
    proxy.on("detail", rewritten(without("fields", "outputType")))
    site.model("m", BASE, "ONNX")
    site.apply()
    site.ledger.unlink()
    site.model("m", exported({"amount": FLOAT}), "ONNX")
    assert only(site.plan().changes).signatures is None


def test_what_only_one_side_says_is_no_difference():
    known = Shape({"a": "str", "b": None}, "str")
    assert differences(known, Shape()) == differences(Shape(), known) == differences(known, known) == ((), (), (), None)
    assert differences(known, Shape({"a": None, "b": "str"})) == ((), (), (), None)
