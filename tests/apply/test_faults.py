"""Through a network and a server on their worst days, apply does what it can and says what it could not."""

from __future__ import annotations

import json
import threading

import pytest

from support.applying import json_bytes, sha256
from support.fault_proxy import Answer, html, late, lost_answer, reset, reset_in_body, status, truncated

TRANSIENT = {
    "reset": reset(),
    "429": status(429, retry_after="0"),
    "502": status(502),
    "503": status(503, {"code": 0, "msg": "busy"}, retry_after="0"),
    "504": status(504),
    "lost answer": lost_answer(),
    "truncated": truncated(),
    "reset in the answer": reset_in_body(),
}


def of(outcomes, name):
    return next(outcome for outcome in outcomes if outcome.change.name == name)


def all_but(outcomes, name):
    return {outcome.status for outcome in outcomes if outcome.change.name != name}


# A missing model's 204 and the answer to a save have no body that could be cut.
PASSING = [
    (kind, fault)
    for kind in ("list", "detail", "upload", "save")
    for fault in TRANSIENT
    if kind in ("list", "upload") or fault not in ("truncated", "reset in the answer")
]


@pytest.mark.parametrize(("kind", "fault"), PASSING)
def test_a_passing_fault_at_any_request_costs_time_and_nothing_else(site, proxy, view, kind, fault):
    site.models(6)
    for name in (None,) if kind == "list" else ("m001", "m004"):
        on = f"{name}.json" if kind == "upload" else name
        proxy.on(kind, TRANSIENT[fault], name=on, times=2)
    outcomes = site.apply()
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert view.digests() == site.digests()
    assert not site.plan().changes


@pytest.mark.parametrize("kind", ["detail", "upload", "save"])
def test_a_fault_that_stays_is_one_models_own(site, proxy, view, kind):
    site.models(6)
    proxy.on(kind, status(503, retry_after="0"), name="m003.json" if kind == "upload" else "m003")
    outcomes = site.apply()
    failed = of(outcomes, "m003")
    assert (failed.status, failed.code) == ("failed", "server")
    assert "503" in failed.message
    assert not failed.permanent
    assert all_but(outcomes, "m003") == {"verified"}
    proxy.clear()
    assert [outcome.change.name for outcome in site.apply()] == ["m003"]
    assert view.digests() == site.digests()


def test_a_lost_answer_to_a_save_leads_to_exactly_one_save(site, proxy, view):
    names = site.models(5)
    proxy.on("save", lost_answer())
    outcomes = site.apply()
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert sorted(exchange.name for exchange in proxy.seen("save")) == names
    for name in names:
        site.model(name, json_bytes(f"again {name}"))
    outcomes = site.apply()
    assert {outcome.status for outcome in outcomes} == {"verified"}
    assert proxy.count("save") == 10
    assert view.digests() == site.digests()


def test_a_500_is_sent_once_and_blamed_on_its_model(site, proxy, view):
    site.models(5)
    proxy.on("upload", status(500, {"code": 1, "msg": "NullPointerException", "cid": "c1"}), name="m002.json")
    outcomes = site.apply()
    failed = of(outcomes, "m002")
    assert (failed.status, failed.code) == ("failed", "server")
    assert "NullPointerException" in failed.message
    assert proxy.count("upload", name="m002.json", forwarded=False) == 1
    assert all_but(outcomes, "m002") == {"verified"}
    assert "m002" not in view.names()


@pytest.mark.parametrize("kind", ["detail", "upload"])
def test_a_login_page_is_an_error_and_never_a_missing_model(site, proxy, view, kind):
    site.models(4)
    site.apply()
    site.model("m001", json_bytes("new"))
    proxy.on(kind, html(), name="m001" if kind == "detail" else "m001.json")
    (outcome,) = site.apply()
    assert (outcome.status, outcome.code) == ("failed", "server")
    assert "JSON" in outcome.message
    assert view.digest("m001") == sha256(json_bytes(1))


@pytest.mark.parametrize("old", [b"", json_bytes("old")])
@pytest.mark.parametrize("page", [b"OK", b"<html>done</html>"])
def test_a_save_that_was_done_is_done_whatever_page_answers_it(site, proxy, view, old, page):
    def done(exchange):
        exchange.forward()
        exchange.answer(Answer(200, [("Content-Type", "text/html")], page))

    if old:
        view.put("m", old)
    site.model("m", json_bytes("new"))
    proxy.on("save", done)
    (outcome,) = site.apply()
    assert outcome.status == "verified"
    assert proxy.count("save") == 1
    assert view.digest("m") == sha256(json_bytes("new"))


@pytest.mark.parametrize("committed", [True, False])
def test_a_page_that_answers_the_save_of_a_description_is_no_reason_to_upload(site, proxy, view, committed):
    def paged(exchange):
        if committed:
            exchange.forward()
        exchange.answer(Answer(200, [("Content-Type", "text/html")], b"<html></html>"))

    site.model("m", json_bytes("m"), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"
    proxy.clear()
    proxy.on("save", paged)
    (outcome,) = site.apply()
    assert outcome.status == ("verified" if committed else "failed")
    assert view.detail("m")["description"] == ("new" if committed else "old")
    assert not proxy.count("upload")


@pytest.mark.parametrize("old", [b"", json_bytes("old")])
def test_a_page_in_place_of_a_save_is_a_failure(site, proxy, view, old):
    if old:
        view.put("m", old)
    site.model("m", json_bytes("new"))
    proxy.on("save", html())
    (outcome,) = site.apply()
    assert (outcome.status, outcome.code) == ("failed", "server")
    assert "JSON" in outcome.message
    assert view.names() == (["m"] if old else [])


def test_a_list_that_is_a_login_page_stops_everything_before_the_first_write(site, proxy):
    site.models(3)
    proxy.on("list", html())
    done = site.run("apply")
    assert done.returncode == 1
    assert done.stderr.count("\n") <= 3
    assert "Traceback" not in done.stderr
    assert not proxy.count("upload")


def test_the_command_line_reports_the_failing_model_and_does_the_others(site, proxy, view):
    site.models(8)
    proxy.on("upload", reset(), name="m005.json")
    done = site.run("apply", "--format", "json")
    assert done.returncode == 1
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (errored,) = [event for event in events if event["type"] == "apply_errored"]
    assert errored["hook"]["name"] if "hook" in errored else "m005" in json.dumps(errored)
    assert events[-1]["type"] == "change_summary"
    assert view.names() == [name for name in sorted(site.entries) if name != "m005"]


def test_a_token_that_expires_in_the_middle_ends_the_run_and_says_what_was_not_done(site, proxy, view):
    names = site.models(40)
    expired = status(403, {"code": 5, "msg": "Token invalid or expired"})

    def after_ten_saves(exchange):
        if proxy.count("save") >= 10:
            expired(exchange)
        else:
            exchange.answer(exchange.forward())

    proxy.on("any", after_ten_saves)
    done = site.run("apply")
    assert done.returncode == 1
    assert "Token invalid or expired" in done.stdout + done.stderr
    assert site.token not in done.stdout + done.stderr
    held = view.names()
    assert 0 < len(held) < len(names)
    refused = [exchange for exchange in proxy.exchanges if exchange.status == 403]
    assert len(refused) < 40, "a refused token is not tried for every model"
    proxy.clear()
    again = site.run("apply")
    assert again.returncode == 0, again.stderr
    assert view.digests() == site.digests()
    assert proxy.count("upload") == len(names) - len(held)


def test_fail_fast_begins_nothing_after_the_first_failure(site, proxy, view):
    site.models(30)
    proxy.on("upload", status(500, {"msg": "no"}), name="m000.json")
    proxy.on("upload", late(0.3))
    done = site.run("apply", "--fail-fast", "--jobs", "2", "--format", "json")
    assert done.returncode == 1
    assert len(view.names()) <= 4 * 2 - 1, "what had begun, at most four for each job, is finished"
    assert proxy.count("upload", forwarded=False) <= 4 * 2


def test_a_server_that_is_slow_but_alive_is_waited_for(site, proxy, view):
    site.models(12)
    proxy.on("any", late(0.05))
    assert {outcome.status for outcome in site.apply()} == {"verified"}
    assert view.digests() == site.digests()


def test_when_nothing_can_be_read_back_what_was_done_is_done_and_the_run_says_so(site, proxy, view):
    site.models(3)
    proxy.on("list", status(500, {"msg": "no list today"}), skip=1)
    notes = []
    outcomes = site.apply(on_event=lambda event: notes.append(getattr(event, "unverified", "")))
    assert {outcome.status for outcome in outcomes} == {"applied"}
    assert "no list today" in notes[-1]
    assert view.digests() == site.digests()


def test_what_another_hand_does_during_the_apply_is_never_lost(site, proxy, view):
    """While the upload is under way somebody replaces the model."""
    site.models(2)
    site.apply()
    site.model("m000", json_bytes("ours"))
    replaced = threading.Event()

    def meanwhile(exchange):
        answer = exchange.forward()
        view.put("m000", json_bytes("theirs"))
        replaced.set()
        exchange.answer(answer)

    proxy.on("upload", meanwhile, name="m000.json")
    (outcome,) = site.apply()
    assert replaced.is_set()
    assert (outcome.status, outcome.code) == ("skipped", "stale")
    assert view.digest("m000") == sha256(json_bytes("theirs"))


def test_a_model_added_by_another_hand_during_the_upload_stays_theirs(site, proxy, view):
    site.models(2)

    def meanwhile(exchange):
        answer = exchange.forward()
        view.put("m000", json_bytes("theirs"))
        exchange.answer(answer)

    proxy.on("upload", meanwhile, name="m000.json")
    outcomes = site.apply()
    assert (of(outcomes, "m000").status, of(outcomes, "m000").code) == ("skipped", "stale")
    assert view.names() == ["m000", "m001"]
    assert view.digest("m000") == sha256(json_bytes("theirs"))


def test_a_connection_that_is_closed_between_requests_is_no_failure(site, proxy, view):
    """Idle connections are closed by proxies at any time; the request on one is repeated on a new one."""
    site.models(10)

    def then_hang_up(exchange):
        exchange.answer(exchange.forward())
        raise OSError

    proxy.on("any", then_hang_up)
    assert {outcome.status for outcome in site.apply()} == {"verified"}
    assert proxy.count("save") == 10
    assert view.digests() == site.digests()
