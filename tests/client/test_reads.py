"""What a read makes of what the server sends."""

from __future__ import annotations

import contextlib
import gzip
import json

import pytest

from mmsync.client.error import (
    EndpointNotFound,
    ModelManagerError,
    TokenError,
    TransportError,
    UnexpectedResponse,
)
from support.clients import Clock, client_of, legacy_of
from support.wire import answer, close, reset, then_close

LOGIN = answer(200, raw=b"<html>Please log in</html>", headers={"Content-Type": "text/html"})
CUT = then_close(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[{"name": "a"}')
CUT_CHUNK = then_close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n[1,")


@pytest.mark.parametrize(
    "fault",
    [reset, close, CUT, CUT_CHUNK, then_close(b"HTTP/1.1 20"), answer(429), answer(502), answer(503), answer(504)],
)
def test_a_read_is_repeated_after_a_passing_fault(wire, fault):
    replies = iter([fault, fault, answer(200, [{"name": "a"}])])
    assert client_of(wire(lambda _: next(replies)).url).get_models() == [{"name": "a"}]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 501])
def test_other_statuses_are_not_repeated_and_keep_their_status(wire, status):
    server = wire(lambda _: answer(status, raw=b"<h1>oops</h1>"))
    with pytest.raises(ModelManagerError) as caught:
        client_of(server.url).get_models()
    assert caught.value.status == status
    assert str(caught.value) == f"{status}: HTTP {status} Fault"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        LOGIN,
        answer(200, {"a": 1}),
        answer(204),
        answer(200),
        answer(200, raw=b"null"),
        answer(200, [1]),
        answer(200, raw=b"[" * 100_000),
        answer(200, raw=b"\xff\xfe"),
    ],
)
def test_a_list_that_is_no_list_is_an_error_never_empty(wire, reply):
    with pytest.raises(UnexpectedResponse):
        client_of(wire(lambda _: reply).url).get_models()


@pytest.mark.parametrize("reply", [LOGIN, answer(200, [1]), answer(200, "text"), answer(200, raw=b"false")])
def test_a_detail_that_is_no_object_is_an_error_never_a_missing_model(wire, reply):
    client = client_of(wire(lambda _: reply).url)
    for read in (client.find_detail, client.find_model, client.download_image):
        with pytest.raises(UnexpectedResponse):
            read("m")


@pytest.mark.parametrize(
    "reply", [answer(204), answer(200), answer(200, raw=b"null"), answer(200, {}), answer(200, raw=b" \n")]
)
def test_every_way_to_say_missing_is_understood(wire, reply):
    server = wire(lambda _: reply)
    assert client_of(server.url).find_detail("m") is None
    assert legacy_of(server.url).find_detail("m") is None


def test_an_id_of_null_is_a_missing_model_to_legacy_servers(wire):
    server = wire(lambda _: answer(200, {"id": None, "name": "m", "engine": None}))
    assert legacy_of(server.url).find_detail("m") is None
    assert client_of(server.url).find_detail("m") is not None


def test_a_detail_without_id_is_a_model(wire):
    server = wire(lambda _: answer(200, {"name": "m", "engine": "ONNX"}))
    assert client_of(server.url).find_detail("m") == {"name": "m", "engine": "ONNX"}
    assert legacy_of(server.url).find_detail("m") == {"name": "m", "engine": "ONNX"}


def test_a_legacy_server_that_sends_the_bytes_anyway_is_asked_at_fast_from_then_on(wire):
    detail = {"id": 1, "name": "m", "engine": "ONNX", "image": {"id": 3, "size": 3_000_000, "image": None}}
    full = {**detail, "image": {**detail["image"], "image": "QUJD" * 1_000_000}}
    server = wire(lambda request: answer(200, detail if request.target.endswith("/fast") else full))
    client = legacy_of(server.url)
    for _ in range(2):
        assert client.find_detail("m")["image"] == {"id": 3, "size": 3_000_000}
    assert [each.target.rpartition("/")[2] for each in server.requests] == ["m?fast=True", "fast", "fast"]


def test_a_legacy_server_with_neither_is_read_all_the_same(wire):
    full = {"id": 1, "name": "m", "engine": "ONNX", "image": {"id": 3, "size": 3, "image": "QUJD"}}
    server = wire(lambda request: answer(404) if request.target.endswith("/fast") else answer(200, full))
    client = legacy_of(server.url)
    assert client.find_detail("m")["image"] == {"id": 3, "size": 3} == client.find_detail("m")["image"]
    assert len([each for each in server.requests if each.target.endswith("/fast")]) == 1


def test_the_wrong_generation_is_named_in_the_hint(wire):
    server = wire(lambda _: answer(404, {"code": 404, "msg": "HTTP 404 Not Found", "cid": "x"}))
    for client, way_on in ((client_of(server.url), "LegacyClient"), (legacy_of(server.url), "Client(url, auth)")):
        with pytest.raises(EndpointNotFound) as caught:
            client.get_models()
        assert str(caught.value) == "404: HTTP 404 Not Found"
        assert way_on in caught.value.hint
        assert "--domain" in caught.value.hint
        assert caught.value.hint.startswith("check the path of the address")


def test_code_5_is_a_token_error_whatever_its_type(wire):
    for code in (5, "5"):
        server = wire(lambda _, code=code: answer(403, {"code": code, "msg": "Token invalid or expired", "cid": "c"}))
        with pytest.raises(TokenError) as caught:
            client_of(server.url).get_models()
        assert str(caught.value) == "5: Token invalid or expired"
        assert (caught.value.status, caught.value.cid, caught.value.permanent) == (403, "c", False)


def test_what_the_server_says_is_made_safe_for_a_terminal(wire):
    server = wire(lambda _: answer(400, {"code": 9, "msg": "\x1b]0;pwned\x07 " + "x" * 10_000, "cid": "\x1b[2J"}))
    with pytest.raises(ModelManagerError) as caught:
        client_of(server.url).get_models()
    assert "\x1b" not in str(caught.value) + caught.value.cid
    assert len(str(caught.value)) < 600
    assert caught.value.permanent


def test_compressed_answers_are_understood(wire):
    body = gzip.compress(json.dumps([{"name": "a"}]).encode())
    server = wire(lambda _: answer(200, raw=body, headers={"Content-Encoding": "gzip"}))
    assert client_of(server.url).get_models() == [{"name": "a"}]
    broken = wire(lambda _: answer(200, raw=body[:-12], headers={"Content-Encoding": "gzip"}))
    with pytest.raises(ModelManagerError):
        client_of(broken.url).get_models()


@pytest.mark.parametrize("length", ["abc", "-1", "", "1" * 30])
def test_a_length_that_cannot_be_is_no_crash(wire, length):
    raw = f'HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{"id": 1, "name": "m", "engine": "E"}}'.encode()
    client = client_of(wire(lambda _: then_close(raw)).url)
    for call in (client.find_detail, client.download_image, client.find_model):
        with contextlib.suppress(ModelManagerError):
            assert call("m")


def test_a_server_that_is_down_is_reported_at_once(wire):
    server = wire(lambda _: None)
    server.__exit__()
    clock = Clock()
    with pytest.raises(TransportError) as caught:
        client_of(server.url, retry=clock.policy()).get_models()
    assert str(caught.value) == f"Cannot connect to {server.url}: Connection refused"
    assert not caught.value.sent
    assert sum(clock.slept) < 2


def test_a_server_that_never_answers_is_given_up_after_the_time_out(wire):
    server = wire(lambda _: lambda connection: connection.recv(1))
    with pytest.raises(TransportError, match="in time"):
        client_of(server.url, timeout=0.2, retry=Clock().policy(attempts=1)).get_models()


def test_names_are_encoded_whole_and_names_that_cannot_be_are_refused_before_any_request(wire):
    server = wire(lambda _: answer(204))
    client = client_of(server.url)
    client.find_detail("a/b ü?#%2F&=+~")
    assert server.requests[0].target == "/models/a%2Fb%20%C3%BC%3F%23%252F%26%3D%2B~?fast=True"
    for name in ("", ".", "..", "\udcff"):
        for call in (client.find_detail, client.get_model, client.download_image, client.delete_model):
            with pytest.raises(ModelManagerError, match="Invalid name"):
                call(name)
        with pytest.raises(ModelManagerError, match="Invalid name"):
            client.add_model(name, "ONNX", "no-such-file")
    assert len(server.requests) == 1
