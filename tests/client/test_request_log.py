"""The log of requests: what each record says, and what none ever does."""

from __future__ import annotations

import logging
import threading

import pytest

from mmsync.client import Client, ModelManagerError, RetryPolicy, _connection_pool as pool
from mmsync.client._request_log import NOTICE
from mmsync.client.auth import HttpDevoStandAloneTokenAuth
from support.wire import Wire, answer

TOKEN = "mark-of-a-t0ken"
LIST = answer(body=[{"name": "a"}])


def client(url, **settings):
    return Client(url, HttpDevoStandAloneTokenAuth(TOKEN), **settings)


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "mmsync.client"]


def test_a_request_is_one_record_with_what_came_of_it(caplog):
    caplog.set_level(logging.DEBUG, "mmsync.client")
    with Wire(lambda _request: LIST) as wire:
        client(f"{wire.url}/path").get_models()
    (line,) = said(caplog)
    request = wire.requests[0]
    assert line.startswith(f"GET {request.target.partition('?')[0]}")
    assert ": 200 in " in line
    assert line.endswith(" ms, sent 0 bytes, received 15 bytes, attempt 1")


def test_an_upload_says_its_bytes_and_neither_token_nor_values_nor_user_are_told(caplog, tmp_path):
    caplog.set_level(logging.DEBUG, "mmsync.client")
    file = tmp_path / "a.onnx"
    file.write_bytes(b"body-of-the-m0del" * 1000)
    with Wire(lambda _request: answer(500, {"code": 1, "msg": "no"})) as wire:
        url = wire.url.replace("://", "://ada:pa55word@")
        for make in (lambda: client(wire.url).upload_image("ONNX", file), lambda: client(url).get_models()):
            with pytest.raises(ModelManagerError):
                make()
        with pytest.raises(ModelManagerError):
            client(wire.url).api.get(f"{wire.url}/x", params={"key": "s3cret-value"})
    text = "\n".join(said(caplog))
    posted = next(request for request in wire.requests if request.method == "POST")
    assert ": 500 in " in text
    assert f"sent {len(posted.body):,} bytes" in text
    assert len(posted.body) > 17_000
    assert "/x?key: 500" in text
    for secret in (TOKEN, "pa55word", "s3cret-value", "body-of-the-m0del"):
        assert secret not in text


def test_attempts_are_counted_and_waits_told(caplog):
    caplog.set_level(logging.DEBUG, "mmsync.client")
    answers = [answer(503, headers={"Retry-After": "120"}), answer(502), LIST]
    waits = []
    with Wire(lambda _request: answers.pop(0)) as wire:
        client(wire.url, retry=RetryPolicy(sleep=waits.append)).get_models()
    lines = said(caplog)
    assert [line.rpartition(", ")[2] for line in lines[::2]] == ["attempt 1", "attempt 2", "attempt 3"]
    assert lines[1] == "waiting 30 s before attempt 2 of 5: the server asks for 2 min 0 s (503, Retry-After) …"
    levels = [record.levelno for record in caplog.records if record.name == "mmsync.client"]
    assert levels == [logging.DEBUG, NOTICE, logging.DEBUG, logging.INFO, logging.DEBUG]
    assert waits[0] == 30


def test_what_never_was_answered_is_told(caplog):
    caplog.set_level(logging.DEBUG, "mmsync.client")
    with Wire(lambda _request: None) as wire, pytest.raises(ModelManagerError):
        client(wire.url, retry=RetryPolicy(attempts=1)).get_models()
    (line,) = said(caplog)
    assert ": failed (The connection to " in line


def test_a_slow_answer_is_said_while_it_is_waited_for(caplog, monkeypatch):
    caplog.set_level(NOTICE, "mmsync.client")
    monkeypatch.setattr(pool, "SILENCE", 0.05)
    told, seen = threading.Event(), []

    def slow(connection):
        assert told.wait(30)
        connection.sendall(LIST)

    def count(record):
        seen.append(record)
        if len(seen) == 3:
            told.set()
        return True

    log = logging.getLogger("mmsync.client")
    log.addFilter(count)
    try:
        with Wire(lambda _request: slow) as wire:
            assert [model["name"] for model in client(wire.url).get_models()] == ["a"]
    finally:
        log.removeFilter(count)
    assert len(seen) >= 3
    assert all(line.startswith("still waiting for the server's answer to GET /models (") for line in said(caplog))


def test_a_server_that_never_answers_times_out_as_before(caplog, monkeypatch):
    caplog.set_level(NOTICE, "mmsync.client")
    monkeypatch.setattr(pool, "SILENCE", 0.05)
    impatient = RetryPolicy(attempts=1)
    with (
        Wire(lambda _request: lambda connection: connection.recv(1)) as wire,
        pytest.raises(ModelManagerError, match=r"No answer from .* in time"),
    ):
        client(wire.url, timeout=0.2, retry=impatient).get_models()
    assert len(said(caplog)) == 3


def test_nobody_is_told_unless_they_ask(caplog):
    caplog.set_level(logging.WARNING, "mmsync.client")
    with Wire(lambda _request: LIST) as wire:
        client(wire.url).get_models()
    assert said(caplog) == []
