"""Servers that send or take a byte now and then, for ever: each call ends, and says why."""

from __future__ import annotations

import itertools
import threading

import pytest

from mmsync.client import RetryPolicy
from mmsync.client.error import ModelManagerError, TransportError
from support.clients import client_of
from support.wire import Wire, answer

pytestmark = pytest.mark.timeout(60)

TIMEOUT = 0.3
NEVER = threading.Event()
HEAD = b"HTTP/1.1 200 OK\r\n"


def drip(start: bytes, *unit: bytes, pause: float = 0.02):
    """Send ``start`` at once, then one of ``unit`` after the other for as long as the client listens."""

    def send(connection):
        connection.sendall(start)
        for each in itertools.cycle(unit):
            NEVER.wait(pause)
            connection.sendall(each)

    return send


ANSWERS = {
    "status line": drip(b"", b"H"),
    "header": drip(HEAD, b"a"),
    "headers": drip(HEAD, b"A: b\r\n"),
    "body": drip(HEAD + b"Content-Length: 100000\r\n\r\n[", b" "),
    "body without a length": drip(HEAD + b"\r\n[", b" "),
    "chunks": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk size": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    "100 Continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 Early Hints": drip(b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
    "100 Continue at once": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10, pause=0),
}


def impatient(url: str):
    return client_of(url, timeout=TIMEOUT, retry=RetryPolicy(attempts=1))


@pytest.mark.parametrize("part", ANSWERS)
def test_an_answer_that_comes_byte_by_byte_ends_as_an_error(part):
    with Wire(lambda _: ANSWERS[part]) as server, pytest.raises(ModelManagerError) as caught:
        impatient(server.url).get_models()
    expected = "more than 32 interim answers" if part == "100 Continue at once" else "is too slow|HTTP 200 with a body"
    if part in ("chunk size", "trailers"):  # http.client has limits of its own for these
        expected += "|broke"
    assert caught.match(expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda client, _: client.get_models(),
        lambda client, _: client.find_detail("m"),
        lambda client, _: client.download_image("m"),
        lambda client, _: client.delete_model("m"),
        lambda client, path: client.upload_image("ONNX", path),
        lambda client, path: client.add_model("m", "ONNX", path),
        lambda client, _: client.save_model({"name": "m", "engine": "ONNX"}),
    ],
)
@pytest.mark.parametrize("part", ["headers", "body", "100 Continue"])
def test_whatever_was_asked_for(call, part, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"x")
    with Wire(lambda _: ANSWERS[part]) as server, pytest.raises(TransportError, match="is too slow") as caught:
        call(impatient(server.url), path)
    assert caught.value.timed_out


def test_the_body_of_an_error_is_given_up_and_its_status_told():
    slow = drip(b"HTTP/1.1 418 Teapot\r\nContent-Length: 100000\r\n\r\n{", b" ")
    with Wire(lambda _: slow) as server, pytest.raises(ModelManagerError, match="418"):
        impatient(server.url).get_models()


def test_a_server_that_reads_byte_by_byte_ends_the_upload(tmp_path):
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(64 << 20)  # more than the buffers of both ends hold

    over = threading.Event()

    def read(connection):
        while not over.wait(0.02) and connection.recv(1):
            pass

    with Wire(lambda _: answer(200), on_head=lambda _: read) as server:
        with pytest.raises(TransportError, match="is too slow") as caught:
            impatient(server.url).upload_image("ONNX", path)
        over.set()
    assert not caught.value.sent


def test_what_is_slow_but_fast_enough_is_taken():
    rows = b'[{"name": "m", "description": "' + b"x" * 8000 + b'"}]'

    def send(connection):
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(rows))
        for at in range(0, len(rows), 400):
            connection.sendall(rows[at : at + 400])
            NEVER.wait(0.02)

    with Wire(lambda _: send) as server:
        assert impatient(server.url).get_models()[0]["name"] == "m"


def test_time_that_the_taker_of_bytes_needs_is_not_the_servers():
    data = "QUJD" * 100_000
    detail = {"id": 1, "name": "m", "image": {"id": 1, "size": 300_000, "image": data}}
    with Wire(lambda _: answer(200, detail)) as server:
        image = impatient(server.url).download_image("m", on_progress=lambda *_: NEVER.wait(TIMEOUT))
    assert image.size == 300_000
