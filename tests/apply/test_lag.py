"""A list some seconds behind, as of a read replica or a caching proxy: nobody is blamed for it, and nothing done twice."""

from __future__ import annotations

import json

import pytest

from mmsync.reconcile import Options
from support.applying import json_bytes, sha256
from support.fault_proxy import Answer
from support.lagging import Behind


def statuses(outcomes):
    return {outcome.change.name: (outcome.status, outcome.message) for outcome in outcomes}


GOOD = ("verified", "")


def change_everything(site):
    """Plan an add, two changes and a delete of what is there."""
    site.model("changed", json_bytes("new"))
    site.model("described", json_bytes("d"), description="new text")
    site.model("added", json_bytes("added"))
    del site.entries["gone"]


@pytest.fixture
def busy(site):
    """A site whose server holds what `change_everything` begins with."""
    for name in ("changed", "gone", "still"):
        site.model(name, json_bytes(name))
    site.model("described", json_bytes("d"), description="a text")
    site.apply()
    return site


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_list_behind_makes_no_failure_of_a_good_apply(busy, proxy, view, times):
    Behind(proxy, ["list"], times)
    change_everything(busy)
    outcomes = busy.apply(Options(prune=True))
    assert statuses(outcomes) == dict.fromkeys(("added", "changed", "described", "gone"), GOOD)
    assert busy.slept == [], "the models themselves say it at once"
    # The next plan may still be shown the old list; it is not taken for somebody's doing.
    plan = busy.plan()
    assert not plan.changes
    assert not plan.diagnostics
    assert not busy.plan().changes
    assert view.digests() == busy.digests()


def test_details_behind_as_well_are_waited_for_once(busy, proxy, view):
    change_everything(busy)
    lagging = {}

    def slept(seconds):
        assert seconds > 2
        lagging["behind"].left.clear()
        busy.slept.append(seconds)

    def between(_plan):
        lagging["behind"] = Behind(proxy, ["list", "detail"], 4)
        lagging["behind"].last = lists

    lists = {}

    def remember(exchange):
        answer = exchange.forward()
        lists[exchange.path] = Answer(answer.status, answer.headers, answer.body)
        exchange.answer(answer)

    proxy.on("list", remember, times=1)
    outcomes = busy.apply(Options(prune=True), between=between, sleep=slept)
    assert statuses(outcomes) == dict.fromkeys(("added", "changed", "described", "gone"), GOOD)
    assert len(busy.slept) <= 1
    assert view.digests() == busy.digests()


def test_another_hand_is_still_found_out(site, proxy, view):
    site.model("m", json_bytes("old"))
    site.apply()
    site.model("m", json_bytes("new"))

    def replaced(exchange):
        answer = exchange.forward()
        view.put("m", json_bytes("theirs"))
        exchange.answer(answer)

    proxy.on("save", replaced)
    (outcome,) = site.apply()
    assert (outcome.status, outcome.code) == ("failed", "read-back")
    assert len(site.slept) == 1
    assert view.digest("m") == sha256(json_bytes("theirs"))


def test_a_first_apply_over_a_strangers_model_is_not_blamed_on_one(site, proxy, view):
    """Nothing is known of the image the list still shows."""
    view.put("m", json.dumps({"theirs": 1}).encode())
    site.model("m", json_bytes("ours"))
    Behind(proxy, ["list"], 2)
    (outcome,) = site.apply()
    assert (outcome.status, outcome.message) == GOOD
    plan = site.plan()
    assert not plan.changes
    assert not plan.has_errors


def test_a_model_that_somebody_hid_is_not_taken_for_one_the_list_is_late_with(site, view):
    site.model("m", json_bytes(1))
    site.apply()
    view.edit("m", hidden=True)
    assert [change.action for change in site.plan().changes] == ["add"]
