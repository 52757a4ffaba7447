"""What a read makes of what the server sends."""

from __future__ import annotations

import contextlib
import gzip
import json

import pytest

from mmsync.client.downloader import FileSystemDownloader
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


DETAIL = {"id": 1, "name": "m", "engine": "ONNX", "image": {"id": 3, "size": 3, "image": "QUJD"}}
READS = [
    lambda client, _: client.find_detail("asked"),
    lambda client, _: client.get_model("asked"),
    lambda client, _: client.find_model("asked"),
    lambda client, _: client.get_model("asked", download_file=True),
    lambda client, _: client.download_image("asked"),
    lambda client, _: client.delete_model("asked"),
    lambda client, _: client.update_description("asked", "text"),
    lambda client, path: client.add_model("asked", "ONNX", path, force=True),
]


@pytest.mark.parametrize("make", [client_of, legacy_of])
@pytest.mark.parametrize("downloader", [None, lambda model: model["name"]])
@pytest.mark.parametrize("read", READS)
def test_the_description_of_another_model_is_an_error_and_nothing_is_written(wire, tmp_path, make, read, downloader):
    server = wire(lambda _: answer(200, DETAIL))
    path = tmp_path / "m.onnx"
    path.write_bytes(b"ABC")
    with pytest.raises(UnexpectedResponse, match="asked for 'asked' and answered with 'm'"):
        read(make(server.url, downloader=downloader or FileSystemDownloader(tmp_path)), path)
    assert not server.seen("POST")
    assert not server.seen("DELETE")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [None, " asked "])
def test_a_name_that_is_missing_or_only_padded_is_no_other(wire, name):
    assert client_of(wire(lambda _: answer(200, {"id": 1, "name": name})).url).find_detail("asked")["name"] == name


def test_composed_and_decomposed_names_are_one(wire):
    server = wire(lambda _: answer(200, {"id": 1, "name": "caf\u00e9"}))
    assert client_of(server.url).find_detail("cafe\u0301")["id"] == 1
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_answers_are_skipped(wire, status):
    interim = b"HTTP/1.1 %d Interim\r\nLink: </a>; rel=preload\r\n\r\n" % status
    server = wire(lambda _: interim * 3 + answer(200, [{"name": "m"}]))
    client = client_of(server.url)
    assert client.get_models() == client.get_models() == [{"name": "m"}]
    assert server.connections == 1


@pytest.mark.parametrize("call", ["get_models", "find_detail", "download_image"])
def test_a_part_of_an_answer_is_not_taken_for_the_whole(wire, call):
    part = answer(206, [{"name": "m"}], {"Content-Range": "bytes 0-15/500"})
    server = wire(lambda _: part)
    arguments = [] if call == "get_models" else ["m"]
    with pytest.raises(UnexpectedResponse, match="HTTP 206") as caught:
        getattr(client_of(server.url), call)(*arguments)
    assert "proxy or cache" in caught.value.hint
    assert len(server.requests) == 1


@pytest.mark.parametrize("rows", [0, 1, 2, 5000])
@pytest.mark.parametrize("separator", [",", ", ", " ,\n"])
def test_a_list_of_any_length_and_spelling_is_read_as_it_is(wire, rows, separator):
    """Also where a text looks like the end of a row, and a row like a list."""
    listed = [{"id": at, "name": f"m{at}", "description": "}, {" * 20, "more": [{"a": [1]}, {}]} for at in range(rows)]
    raw = "[" + separator.join(json.dumps(row) for row in listed) + "]\n"
    for encoded in (raw.encode(), raw.encode("utf-16"), b"\xef\xbb\xbf" + raw.encode()):
        assert client_of(wire(lambda _, encoded=encoded: answer(200, raw=encoded)).url).get_models() == listed


@pytest.mark.parametrize("end", ["", ",", ",]", "}", "]]", "] x", ",null]", ",[]]"])
def test_a_list_that_ends_badly_is_an_error_whatever_its_length(wire, end):
    row = json.dumps({"name": "m", "description": "x" * 1000})
    for rows in (1, 300, 1000):
        raw = ("[" + ",".join([row] * rows) + end).encode()
        with pytest.raises(UnexpectedResponse):
            client_of(wire(lambda _, raw=raw: answer(200, raw=raw)).url).get_models()
