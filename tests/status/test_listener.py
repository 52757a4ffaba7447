"""The listener over HTTP: what it answers, whom it refuses, and what clients cannot hold up."""

import contextlib
import json
import socket
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from mmsync.errors import MmsyncError
from mmsync.status import ModelStatus, Reconcile, listener as listener_module
from mmsync.status.document import document, read_document
from mmsync.status.listener import listening

PATHS = ["/", "/api/status", "/metrics", "/healthz", "/readyz", "/events", "/assets/gone", "/gone"]


def models(count):
    return tuple(
        ModelStatus(f"model_{number:05}", "ONNX", "synced", "ab" * 32, 1000, 1.5, 1.5) for number in range(count)
    )


def streamed(address):
    """Open a stream of events; return its lines as they come, and what closes it."""
    answer = requests.get(f"{address}/events", stream=True, timeout=20)
    assert answer.headers["content-type"] == "text/event-stream"
    return answer.iter_lines(chunk_size=1, decode_unicode=True), answer.close


def open_at(port):
    """Return this process's connections that were accepted at a port and are still open."""
    found = psutil.Process().net_connections("tcp")
    return [one for one in found if one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED]


def told(lines):
    """Return the data of the next event."""
    return next(json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_can_be_had_by_head_and_carries_the_headers_that_protect_a_browser(address, path):
    answer = requests.head(address + path, timeout=20)
    assert answer.content == b""
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_but_reading_is_answered(address, method):
    for path in PATHS:
        answer = requests.request(method, address + path, data=b"x", timeout=20)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("127.0.0.1:1", True),
        ("localhost", True),
        ("LOCALHOST.:80", True),
        ("[::1]:80", True),
        ("10.1.2.3:8787", True),
        (socket.gethostname(), True),
        ("status.example", True),
        ("Status.Example:443", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("status.example.evil", False),
        ("", False),
        ("localhost@evil.example", False),
    ],
)
def test_a_name_that_others_can_give_this_machine_is_refused(source, host, is_known):
    with listening("127.0.0.1", 0, source, allowed_hosts=["status.example"]) as address:
        connection = HTTPConnection(urlsplit(address).netloc, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/api/status", headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == (200 if is_known else 421)
            assert is_known or b"--allow-host" in answer.read()


def test_health_and_readiness(source, address):
    assert requests.get(f"{address}/healthz", timeout=20).text == "ok\n"
    not_yet = requests.get(f"{address}/readyz", timeout=20)
    assert not_yet.status_code == 503
    source.publish(is_ready=True)
    assert requests.get(f"{address}/readyz", timeout=20).status_code == 200
    source.alive = False
    answer = requests.get(f"{address}/healthz", timeout=20)
    assert (answer.status_code, answer.text) == (503, "the watcher has made no progress for three intervals\n")


def test_the_status_is_the_value_and_comes_back_as_it(source, address):
    source.publish(models=models(3), history=(Reconcile(1.5, 0.25, "changed", "3 added"),))
    found = requests.get(f"{address}/api/status", timeout=20).json()
    assert found == json.loads(json.dumps(document(source.status)))
    assert read_document(found) == source.status


def test_each_new_status_is_told_to_whoever_listens(source, address):
    lines, close = streamed(address)
    assert told(lines)["revision"] == 1
    source.publish(models=models(1))
    assert told(lines) == {"revision": 2, "health": "ok", "headline": "All is well: the one model is in sync."}
    close()


def test_a_client_that_never_reads_holds_up_nobody_and_is_ended(source, monkeypatch):
    monkeypatch.setattr(listener_module._Protocol, "write_seconds", 0.5)
    monkeypatch.setattr(listener_module, "_TICK", 0.1)
    source.publish(models=models(40_000))  # more than the buffers between two sockets hold
    with listening("127.0.0.1", 0, source) as address, contextlib.ExitStack() as stack:
        host = urlsplit(address)
        deaf = [stack.enter_context(socket.create_connection((host.hostname, host.port))) for _ in range(5)]
        for one in deaf:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        lines, close = streamed(address)
        first = told(lines)["revision"]
        source.publish()
        assert told(lines)["revision"] == first + 1
        close()
        deadline = time.monotonic() + 60
        while open_at(host.port):
            assert time.monotonic() < deadline, "they were not ended"
            threading.Event().wait(0.05)


def test_streams_are_ended_with_the_listener(source):
    with listening("127.0.0.1", 0, source) as address:
        lines, close = streamed(address)
        told(lines)
        rest = []
        reader = threading.Thread(target=lambda: rest.extend(lines), daemon=True)
        reader.start()
    reader.join(20)
    assert not reader.is_alive()
    close()


def test_streams_are_limited(source, monkeypatch):
    monkeypatch.setattr(listener_module, "_MOST_STREAMS", 2)
    with listening("127.0.0.1", 0, source) as address, contextlib.ExitStack() as stack:
        open_ones = [streamed(address) for _ in range(2)]
        for lines, close in open_ones:
            stack.callback(close)
            told(lines)
        assert requests.get(f"{address}/events", timeout=20).status_code == 503


def test_an_address_in_use_is_an_error_that_says_so(source, address):
    with (
        pytest.raises(MmsyncError, match="cannot listen on 127"),
        listening("127.0.0.1", urlsplit(address).port, source),
    ):
        pass
