"""``mmsync show NAME``: one model whole, with what is known of it and how that is known."""

from __future__ import annotations

import json
import re

import pytest

from mmsync.server import running
from support.desk import TOKEN, Desk
from support.model_files import MODEL_INI, catboost, mojo
from support.wire import Wire, answer


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    with running(tmp_path / "server", token=TOKEN) as address:
        yield Desk(tmp_path / "desk", address.url, capsys, monkeypatch)


@pytest.fixture
def fraud(desk):
    """A desk whose server holds the MOJO ``fraud``, as its manifest lists it."""
    desk.file("fraud.zip", mojo())
    desk.manifest("fraud H2O fraud.zip  description: Card fraud score")
    assert desk("apply").code == 0
    return desk


def plain(text):
    text = re.sub(r"\d+ B; known", "SIZE; known", text)  # as this machine's zlib packs it
    text = re.sub(r"[0-9a-f]{64}", "DIGEST", text)
    return re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "MOMENT", text)


def model_of(desk, *words):
    return json.loads(desk("show", "fraud", "--format", "json", *words).out)["model"]


def test_a_model_is_shown_whole(fraud, is_golden):
    is_golden("show", plain(fraud.transcript("show", "fraud")))


def test_as_json_it_is_the_same(fraud):
    found = model_of(fraud)
    assert (found["name"], found["engine"], found["description"]) == ("fraud", "H2O", "Card fraud score")
    assert (found["sha256"], found["size"], found["content_from"]) == (
        fraud.view.digest("fraud"),
        len(mojo()),
        "ledger",
    )
    assert found["inputs"] == [
        {"name": "amount", "type": "float8"}, {"name": "country", "type": "str"}, {"name": "hour", "type": "float8"},
    ]  # fmt: skip
    assert (found["output_type"], found["category"]) == ("str", "Binomial")
    assert (found["state"], found["in_step"], found["differs"]) == ("managed", True, [])
    assert found["source"] == {"file": "models.yaml", "line": 4}
    assert found["query"]["call"].endswith('"fraud", float(amount), str(country), float(hour)) as result')


def test_without_a_manifest_it_is_shown_all_the_same(fraud):
    (fraud.folder / "models.yaml").unlink()
    found = model_of(fraud)
    assert (found["state"], found["source"], found["in_step"]) == (None, None, None)
    assert "managed" not in fraud("show", "fraud").out


@pytest.mark.parametrize(("scope", "state"), [('["f*"]', "orphan"), ('["g*"]', "unmanaged")])
def test_a_model_of_no_entry_is_an_orphan_or_unmanaged(fraud, scope, state):
    fraud.manifest("", scope=scope)
    assert model_of(fraud)["state"] == state
    assert {"orphan": "an orphan", "unmanaged": "left alone"}[state] in fraud("show", "fraud").out


def test_what_is_not_in_step_is_named(fraud):
    fraud.file("fraud.zip", mojo(MODEL_INI.replace("hour", "time")))
    fraud.manifest("fraud H2O fraud.zip  description: Another")
    assert (model_of(fraud)["in_step"], model_of(fraud)["differs"]) == (False, ["content", "description"])
    assert "by models.yaml:4, not in step: content, description" in fraud("show", "fraud").out


def test_content_nobody_hashed_here_is_not_claimed(fraud, tmp_path):
    fraud.environment.setenv("MMSYNC_CACHE_DIR", str(tmp_path / "another cache"))
    found = model_of(fraud)
    assert (found["sha256"], found["size"], found["content_from"]) == (None, len(mojo()), "server")
    assert (found["in_step"], found["differs"]) == (None, ["its content is not known here; mmsync plan finds out"])
    assert "sha256 not known here" in fraud("show", "fraud").out


def test_a_file_that_is_missing_does_not_stand_in_the_way(fraud):
    (fraud.folder / "fraud.zip").unlink()
    ran = fraud("show", "fraud")
    assert (ran.code, ran.err) == (0, "")
    assert "in step or not is not known: fraud.zip" in " ".join(ran.out.split())


def test_a_name_that_is_none_is_told_with_those_near_it(fraud):
    ran = fraud("show", "Fraud")
    assert (ran.code, ran.out) == (1, "")
    assert "the server has no model Fraud" in ran.err
    assert "did you mean fraud?" in ran.err
    assert "mmsync list shows those it has" in fraud("show", "something else").err
    fraud.file("new.cbm", catboost())
    fraud.manifest("new CATBOOST new.cbm")
    assert "the manifest lists it" in fraud("show", "new").err


def test_one_request_is_enough_and_what_a_stranger_wrote_is_made_harmless(desk):
    detail = {
        "id": 1, "name": "m", "engine": "H2O\x1b[2J", "description": "\x1b[31mred", "outputType": "s\u202etr",
        "fields": [{"name": "a\x1b]0;x\x07", "type": "str"}, {"name": None}, 7], "image": {"id": 3, "size": "many"},
        "creationDate": 10**20, "updateDate": "now", "category": 5, "domainName": 'a"b\x1b',
    }  # fmt: skip
    with Wire(lambda _: answer(body=detail)) as server:
        ran = desk("show", "m", "--url", server.url, "--token", TOKEN)
        assert len(server.requests) == 1
    assert ran.code == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", ran.out)
    assert "created      unknown" in ran.out
