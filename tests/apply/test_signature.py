"""A stranger's model under a managed name is undone, whatever it takes and answers; ours is what queries were written for."""

from __future__ import annotations

import json

import devo_ml.modelmanager as official
import pytest
from devo_ml.modelmanager.auth import create_auth_from_token

from mmsync.apply.preconditions import breaks
from mmsync.reconcile import Options
from mmsync.types import Shape
from support.applying import json_bytes, sha256
from support.fault_proxy import rewritten, without
from support.model_files import mojo, regression_onnx

# The official client leaves the model file open for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


def bigml(*inputs, target="categorical", note="", **kinds):
    """A BigML model with these inputs, numeric unless said otherwise, and an output."""
    fields = {name: {"name": name, "optype": kinds.get(name, "numeric")} for name in inputs}
    fields["label"] = {"name": "label", "optype": target}
    return json.dumps({"object": {"objective_field": "label", "model": {"fields": fields}}, "note": note}).encode()


OURS = bigml("amount", "country", country="categorical")
ROGUES = {
    "an input removed": ("BIGML", bigml("amount")),
    "other inputs": ("BIGML", bigml("colour", "weight")),
    "an input retyped": ("BIGML", bigml("amount", "country")),
    "another output type": ("BIGML", bigml("amount", "country", country="categorical", target="numeric")),
    "no inputs at all": ("BIGML", json_bytes("rogue")),
    "another engine": ("ONNX", regression_onnx()),
    "a third engine": ("H2O", mojo()),
    "more inputs": ("BIGML", bigml("amount", "country", "extra", country="categorical")),
    "the same signature": ("BIGML", bigml("amount", "country", country="categorical", note="rogue")),
}


@pytest.fixture
def rogue(server, tmp_path):
    """Somebody with the official client: replaces the model ``m`` by force."""
    client = official.Client(server.url, create_auth_from_token(server.token, "standalone"))

    def put(engine, content):
        file = tmp_path / "rogue.bin"
        file.write_bytes(content)
        client.add_model("m", engine, str(file), force=True)

    return put


def only(outcomes):
    (outcome,) = outcomes
    return outcome


@pytest.mark.parametrize("how", ROGUES)
def test_a_rogue_model_is_undone(site, proxy, view, rogue, how):
    site.model("m", OURS)
    site.apply()
    rogue(*ROGUES[how])
    assert view.digest("m") == sha256(ROGUES[how][1])
    outcome = only(site.apply())
    assert (outcome.status, outcome.code) == ("verified", ""), outcome.message
    assert view.digest("m") == sha256(OURS)
    assert [field["name"] for field in view.detail("m")["fields"]] == ["amount", "country"]
    gone = how in ("other inputs", "another engine", "a third engine", "more inputs", "an input retyped")
    assert ("restored; drift had changed its" in outcome.message) == (gone or how == "another output type")
    assert not site.plan().changes


def test_a_rogue_that_deletes_the_model_and_adds_its_own_is_undone(site, view):
    site.model("m", OURS)
    site.apply()
    view.delete("m")
    view.put("m", bigml("colour"))
    outcome = only(site.apply())
    assert outcome.status == "verified"
    assert outcome.message == "restored; drift had changed its inputs"
    assert view.digest("m") == sha256(OURS)


def test_content_that_was_found_there_and_wanted_is_restored_as_well(site, view, rogue):
    """mmsync never sent it: the first plan, without a ledger, downloaded and verified it."""
    view.put("m", OURS)
    site.model("m", OURS)
    assert not site.plan().changes
    rogue("BIGML", bigml("colour"))
    assert only(site.apply()).status == "verified"
    assert view.digest("m") == sha256(OURS)


def test_a_retrained_model_replaces_a_rogue_where_it_keeps_our_signature(site, view, rogue):
    site.model("m", OURS)
    site.apply()
    rogue("BIGML", bigml("colour"))
    site.model("m", bigml("amount", "country", country="categorical", note="retrained"))
    outcome = only(site.apply())
    assert (outcome.status, outcome.message) == ("verified", "drift had changed its inputs")


def test_what_a_rogue_left_there_excuses_no_break_of_our_signature(site, proxy, view, rogue):
    site.model("m", OURS)
    site.apply()
    rogue("BIGML", bigml("amount"))
    site.model("m", bigml("amount", note="new"))
    proxy.clear()
    outcome = only(site.apply_past_the_plan())
    assert (outcome.status, outcome.code, outcome.permanent) == ("skipped", "signature", True)
    assert "input country is gone" in outcome.message
    assert not proxy.seen("upload")


def test_content_verified_before_is_put_back_also_where_the_signature_was_let_change(site, view):
    site.model("m", OURS)
    site.apply()
    site.model("m", bigml("amount", "colour"), allow_signature_change=True)
    site.apply()
    site.model("m", OURS)
    outcome = only(site.apply())
    assert outcome.status == "verified"
    assert outcome.message == "restored content verified before; input colour is gone"


BROKEN = {
    "an input removed": (bigml("amount"), "input country is gone"),
    "an input retyped": (bigml("amount", "country"), "input country is float8, was str"),
    "another output type": (ROGUES["another output type"][1], "the output type is float8, was str"),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("is_told", [True, False], ids=["the server tells", "the server tells nothing"])
def test_a_signature_that_will_be_refused_is_refused_before_the_upload(site, proxy, view, how, is_told):
    content, named = BROKEN[how]
    if not is_told:
        for kind in ("detail", "upload"):
            proxy.on(kind, rewritten(without("fields", "outputType")))
    site.model("m", OURS)
    site.apply()
    site.model("m", content)
    sent = proxy.count("upload")
    outcome = only(site.apply_past_the_plan())
    assert (outcome.status, outcome.code, outcome.uploaded) == ("skipped", "signature", 0)
    assert named in outcome.message
    assert proxy.count("upload") == sent
    made = site.plan()
    assert (made.blocked, made.changes) == (("m",), ())
    assert [(each.code, each.summary) for each in made.diagnostics] == [("signature/break", f"m: {outcome.message}")]
    assert site.apply() == ()
    assert view.digest("m") == sha256(OURS)


def test_a_server_that_names_types_its_own_way_gets_its_retrained_models(site, proxy, view):
    def named_otherwise(found):
        fields = [{**field, "type": "number", "name": field["name"].upper()} for field in found.get("fields") or []]
        return {**found, "fields": fields, "outputType": "text"}

    for kind in ("detail", "upload", "bytes"):
        proxy.on(kind, rewritten(named_otherwise))
    site.model("m", OURS)
    site.apply()
    for note in ("with a ledger", "without one"):
        site.model("m", bigml("amount", "country", country="categorical", note=note))
        assert only(site.apply()).status == "verified"
        site.ledger.unlink()


@pytest.mark.parametrize("pin", [False, True], ids=["plain", "pinned"])
@pytest.mark.parametrize(
    ("theirs", "uploads"),
    [(bigml("amount", "country", "extra", country="categorical"), 0), (bigml("colour"), 1)],
    ids=["told by the file", "told by the review"],
)
def test_without_a_ledger_it_is_said_what_is_known_and_which_key_goes_on(
    site, proxy, view, rogue, theirs, uploads, pin
):
    site.model("m", OURS, **({"sha256": sha256(OURS)} if pin else {}))
    site.apply()
    site.ledger.unlink()
    rogue("BIGML", theirs)
    made = site.plan()
    assert made.blocked == (() if uploads else ("m",))
    proxy.clear()
    outcome = only(site.apply_past_the_plan())
    assert (outcome.status, outcome.code, outcome.permanent) == ("skipped", "signature", True)
    warned = [each for each in made.diagnostics if each.code.startswith("signature/")]
    assert [each.code for each in warned] == ["signature/may-break" if uploads else "signature/break"]
    assert (warned[0].summary == f"m: {outcome.message}") == (not uploads)
    assert "nothing is known here of an earlier one" in outcome.message
    assert "allow_signature_change: true on the model sends the file all the same" in outcome.message
    assert ("the one that the manifest pins" in outcome.message) == pin
    assert proxy.count("upload") == uploads
    assert view.digest("m") == sha256(theirs)
    site.entries["m"]["allow_signature_change"] = True
    assert only(site.apply()).status == "verified"
    assert view.digest("m") == sha256(OURS)


def test_the_plan_shows_the_rogue_and_the_command_line_says_what_was_restored(site, view, rogue):
    site.model("m", OURS)
    assert site.run("apply").returncode == 0
    rogue("BIGML", bigml("colour"))
    planned = site.run("plan", "--detailed-exitcode")
    assert planned.returncode == 2
    done = site.run("apply")
    assert done.returncode == 0
    assert "restored; drift had changed its inputs" in done.stdout
    assert view.digest("m") == sha256(OURS)


def test_verifying_always_blames_nobody_for_our_own_content(site, view):
    site.model("m", OURS)
    site.apply()
    site.model("m", bigml("amount", note="shorter"), allow_signature_change=True)
    assert only(site.apply(Options(verify="always"))).message == ""


def test_what_is_not_known_is_not_compared():
    known = Shape({"a": "str"}, "float8")
    assert breaks(Shape(), known) == breaks(known, Shape()) == breaks(known, known) == ()
    assert breaks(known, Shape({"a": None})) == ()
    assert breaks(known, Shape({})) == ("input a is gone",)
