"""Many changes: one list request stands for the details of those that come within half a second, and is as strict."""

from __future__ import annotations

import json
import threading

import pytest

from mmsync.apply import reread
from support.applying import json_bytes, sha256
from support.fault_proxy import late, status

MANY = 24


HALF_A_SECOND = reread.FRESH


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch):
    """On a busy machine half a second may pass between any two lines: here what was read stays fresh for a minute."""
    monkeypatch.setattr(reread, "FRESH", 60.0)


@pytest.fixture
def synced(site):
    """Many models as the manifest has them, whose files then all change."""
    names = site.models(MANY)
    site.apply()
    for name in names:
        site.model(name, json_bytes(f"{name} anew"))
    return names


def rest(outcomes, name):
    return {outcome.status for outcome in outcomes if outcome.change.name != name}


def test_many_adds_ask_for_no_model_of_its_own(site, proxy, view):
    site.models(MANY)
    outcomes = site.apply()
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert not proxy.seen("detail")
    assert view.digests() == site.digests()


def test_many_replacements_ask_for_each_once(site, synced, proxy, view):
    before = proxy.count("detail")
    outcomes = site.apply()
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert proxy.count("detail") - before == MANY, "the last look before each save"
    assert view.digests() == site.digests()


def test_few_changes_are_read_one_by_one(site, proxy):
    site.models(reread._WORTH_A_LIST - 1)
    site.apply()
    assert proxy.count("detail") == reread._WORTH_A_LIST - 1


def test_a_model_made_outside_meanwhile_is_left_as_it_is(site, proxy, view):
    first, *_ = site.models(MANY)
    outcomes = site.apply(between=lambda _: view.put(first, json_bytes("theirs")))
    (outcome,) = (outcome for outcome in outcomes if outcome.change.name == first)
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert view.digest(first) == sha256(json_bytes("theirs"))
    assert rest(outcomes, first) == {"verified"}
    assert proxy.count("upload") == MANY - 1, "what is refused is not sent"


def test_a_hidden_model_of_the_name_is_left_as_it_is(site, view):
    first, *_ = site.models(MANY)
    view.put(first, json_bytes("theirs"), hidden=True)
    outcomes = site.apply()
    (outcome,) = (outcome for outcome in outcomes if outcome.change.name == first)
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert "hidden" in outcome.message
    assert view.digest(first) == sha256(json_bytes("theirs"))
    assert view.detail(first)["hidden"] is True
    assert rest(outcomes, first) == {"verified"}


@pytest.mark.parametrize("act", ["replaced", "described", "deleted", "hidden"])
def test_a_model_touched_outside_meanwhile_is_left_as_it_is(site, synced, proxy, view, act):
    name, before = synced[0], proxy.count("upload")

    def touch(_):
        match act:
            case "replaced":
                view.put(name, json_bytes("theirs"))
            case "described":
                view.edit(name, description="theirs")
            case "deleted":
                view.delete(name)
            case "hidden":
                view.edit(name, hidden=True)

    outcomes = site.apply(between=touch)
    there = view.detail(name)
    (outcome,) = (outcome for outcome in outcomes if outcome.change.name == name)
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert bool(there) == (act != "deleted")
    if act == "replaced":
        assert view.digest(name) == sha256(json_bytes("theirs"))
    assert rest(outcomes, name) == {"verified"}
    assert proxy.count("upload") - before == MANY - 1


def test_a_list_that_is_behind_is_not_believed_where_it_shows_a_change(site, synced, proxy, view):
    # What it shows of every model is not what the plan saw, and not what is there.
    behind = [{**row, "updateDate": row["updateDate"] - 1} for row in view.rows()]
    proxy.on("list", status(200, behind), skip=1, times=1)
    outcomes = site.apply()
    assert {outcome.status for outcome in outcomes} == {"verified"}


def test_rows_that_do_not_say_all_are_looked_at_in_detail(site, synced, proxy, view):
    rows = [{key: value for key, value in row.items() if key != "imageId"} for row in view.rows()]
    name, before = synced[0], proxy.count("detail")
    theirs = {row["name"]: row for row in rows}
    proxy.on("list", status(200, rows), skip=1, times=1)

    def replace_keeping_the_date(_):
        view.put(name, json_bytes("theirs"))
        theirs[name]["updateDate"] = next(row["updateDate"] for row in view.rows() if row["name"] == name)

    outcomes = site.apply(between=replace_keeping_the_date)
    (outcome,) = (outcome for outcome in outcomes if outcome.change.name == name)
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert proxy.count("detail") - before > MANY


@pytest.mark.parametrize("fault", [status(400), late(0.45)], ids=["refused", "slow"])
def test_where_a_list_is_not_to_be_had_or_takes_long_details_are_read(site, proxy, view, fault, monkeypatch):
    monkeypatch.setattr(reread, "FRESH", HALF_A_SECOND)
    site.models(MANY)
    proxy.on("list", fault, skip=1, times=1)
    outcomes = site.apply()
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert proxy.count("detail")
    assert proxy.count("list", forwarded=False) <= 3, "the plan's, the one that was tried, the reading back"
    assert view.digests() == site.digests()


def test_a_list_that_does_not_come_keeps_one_change_from_going_on_and_no_other(site, proxy, view, monkeypatch):
    monkeypatch.setattr(reread, "FRESH", HALF_A_SECOND)
    site.models(MANY)
    saved = threading.Semaphore(0)
    reached = []

    def saves(exchange):
        exchange.answer(exchange.forward())
        saved.release()

    def comes_last(exchange):
        reached.extend(number for number in range(1, MANY) if saved.acquire(timeout=15))
        exchange.answer(exchange.forward())

    proxy.on("save", saves)
    proxy.on("list", comes_last, skip=1, times=1)
    outcomes = site.apply()
    assert reached == list(range(1, MANY)), "all saves but that of the change that waits"
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert view.digests() == site.digests()


def test_a_server_of_very_many_models_is_asked_for_each(site, proxy, view, monkeypatch):
    monkeypatch.setattr(reread, "_ROWS_A_DETAIL", 0)
    view.put("theirs", json_bytes("theirs"))
    site.models(MANY)
    site.apply()
    assert proxy.count("detail")


def bigml(field):
    fields = {field: {"name": field, "optype": "numeric"}, "label": {"name": "label", "optype": "categorical"}}
    return json.dumps({"object": {"objective_field": "label", "model": {"fields": fields}}}).encode()


@pytest.mark.parametrize("is_known", [True, False], ids=["verified before", "a lost ledger"])
def test_a_signature_that_would_break_is_refused_before_a_byte_is_sent(site, proxy, view, is_known):
    names = site.models(MANY)
    for name in names:
        site.model(name, bigml("amount"))
    site.apply()
    before = proxy.count("upload")
    for name in names:
        site.model(name, bigml("colour"))
    if not is_known:
        # Theirs share an input of the same type: where nothing is known here, only the server's own fields tell more.
        for name in names:
            both = json.loads(bigml("colour"))
            both["object"]["model"]["fields"]["amount"] = {"name": "amount", "optype": "numeric"}
            view.put(name, json.dumps(both).encode())
        site.ledger.unlink()
    outcomes = site.apply_past_the_plan()
    assert {(outcome.status, outcome.code) for outcome in outcomes} == {("skipped", "signature")}
    assert proxy.count("upload") == before
    assert "amount" in json.dumps(view.detail(names[0])["fields"])
