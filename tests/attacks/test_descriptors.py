"""Connections that only take up room: good clients are answered beside them, at little cost and in few words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import subprocess
import sys

import psutil
import pytest

from mmsync.client import create_client_from_token
from mmsync.http_server import connection_limits
from mmsync.server import running

TOKEN = "t" * 20
HALF_OPEN = {
    "nothing": b"",
    "half a line": b"GET /mod",
    "half the headers": b"GET /models HTTP/1.1\r\nHost: a\r\nX: ",
    "no body": b"POST /models HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
    "half an upload": b"POST /models/images/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n",
}


@pytest.fixture
def served(tmp_path):
    """A real `mmsync serve` with 256 descriptors; its process, port, and where its stderr goes."""
    words = [sys.executable, "-m", "mmsync", "serve", str(tmp_path / "srv"), "--port", "0", "--token", TOKEN]
    errors = tmp_path / "stderr"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", *words], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        try:
            url = process.stdout.readline().strip().partition("=")[2].strip("'\"")
            yield process, url, errors
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def connections(url, count, start):
    port = int(url.rpartition(":")[2])
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        with contextlib.suppress(OSError):
            connection.sendall(start)
        yield connection


@pytest.mark.parametrize("kind", HALF_OPEN)
def test_good_clients_are_answered_beside_hundreds_of_half_open_requests(kind, served, scale, tmp_path):
    process, url, errors = served
    (tmp_path / "m.bin").write_bytes(b"content")
    with contextlib.ExitStack() as stack:
        for connection in connections(url, 400 * scale, HALF_OPEN[kind]):
            stack.callback(connection.close)
        server = psutil.Process(process.pid)
        before = sum(server.cpu_times()[:2])
        with create_client_from_token(url, TOKEN) as client:
            for number in range(3):
                client.add_model(f"m{number}", "MLSTATS", tmp_path / "m.bin", force=True)
            assert len(client.get_models()) == 3
        assert server.num_fds() <= 256
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
        assert process.poll() is None
        # A core at work all the time would have spent the two seconds, and what came before.
        assert sum(server.cpu_times()[:2]) - before < 1.5
    assert errors.stat().st_size < 4_000, errors.read_bytes()[:2000]


def test_a_client_that_never_ends_its_headers_or_body_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_limits, "_HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connection_limits, "_BODY_SECONDS", 0.2)
    with running(tmp_path / "srv", token=TOKEN) as address:
        for start in HALF_OPEN.values():
            authorised = start.replace(b"Host: a", b"Host: a\r\nstandAloneToken: " + TOKEN.encode())
            [connection] = connections(address.url, 1, authorised)
            with connection:
                connection.settimeout(20)
                with contextlib.suppress(ConnectionResetError):
                    while connection.recv(10_000):
                        pass


def test_a_slow_upload_that_goes_on_is_not_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_limits, "_BODY_SECONDS", 0.5)
    body = b'--x\r\nContent-Disposition: form-data; name="engine"\r\n\r\nMLSTATS\r\n'
    body += (
        b'--x\r\nContent-Disposition: form-data; name="fileName"; filename="m"\r\n\r\n' + bytes(3000) + b"\r\n--x--\r\n"
    )
    head = (
        f"POST /models/images/upload HTTP/1.1\r\nHost: a\r\nstandAloneToken: {TOKEN}\r\nContent-Length: {len(body)}\r\n"
    )
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    with running(tmp_path / "srv", token=TOKEN) as address:
        [connection] = connections(address.url, 1, head.encode())
        with connection:
            pause = asyncio.run
            for at in range(0, len(body), 300):
                connection.sendall(body[at : at + 300])
                pause(asyncio.sleep(0.15))
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_servers_folder_is_its_owners_alone(umask, tmp_path):
    (tmp_path / "m.bin").write_bytes(b"content")
    before = os.umask(umask)
    try:
        with (
            running(tmp_path / "new/srv", token=TOKEN) as address,
            create_client_from_token(address.url, TOKEN) as client,
        ):
            client.add_model("m", "MLSTATS", tmp_path / "m.bin")
            made = [tmp_path / "new/srv", *(tmp_path / "new/srv").rglob("*")]
            assert any(path.name.endswith("-wal") for path in made)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
    finally:
        os.umask(before)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
