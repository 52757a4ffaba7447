"""A description the server cannot keep as it was sent: no bytes are sent for it, and nothing is left to do."""

from __future__ import annotations

import html
import json

import pytest

from support.applying import json_bytes, sha256
from support.fault_proxy import rewritten, without

KEPT = {
    "no four-byte characters": ("Betrug 🚨 melden", lambda text: "".join(c if ord(c) < 0x10000 else "?" for c in text)),
    "escaped": ("amount < 5 & > 2", html.escape),
    "trimmed": ("  both\tends \n", str.strip),
    "cut short": ("a long description", lambda text: text[:6]),
    "in capitals": ("Fraud", str.upper),
    "not at all": ("anything", lambda text: ""),
    "one text for all": ("anything", lambda text: "managed elsewhere"),
}


def only(outcomes):
    (outcome,) = outcomes
    return outcome


@pytest.fixture
def keeps(proxy):
    """Make the server keep every description its own way."""

    def keep(way):
        def saved(exchange):
            body = json.loads(exchange.body)
            if body["description"] is not None:
                body["description"] = way(body["description"])
            exchange.body = json.dumps(body).encode()
            exchange.answer(exchange.forward())

        proxy.on("save", saved)

    return keep


@pytest.mark.parametrize("how", KEPT)
def test_it_is_sent_once_and_then_as_it_should_be(site, proxy, view, keeps, how):
    sent, way = KEPT[how]
    keeps(way)
    site.model("m", json_bytes(1), description=sent)
    outcome = only(site.apply())
    assert outcome.status == "verified"
    assert "the server keeps the description as" in outcome.message
    uploads = proxy.count("upload")
    assert uploads == 1
    proxy.exchanges.clear()
    assert not site.plan().changes
    assert [exchange.kind for exchange in proxy.exchanges if exchange.kind != "detail"] == ["list"]
    # Another text: the detail is saved, no byte of the model is sent.
    site.entries["m"]["description"] = f"{sent} 2"
    proxy.exchanges.clear()
    assert only(site.apply()).status == "verified"
    assert proxy.count("upload") == 0
    assert not site.plan().changes
    assert view.digest("m") == sha256(json_bytes(1))


@pytest.mark.parametrize("how", KEPT)
def test_without_a_ledger_it_is_sent_again_and_still_no_bytes(site, proxy, view, keeps, how):
    sent, way = KEPT[how]
    keeps(way)
    site.model("m", json_bytes(1), description=sent)
    site.apply()
    site.ledger.unlink()
    proxy.exchanges.clear()
    assert only(site.apply()).ok
    assert proxy.count("upload") == 0
    assert not site.plan().changes


def test_what_somebody_else_writes_over_it_is_drift_all_the_same(site, proxy, view, keeps):
    sent, way = KEPT["escaped"]
    keeps(way)
    site.model("m", json_bytes(1), description=sent)
    site.apply()
    view.edit("m", description="theirs")
    (change,) = site.plan().changes
    assert change.reasons == ("description",)
    assert only(site.apply()).status == "verified"
    assert view.detail("m")["description"] == way(sent)


def test_new_content_under_such_a_text_waits_for_nothing(site, proxy, view, keeps):
    sent, way = KEPT["escaped"]
    keeps(way)
    site.model("m", json_bytes(1), description=sent)
    site.apply()
    site.model("m", json_bytes(2), description=sent)
    site.slept.clear()
    proxy.exchanges.clear()
    outcome = only(site.apply())
    assert (outcome.status, outcome.message) == ("verified", "")
    assert (proxy.count("save"), site.slept) == (1, [])


def test_a_description_that_did_not_stick_is_saved_once_more(site, proxy, view):
    """A save that was lost to the old text, by a server or by a hand: it is not the server's way of the new one."""
    site.model("m", json_bytes(1), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"

    def ignored(exchange):
        exchange.body = json.dumps({**json.loads(exchange.body), "description": "old"}).encode()
        exchange.answer(exchange.forward())

    proxy.clear()
    proxy.on("save", ignored, times=1)
    assert only(site.apply()).status == "verified"
    assert (proxy.count("upload"), proxy.count("save")) == (0, 2)
    assert view.detail("m")["description"] == "new"
    assert not site.plan().changes


def test_a_server_that_shows_no_descriptions_is_sent_one_once(site, proxy, view):
    for kind in ("list", "detail", "bytes"):
        proxy.on(kind, rewritten(without("description")))
    site.model("m", json_bytes(1), description="wanted")
    assert only(site.apply()).status == "verified"
    assert not site.plan().changes
