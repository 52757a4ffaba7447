"""Uploads and downloads: aborted, large, slow, against a full disk, and while the server stops."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from mmsync.server import running, store

if TYPE_CHECKING:
    from pathlib import Path
from support.model_files import MULTIPART, form

# A server in a process of its own; the test tells it what to do before it serves.
PROGRAM = """
import resource, sys, threading
from mmsync.server import serve
{setup}
def ready(address):
    print(address.url, flush=True)
    if {dies_with_stdin}:
        threading.Thread(target=lambda: (sys.stdin.read(), __import__("os")._exit(0)), daemon=True).start()
serve(sys.argv[1], port=0, token="t", on_ready=ready)
"""


def start(folder: Path, setup: str = "") -> tuple[subprocess.Popen[str], str]:
    program = PROGRAM.format(setup=setup, dies_with_stdin=True)
    process = subprocess.Popen(
        [sys.executable, "-c", program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, process.stdout.readline().strip()


@pytest.fixture
def process(folder):
    process, url = start(folder)
    yield process, url
    end(process)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def wait_until(condition, seconds: float = 10) -> None:
    """Poll for what has no event: files another thread or process makes and removes."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.005)


def begin_upload(address_url: str, token: str, sent: bytes, promised: int, more: str = "") -> socket.socket:
    """Send the head of an upload of ``promised`` bytes and the first of them, and keep the connection."""
    peer = urlsplit(address_url)
    connection = socket.create_connection((peer.hostname, peer.port))
    head = (
        f"POST /models/images/upload HTTP/1.1\r\nHost: x\r\nstandAloneToken: {token}\r\n"
        f"Content-Type: {MULTIPART['Content-Type']}\r\nContent-Length: {promised}\r\n{more}\r\n"
    )
    connection.sendall(head.encode() + sent)
    return connection


def test_a_client_that_goes_away_leaves_nothing(http, folder):
    body = form("MLSTATS", b"x" * 5_000_000)
    with begin_upload(http.address.url, http.address.token, body[:4_000_000], len(body)):
        wait_until(lambda: list((folder / "incoming").iterdir()))
    wait_until(lambda: not list((folder / "incoming").iterdir()))
    assert not list((folder / "images").iterdir())
    assert http.image() == 1


def test_a_server_that_stops_cuts_off_an_upload_that_does_not_end(folder):
    body = form("MLSTATS", b"x" * 5_000_000)
    with running(folder, patience=0.1) as address:
        connection = begin_upload(address.url, address.token, body[:4_000_000], len(body))
        wait_until(lambda: list((folder / "incoming").iterdir()))
        started = time.monotonic()
    assert time.monotonic() - started < 2
    with connection:
        assert is_closed(connection)
    assert not list((folder / "incoming").iterdir())


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionError:
        return True


def accepts(url: str) -> bool:
    peer = urlsplit(url)
    try:
        socket.create_connection((peer.hostname, peer.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_server_that_stops_lets_a_request_in_flight_finish(folder):
    server = contextlib.ExitStack()
    address = server.enter_context(running(folder, patience=10))
    stopping = threading.Thread(target=server.close)
    body = form("MLSTATS", b"content")
    with begin_upload(address.url, address.token, b"", len(body), "Expect: 100-continue\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100")  # the server is reading the request now
        stopping.start()
        wait_until(lambda: not accepts(address.url))
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    stopping.join()


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 1 << 20, (1 << 20) + 1, 7_654_321])
def test_bytes_survive_whatever_their_size_and_content(http, size):
    # Full of what could be taken for the boundary.
    content = (b"\r\n--edge\r\n--edg\r\n--\r\r\n" * (size // 20 + 1))[:size].replace(b"\r\n--edge", b"\r\n--edgy")
    http.add("m", content)
    body = http.get("/models/m?fast=false").json()["image"]["image"]
    assert hashlib.sha256(base64.b64decode(body)).digest() == hashlib.sha256(content).digest()


def test_the_engine_may_come_after_the_file(http):
    file_part = form(None, b"content").removesuffix(b"--edge--\r\n")
    reply = http.ask("POST", "/models/images/upload", data=file_part + form("MLSTATS", None), headers=MULTIPART)
    assert reply.json()["valid"] is True


def test_an_upload_may_come_in_chunks_of_unknown_total(http):
    body = form("MLSTATS", b"content")
    pieces = (body[place : place + 1] for place in range(len(body)))
    assert http.ask("POST", "/models/images/upload", data=pieces, headers=MULTIPART).json()["size"] == 7


def test_large_uploads_and_downloads_take_constant_memory(process, tmp_path):
    process, url = process
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200 << 20)
    curl = ["curl", "-sS", "--fail", "-H", "standAloneToken: t"]
    server = psutil.Process(process.pid)
    requests.get(f"{url}/models", headers={"standAloneToken": "t"}, timeout=10)
    before = server.memory_info().rss
    peak, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak.append(server.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        uploaded = subprocess.run(
            [*curl, "-F", "engine=MLSTATS", "-F", f"fileName=@{large}", f"{url}/models/images/upload"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        image = json.loads(uploaded.stdout)["imageId"]
        body = json.dumps({"name": "m", "engine": "MLSTATS", "image": {"id": image}})
        subprocess.run([*curl, "-d", body, f"{url}/models"], check=True, timeout=60)
        subprocess.run([*curl, "-o", tmp_path / "down", f"{url}/models/m/image"], check=True, timeout=60)
    finally:
        done.set()
        watcher.join()
    assert max(peak) - before < 32 << 20
    assert (tmp_path / "down").stat().st_size > (200 << 20) * 4 // 3


def test_a_full_disk_is_507_and_the_server_goes_on(folder):
    # A limit on the size of files stands in for a full disk: the write fails just so, without root.
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))"
    process, url = start(folder, limit)
    try:
        for size, status in ((1000, 200), (8 << 20, 507), (1000, 200)):
            reply = requests.post(
                f"{url}/models/images/upload",
                data=form("MLSTATS", b"x" * size),
                headers={**MULTIPART, "standAloneToken": "t"},
                timeout=30,
            )
            assert reply.status_code == status, reply.text
        assert len(list((folder / "images").iterdir())) == 2
        assert not list((folder / "incoming").iterdir())
    finally:
        end(process)


def test_a_database_that_cannot_grow_loses_and_mixes_up_nothing(folder):
    # Its log meets the limit while commits are under way, after the files have got their names.
    process, url = start(folder, "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))")
    kept: dict[int, bytes] = {}

    def upload(number: int) -> int:
        content = b"%d " % number * 200
        reply = requests.post(
            f"{url}/models/images/upload",
            data=form("MLSTATS", content),
            headers={**MULTIPART, "standAloneToken": "t"},
            timeout=30,
        )
        if reply.ok:
            assert kept.setdefault(reply.json()["imageId"], content) == content
        return reply.status_code

    try:
        with ThreadPoolExecutor(8) as pool:
            statuses = set(pool.map(upload, range(200)))
        assert statuses in ({200, 500}, {200, 507}, {200, 500, 507})
        assert {int(path.name): path.read_bytes() for path in (folder / "images").iterdir()} == kept
        assert not list((folder / "incoming").iterdir())
    finally:
        end(process)
    with running(folder):
        assert {int(path.name): path.read_bytes() for path in (folder / "images").iterdir()} == kept


def test_a_damaged_image_is_an_error_and_never_half_a_download(http, folder):
    http.add("m", b"12345")
    (folder / "images" / "1").write_bytes(b"123")
    reply = http.get("/models/m?fast=false")
    assert (reply.status_code, reply.json()["code"]) == (500, 500)
    assert str(folder) not in reply.text
    (folder / "images" / "1").unlink()
    assert http.get("/models/m?fast=false").status_code == 500
    assert http.get("/models/m?fast=true").status_code == 200


def test_a_client_that_leaves_a_download_leaves_no_open_file(http):
    http.add("m", b"x" * 20_000_000)
    me = psutil.Process()
    for _ in range(5):
        with http.get("/models/m?fast=false", stream=True) as reply:
            assert reply.raw.read(1000)
    wait_until(lambda: not [file for file in me.open_files() if "/images/" in file.path])


class TestKilled:
    """``kill -9`` at any moment: what was acknowledged is there, what was not leaves nothing."""

    def test_everything_acknowledged_survives(self, folder):
        acknowledged: dict[str, int] = {}
        for round_ in range(3):
            process, url = start(folder)
            stop = threading.Event()
            writers = [
                threading.Thread(target=self.write, args=(url, f"{round_}-{number}", acknowledged, stop))
                for number in range(4)
            ]
            for writer in writers:
                writer.start()
            wait_until(lambda wanted=(round_ + 1) * 20: len(acknowledged) >= wanted)
            os.kill(process.pid, signal.SIGKILL)
            stop.set()
            for writer in writers:
                writer.join()
            end(process)

        with running(folder, token="t") as address:
            rows = requests.get(f"{address.url}/models", headers={"standAloneToken": "t"}, timeout=10).json()
            held = {row["name"]: row["imageId"] for row in rows}
            assert held.items() >= acknowledged.items()
            for name, image in held.items():
                assert (folder / "images" / str(image)).read_bytes() == name.encode() * 1000
            assert len({row["id"] for row in rows}) == len(rows)
            assert not list((folder / "incoming").iterdir())

    def write(self, url: str, prefix: str, acknowledged: dict[str, int], stop: threading.Event) -> None:
        number = 0
        with requests.Session() as session:
            session.headers["standAloneToken"] = "t"
            while not stop.is_set():
                number += 1
                name = f"{prefix}-{number}"
                try:
                    body = form("MLSTATS", name.encode() * 1000)
                    review = session.post(f"{url}/models/images/upload", data=body, headers=MULTIPART, timeout=10)
                    image = review.json()["imageId"]
                    saved = session.post(
                        f"{url}/models", json={"name": name, "engine": "MLSTATS", "image": {"id": image}}, timeout=10
                    )
                except requests.RequestException:
                    return
                assert saved.status_code == 200
                acknowledged[name] = image

    def test_a_start_clears_what_was_half_done_but_not_what_another_server_is_doing(self, folder):
        process, url = start(folder)
        body = form("MLSTATS", b"x" * 3_000_000)
        with begin_upload(url, "t", body[:2_500_000], len(body)):
            wait_until(lambda: list((folder / "incoming").iterdir()))
            with running(folder):  # a second server leaves the first one's upload alone
                assert len(list((folder / "incoming").iterdir())) == 1
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        end(process)
        (folder / "images" / "77").write_bytes(b"named, and killed before its row was written")
        assert len(list((folder / "incoming").iterdir())) == 1
        with running(folder):
            assert not list((folder / "incoming").iterdir())
            assert not list((folder / "images").iterdir())


def test_an_upload_whose_last_step_outlasts_the_server_is_kept_whole_or_not_at_all(tmp_path, monkeypatch):
    reached, over = threading.Event(), threading.Event()
    sync_folder = store._sync_folder

    def slow(folder):
        sync_folder(folder)
        if folder.name == "images":  # the file has its name; its row is not yet committed
            reached.set()
            over.wait(20)

    with running(tmp_path, token="t", patience=0.2) as address:
        monkeypatch.setattr(store, "_sync_folder", slow)

        def send():
            with contextlib.suppress(requests.RequestException):
                requests.post(
                    f"{address.url}/models/images/upload",
                    headers={"standAloneToken": "t"},
                    data={"engine": "MLSTATS"},
                    files={"fileName": ("m", b"abc")},
                    timeout=30,
                )

        client = threading.Thread(target=send)
        client.start()
        assert reached.wait(20)
        threading.Timer(1.5, over.set).start()  # well after the server has given up waiting
    client.join()
    over.wait(20)
    with contextlib.closing(sqlite3.connect(tmp_path / "mmsync-server.db")) as database:
        rows = database.execute("SELECT id FROM images").fetchall()
    assert len(rows) == len(list((tmp_path / "images").iterdir()))
    assert not list((tmp_path / "incoming").iterdir())
