"""Answers without an end, bombs, and lists that are none: each ends early, in little memory, with nothing kept."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
import subprocess
import sys
import textwrap
import zlib

import pytest

from mmsync.client import RetryPolicy
from mmsync.client.downloader import FileSystemDownloader
from mmsync.client.error import ModelManagerError, UnexpectedResponse
from support.clients import client_of
from support.wire import Wire, answer

pytestmark = pytest.mark.timeout(60)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
ROW = b'{"id": 1, "name": "model", "engine": "ONNX", "description": "%s"}' % (b"d" * 100)


def endless(start: bytes, unit: bytes):
    """Send ``start``, then ``unit`` for as long as the client listens."""
    block = unit * (1 + (1 << 18) // len(unit))

    def send(connection):
        connection.sendall(HEAD + start)
        for each in itertools.repeat(block):
            connection.sendall(each)

    return send


def asked(reply, call, **settings):
    """Return the error that a call ends with, and how many bytes the server got rid of."""
    settings.setdefault("retry", RetryPolicy(attempts=1))
    with Wire(lambda _: reply) as server, pytest.raises(ModelManagerError) as caught:
        call(client_of(server.url, **settings))
    return caught.value


@pytest.mark.parametrize(
    ("start", "unit", "message"),
    [
        (b"[{}", b",{}", "a row without a name"),
        (b"[", b'{"name": 7},', "a row without a name"),
        (b"[" + ROW, b"," + ROW, "more than 1048576 bytes"),
        (b"[", b"[", "more than 1048576 bytes"),
        (b"[", b" ", "more than 1048576 bytes"),
        (b'["', b"},", "more than|too many values"),
        (b'[{"name": "m", "x": [[]', b",[]", "too many values"),
        (b'[{"name": "m"}', b',{"name": "m"}', "more than 16384 models"),
        (b'{"name": "', b"x", "more than 1048576 bytes"),
    ],
)
def test_a_list_without_an_end_ends(start, unit, message):
    error = asked(endless(start, unit), lambda client: client.get_models(), max_list_bytes=1 << 20)
    assert isinstance(error, UnexpectedResponse)

    assert re.search(message, str(error))


def test_a_list_that_is_too_long_says_what_allows_it_and_that_does():
    rows = [{"id": at, "name": f"m{at}", "description": "x" * 1000} for at in range(1500)]
    with Wire(lambda _: answer(200, rows)) as server:
        with pytest.raises(UnexpectedResponse, match="more than 1000000 bytes") as caught:
            client_of(server.url, max_list_bytes=1_000_000).get_models()
        assert "--max-list-bytes" in caught.value.hint
        assert (
            client_of(server.url).get_models() == rows == client_of(server.url, max_list_bytes=2_000_000).get_models()
        )


@pytest.mark.parametrize("call", ["find_detail", "download_image", "upload_image", "save_model", "delete_model"])
def test_no_answer_is_read_for_ever(call, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"x")
    arguments = {"upload_image": ["ONNX", path], "save_model": [{"name": "m"}]}.get(call, ["m"])
    error = asked(endless(b'{"a": "', b"x"), lambda client: getattr(client, call)(*arguments))
    assert isinstance(error, UnexpectedResponse)


def test_nor_is_an_errors_body():
    reply = endless(b"", b"x")

    def refused(connection):
        connection.sendall(b"HTTP/1.1 418 Teapot\r\n\r\n")
        reply(connection)

    assert asked(refused, lambda client: client.get_models()).status == 418


@pytest.mark.parametrize("start", [b'{"name": "m", "image": {"size": 300000, "image": "', b'{"image": {"image": "'])
@pytest.mark.parametrize("asks", ["download_image", "get_model"])
def test_an_image_stops_at_its_declared_size(start, asks, tmp_path):
    """Declared in the answer itself, or, where bytes come first, in the model's description."""
    folder = tmp_path / "models"
    folder.mkdir()
    told, written = [], io.BytesIO()
    detail = answer(200, {"id": 1, "name": "m", "image": {"id": 1, "size": 70 << 20}})
    with Wire(lambda request: endless(start, b"QUJD") if "fast=False" in request.target else detail) as server:
        client = client_of(server.url, downloader=FileSystemDownloader(folder), retry=RetryPolicy(attempts=1))
        call = {
            "get_model": lambda: client.get_model("m", download_file=True),
            "download_image": lambda: client.download_image("m", written, on_progress=lambda *at: told.append(at)),
        }[asks]
        with pytest.raises(UnexpectedResponse, match="bytes of an image it says has") as caught:
            call()
    size = 300_000 if b"size" in start else 70 << 20
    assert f"more than {size} bytes" in str(caught.value)
    assert written.tell() <= size
    assert all(done <= total for done, total in told)
    assert all(total == size for _, total in told if b"size" in start)
    assert list(folder.iterdir()) == []


def test_an_image_whose_size_nobody_says_ends_too():
    detail, image = answer(200, {"id": 1, "name": "m"}), endless(b'{"image": {"image": "', b"QUJD")
    with Wire(lambda request: image if "fast=False" in request.target else detail) as server:
        client = client_of(server.url, retry=RetryPolicy(attempts=1))
        with pytest.raises(UnexpectedResponse, match="does not say how large"):
            client.download_image("m")


@pytest.mark.parametrize("call", ["get_models", "find_detail", "download_image"])
def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(call):
    packed = gzip.compress(b'[{"name": "' + b"x" * (50 << 20) + b'"}]', 9)
    reply = answer(200, raw=packed, headers={"Content-Encoding": "gzip"})
    arguments = [] if call == "get_models" else ["m"]
    error = asked(reply, lambda client: getattr(client, call)(*arguments), max_list_bytes=1 << 30)
    assert "unpacks to more than 200 times" in str(error)


def test_a_list_that_packs_well_is_taken():
    rows = [
        {"id": at, "name": f"model {at}", "engine": "ONNX", "description": "the same " * 20} for at in range(20_000)
    ]
    packed = zlib.compress(json.dumps(rows).encode(), 9)
    with Wire(lambda _: answer(200, raw=packed, headers={"Content-Encoding": "deflate"})) as server:
        assert client_of(server.url).get_models() == rows


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc, since ru_maxrss counts the parent's")
@pytest.mark.parametrize("unit", [b"{},", b'{"name": "a", "x": 0},', b'{"name": "a", "x": [[],[],[],[],[],[],[]]},'])
def test_the_memory_of_a_hostile_list_is_bounded(unit):
    with Wire(lambda _: endless(b"[", unit)) as server:
        script = f"""
            import re
            from mmsync.client import create_client_from_token
            try:
                create_client_from_token({server.url!r}, "t").get_models()
            except Exception as error:
                print(type(error).__name__)
            print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
        """
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
        )
    kind, peak = ran.stdout.split()
    assert kind == "UnexpectedResponse"
    assert int(peak) < 900_000
