"""What one change does to one model: what it keeps, what it refuses, and when it uploads nothing."""

from __future__ import annotations

import hashlib
import json
import os
import time
from unittest import mock

import pytest

from mmsync.apply.outcome import Progress
from mmsync.client._multipart import FileForm
from mmsync.reconcile import Options
from support.applying import json_bytes, sha256
from support.fault_proxy import Answer, rewritten, without


def bigml(*, drop=(), retype=None, target="categorical", note=""):
    """A BigML model with two inputs and an output, in JSON."""
    fields = {
        "000000": {"name": "amount", "optype": "numeric"},
        "000001": {"name": "country", "optype": "categorical"},
        "000002": {"name": "fraud", "optype": target},
    }
    for key, optype in (retype or {}).items():
        fields[key]["optype"] = optype
    kept = {key: value for key, value in fields.items() if key not in drop}
    return json.dumps({"object": {"objective_field": "000002", "model": {"fields": kept}}, "note": note}).encode()


def only(outcomes):
    (outcome,) = outcomes
    return outcome


def test_an_update_keeps_what_the_manifest_does_not_name(site, view):
    site.model("parent", bigml(note="parent"))
    site.model("m", bigml())
    site.apply()
    before = view.detail("m")
    view.edit("m", description="by hand", parentId=view.detail("parent")["id"])
    site.model("m", bigml(note="retrained"))
    assert only(site.apply()).status == "verified"
    after = view.detail("m")
    assert view.digest("m") == sha256(bigml(note="retrained"))
    assert (after["id"], after["description"]) == (before["id"], "by hand")
    assert after["parentId"] == view.detail("parent")["id"]
    assert after["hidden"] is False


def test_a_hidden_model_of_the_name_is_neither_replaced_nor_shown(site, view):
    """The list leaves it out, so it looks like one to be added; the look before the write finds it."""
    site.model("m", json_bytes("ours"))
    view.put("m", json_bytes("hidden"), hidden=True)
    outcome = only(site.apply())
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert "hidden" in outcome.message
    assert view.detail("m")["hidden"] is True
    assert view.digest("m") == sha256(json_bytes("hidden"))


@pytest.mark.parametrize("missing", ["id", "description", "hidden", "parentId"])
def test_a_detail_that_leaves_something_out_loses_nothing(site, proxy, view, missing):
    site.model("m", json_bytes("old"), description="kept")
    site.apply()
    site.model("m", json_bytes("new"))
    before = view.detail("m")
    proxy.on("detail", rewritten(without(missing)))
    assert only(site.apply()).status == "verified"
    after = view.detail("m")
    assert view.digest("m") == sha256(json_bytes("new"))
    for key in ("id", "description", "hidden", "parentId"):
        assert after[key] == before[key]


def test_a_model_whose_id_nothing_says_is_not_made_twice(site, proxy, view):
    site.model("m", json_bytes("old"))
    site.apply()
    site.model("m", json_bytes("new"))
    proxy.on("any", rewritten(without("id")))
    outcome = only(site.apply())
    assert (outcome.status, outcome.code) == ("failed", "server")
    assert "id" in outcome.message
    assert proxy.count("upload") == 1  # the first apply's
    assert view.names() == ["m"]


@pytest.mark.parametrize(("first", "then"), [(None, "text"), ("text", "other"), ("text", ""), ("", "ünï\ncode")])
def test_a_description_alone_uploads_nothing(site, proxy, view, first, then):
    site.model("m", bigml(), **({} if first is None else {"description": first}))
    site.apply()
    image = view.detail("m")["image"]
    site.entries["m"]["description"] = then
    proxy.clear()
    outcome = only(site.apply())
    assert (outcome.status, outcome.uploaded) == ("verified", 0)
    assert not proxy.seen("upload")
    detail = view.detail("m")
    assert (detail["description"] or "") == then
    assert detail["image"] == image
    assert [field["name"] for field in detail["fields"]] == ["amount", "country"]
    assert not site.plan().changes


def test_an_engine_a_server_never_shows_is_not_tried_again_by_itself(site, proxy, view):
    def shown(found):
        return (
            [{**row, "engine": "OTHER"} for row in found] if isinstance(found, list) else {**found, "engine": "OTHER"}
        )

    for kind in ("list", "detail", "bytes"):
        proxy.on(kind, rewritten(shown))
    site.model("m", bigml())
    outcome = only(site.apply())
    assert (outcome.status, outcome.code, outcome.permanent) == ("failed", "read-back", True)


def test_an_engine_the_server_shows_in_another_case_is_no_difference(site, proxy, view):
    def lower(found):
        return (
            [lower(row) for row in found] if isinstance(found, list) else {**found, "engine": found["engine"].lower()}
        )

    for kind in ("list", "detail", "bytes"):
        proxy.on(kind, rewritten(lower))
    site.model("m", bigml(), description="old")
    view.put("m", bigml(), description="old")
    assert not site.plan().changes
    site.model("m", bigml(note="new"), description="new")
    assert only(site.apply()).status == "verified"
    assert not site.plan().changes


def test_images_that_get_an_id_of_their_own_with_each_save_are_told_by_their_bytes(site, proxy, view):
    def shown(number):
        return None if number is None else number + 1000 * proxy.count("save")

    def renumbered(found):
        if isinstance(found, list):
            return [{**row, "imageId": shown(row["imageId"])} for row in found]
        return {**found, "image": {**found["image"], "id": shown(found["image"]["id"])}}

    def save(exchange):
        body = json.loads(exchange.body)
        body["image"]["id"] %= 1000
        exchange.body = json.dumps(body).encode()
        exchange.answer(exchange.forward())

    for kind in ("list", "detail", "bytes"):
        proxy.on(kind, rewritten(renumbered))
    proxy.on("save", save)
    site.model("m", bigml(), description="old")
    assert only(site.apply()).status == "verified"
    assert not site.plan().changes
    site.entries["m"]["description"] = "new"
    assert only(site.apply()).status == "verified"
    assert proxy.count("upload") == 1
    assert not site.plan().changes


def test_a_detail_without_the_engine_does_not_lose_it(site, proxy, view):
    site.model("m", bigml(), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"
    proxy.on("detail", rewritten(without("engine", "description")))
    assert only(site.apply()).status == "verified"
    assert proxy.count("upload") == 1
    assert view.detail("m")["engine"] == "BIGML"
    assert view.detail("m")["description"] == "new"


def test_fields_that_the_detail_leaves_out_are_not_lost_to_a_new_description(site, proxy, view):
    """A server may keep just what a save says."""
    site.model("m", bigml(), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"
    proxy.on("detail", rewritten(without("fields", "outputType")))
    assert only(site.apply()).status == "verified"
    first, second = (json.loads(exchange.body) for exchange in proxy.seen("save"))
    assert second["description"] == "new"
    for key in ("fields", "outputType"):
        assert second[key] == first[key] is not None


def test_a_server_that_refuses_to_save_an_old_image_gets_it_anew(site, proxy, view):
    site.model("m", bigml(), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"
    proxy.on("save", lambda exchange: exchange.answer(Answer(400, [], b'{"code": 7, "msg": "no image"}')), times=1)
    assert only(site.apply()).status == "verified"
    assert view.detail("m")["description"] == "new"


def test_a_description_is_saved_even_where_the_image_has_no_id(site, proxy, view):
    site.model("m", bigml(), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"
    proxy.on("detail", rewritten(without("image.id")))
    assert only(site.apply()).status == "verified"
    assert view.detail("m")["description"] == "new"
    assert view.digest("m") == sha256(bigml())


def test_content_replaced_while_a_description_is_saved_is_left_alone(site, proxy, view):
    site.model("m", bigml(), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"

    def meanwhile(exchange):
        answer = exchange.forward()
        view.put("m", json_bytes("theirs"))
        exchange.answer(answer)

    proxy.on("save", meanwhile)
    outcome = only(site.apply())
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert view.digest("m") == sha256(json_bytes("theirs"))


BROKEN = {
    "an input removed": (bigml(drop=["000001"]), "country"),
    "an input retyped": (bigml(retype={"000001": "numeric"}), "country"),
    "another output type": (bigml(target="numeric"), "output type"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_signature_stops_the_save_unless_the_manifest_allows_it(site, view, how):
    content, named = BROKEN[how]
    site.model("m", bigml())
    site.apply()
    site.model("m", content)
    outcome = only(site.apply_past_the_plan())
    assert (outcome.status, outcome.code, outcome.permanent) == ("skipped", "signature", True)
    assert named in outcome.message
    assert "allow_signature_change" in outcome.message
    assert view.digest("m") == sha256(bigml())
    site.entries["m"]["allow_signature_change"] = True
    assert only(site.apply()).status == "verified"
    assert view.digest("m") == sha256(content)


def test_a_new_input_breaks_nothing(site, view):
    site.model("m", bigml(drop=["000001"]))
    site.apply()
    site.model("m", bigml())
    assert only(site.apply()).status == "verified"
    assert view.digest("m") == sha256(bigml())


def test_a_pointer_is_planned_from_and_never_uploaded(site, proxy, view):
    content = json_bytes("real")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(content)}\nsize {len(content)}\n"
    site.model("m", content)
    site.apply()
    site.model("m", pointer.encode())
    proxy.clear()
    assert not site.plan().changes, "the pointer stands for what the server holds"
    view.put("m", json_bytes("drift"))
    outcome = only(site.apply())
    assert (outcome.status, outcome.code, outcome.permanent) == ("skipped", "lfs-pointer", True)
    assert "git lfs pull" in outcome.message
    assert not proxy.seen("upload")
    assert view.digest("m") == sha256(json_bytes("drift"))


def replaced(file, content):
    other = file.with_suffix(".new")
    other.write_bytes(content)
    other.replace(file)


def grown(file):
    with file.open("ab") as end:
        end.write(b" ")


CHANGED = {
    "replaced": lambda file: replaced(file, json_bytes("other")),
    "rewritten in place": lambda file: file.write_bytes(json_bytes("other")),
    "grown": grown,
    "shrunk": lambda file: os.truncate(file, 3),
    "removed": lambda file: file.unlink(),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_file_that_changes_after_the_plan_is_not_uploaded(site, proxy, view, how):
    site.model("m", json_bytes("planned"))
    site.model("n", json_bytes("other model"))

    def change(plan):
        CHANGED[how](site.folder / "m.json")

    first, second = site.apply(between=change)
    assert second.status == "verified"
    assert first.status == ("failed" if how == "removed" else "skipped")
    assert first.code == ("file" if how == "removed" else "file-changed")
    assert "m.json" in first.message
    assert not proxy.seen("upload", name="m.json")
    assert view.names() == ["n"]


@pytest.mark.parametrize("how", CHANGED)
def test_a_file_that_changes_while_it_is_uploaded_is_never_complete_on_the_server(site, proxy, view, how):
    file = site.model("m", json_bytes("planned", 3_000_000))
    done = []

    def change(event):
        if isinstance(event, Progress) and not done:
            done.append(event)
            CHANGED[how](file)

    def waits(exchange):
        raise AssertionError("the server was sent a whole request")

    proxy.on("upload", waits)
    with _slowly():
        outcome = only(site.apply(on_event=change))
    assert done
    assert (outcome.status, outcome.code) == ("skipped", "file-changed")
    assert view.names() == []


def _slowly():
    """The events reach the test while the upload still has most of its way to go."""
    real = FileForm._tell

    def tell(form, done):
        real(form, done)
        time.sleep(0.03)

    return mock.patch.object(FileForm, "_tell", tell)


def test_a_file_that_is_only_touched_is_uploaded(site, view):
    file = site.model("m", json_bytes("planned"))
    outcome = only(site.apply(between=lambda plan: os.utime(file, (1, 1))))
    assert outcome.status == "verified"
    assert view.digest("m") == sha256(json_bytes("planned"))


def test_what_the_server_refuses_is_that_models_and_permanent(site, view):
    site.model("bad", b"not json", inspect=False)
    site.model("good", json_bytes("good"))
    site.model("odd", json_bytes("odd"), engine="NOSUCH", inspect=False)
    bad, good, odd = site.apply()
    assert (bad.status, bad.code, bad.permanent) == ("failed", "refused", True)
    assert "JSON" in bad.message
    assert (odd.status, odd.code, odd.permanent) == ("failed", "unknown-engine", True)
    assert "NOSUCH" in odd.message
    assert good.status == "verified"
    assert view.names() == ["good"]


def test_an_engine_alone_is_changed_with_the_same_bytes(site, view):
    site.model("m", json_bytes("m"), engine="BIGML")
    site.apply()
    site.model("m", json_bytes("m"), engine="WORKFLOWS")
    (change,) = site.plan().changes
    assert change.reasons == ("engine",)
    assert only(site.apply()).status == "verified"
    assert view.detail("m")["engine"] == "WORKFLOWS"
    assert view.digest("m") == sha256(json_bytes("m"))


def test_deletes_come_last_and_spare_what_moved(site, proxy, view):
    site.models(3)
    site.apply()
    site.entries = {"zz": {"name": "zz", "engine": "BIGML", "file": "m000.json"}}
    options = Options(prune=True)

    def touch(plan):
        assert plan.orphans == ("m000", "m001", "m002")
        view.edit("m001", description="somebody still uses it")

    proxy.clear()
    outcomes = site.apply(options, between=touch)
    by_name = {outcome.change.name: outcome for outcome in outcomes}
    assert (by_name["m001"].status, by_name["m001"].code) == ("skipped", "stale")
    assert view.names() == ["m001", "zz"]
    kinds = [exchange.kind for exchange in proxy.exchanges if exchange.kind in ("save", "delete")]
    assert kinds[0] == "save" or len(kinds) == 3


def test_one_file_for_two_models_is_two_models(site, view):
    file = site.model("a", json_bytes("shared"))
    site.entries["b"] = {"name": "b", "engine": "WORKFLOWS", "file": file.name}
    assert {outcome.status for outcome in site.apply()} == {"verified"}
    assert view.digests() == dict.fromkeys("ab", hashlib.sha256(json_bytes("shared")).hexdigest())


@pytest.mark.parametrize("name", ["MY FIRST MODEL", "a/b", "../up", "100%", "ünïcødé", "q?x=1#f", "a+b", "%2F"])
def test_any_name_the_manifest_takes_is_planned_applied_and_found_again(site, view, name):
    site.entries[name] = {"name": name, "engine": "BIGML", "file": "x.json"}
    (site.folder / "x.json").write_bytes(json_bytes(name))
    assert only(site.apply()).status == "verified"
    assert view.names() == [name]
    assert not site.plan().changes
    site.ledger.unlink()
    assert not site.plan().changes
    site.entries[name]["description"] = "text"
    assert only(site.apply()).status == "verified"
