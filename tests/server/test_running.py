"""Starting and stopping: fast, complete, as often as one likes, and never with the token in view."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
import requests

from mmsync.errors import MmsyncError
from mmsync.server import Address, running, serve


def answers(address: Address) -> bool:
    return requests.get(f"{address.url}/models", headers={"standAloneToken": address.token}, timeout=10).ok


def test_it_answers_at_once_and_not_at_all_afterwards(folder):
    with running(folder) as address:
        assert answers(address)
    with pytest.raises(requests.ConnectionError):
        answers(address)


def test_it_starts_and_stops_fast(folder):
    with running(folder):
        pass  # imports, and the folder's first time
    taken = []
    for _ in range(5):
        started = time.monotonic()
        with running(folder) as address:
            assert answers(address)
        taken.append(time.monotonic() - started)
    assert min(taken) < 0.15


def test_it_leaves_no_thread_no_file_and_no_socket(folder):
    with running(folder) as address:
        answers(address)
    me = psutil.Process()
    before = (me.num_fds(), threading.active_count())
    for _ in range(3):
        with running(folder) as address, requests.Session() as session:
            session.get(address.url + "/models", headers={"standAloneToken": address.token}, timeout=10)
    assert (me.num_fds(), threading.active_count()) == before


def test_it_stops_when_the_body_raises(folder):
    with pytest.raises(ZeroDivisionError), running(folder) as address:
        raise ZeroDivisionError
    with pytest.raises(requests.ConnectionError):
        answers(address)


def test_what_it_holds_is_there_the_next_time(folder, http):
    http.add("m")
    with running(folder, token="other") as address:
        reply = requests.get(f"{address.url}/models", headers={"standAloneToken": "other"}, timeout=10)
        assert [row["name"] for row in reply.json()] == ["m"]


def test_a_token_is_made_where_none_is_given_and_never_shown(folder, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with running(folder) as one, running(folder) as two:
        assert len(one.token) >= 32
        assert one.token != two.token
        assert one.token not in repr(one)
        answers(one)
        requests.get(f"{one.url}/models", headers={"standAloneToken": "wrong-token"}, timeout=10)
        output = capfd.readouterr()
        for secret in (one.token, "wrong-token"):
            assert secret not in caplog.text + output.out + output.err
    for path in folder.rglob("*"):
        assert path.is_dir() or one.token.encode() not in path.read_bytes()


def test_bytes_that_are_no_http_disturb_nobody(server, capfd):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert answers(server)
    assert capfd.readouterr().err == ""


def test_it_listens_on_loopback_unless_told_otherwise(folder):
    with running(folder) as address:
        assert address.url.startswith("http://127.0.0.1:")
    with running(folder, host="0.0.0.0") as address:
        assert address.url.startswith("http://127.0.0.1:")
        assert answers(address)


@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")  # noqa: PTH110
def test_it_can_listen_on_ipv6(folder):
    with running(folder, host="::1") as address:
        assert address.url.startswith("http://[::1]:")
        assert answers(address)


def test_a_taken_port_is_one_clear_error(server, tmp_path):
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(MmsyncError, match=f"cannot listen on 127.0.0.1 port {port}"), running(tmp_path, port=port):
        pass


@pytest.mark.parametrize("port", [-1, 65_536, 70_000])
def test_a_number_that_is_no_port_is_refused(tmp_path, port):
    with pytest.raises(MmsyncError, match=f"port {port}: a port is a number"), running(tmp_path, port=port):
        pass


def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(MmsyncError, match="cannot hold a Model Manager"), running(file):
        pass
    (tmp_path / "mmsync-server.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(MmsyncError, match="cannot hold a Model Manager"), running(tmp_path):
        pass


def test_an_empty_token_is_refused(folder):
    with pytest.raises(MmsyncError, match="empty"), running(folder, token=" "):
        pass


def test_serve_runs_until_told_to_stop(folder):
    stop, ready, addresses = threading.Event(), threading.Event(), []

    def announce(address: Address) -> None:
        addresses.append(address)
        ready.set()

    thread = threading.Thread(target=serve, args=(folder,), kwargs={"port": 0, "on_ready": announce, "stop": stop})
    thread.start()
    assert ready.wait(10)
    assert answers(addresses[0])
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_importing_it_is_cheap():
    loaded = python("import sys, mmsync.server; print(*sys.modules)").split()
    assert not {"starlette", "uvicorn", "python_multipart", "sqlite3", "asyncio", "onnx"} & set(loaded)


def test_a_missing_extra_is_named(tmp_path):
    program = f"""
import sys
sys.modules["starlette"] = None
from mmsync.errors import MmsyncError
from mmsync.server import running
try:
    with running({str(tmp_path)!r}):
        pass
except MmsyncError as error:
    print(error, error.hint)
"""
    assert "pip install '.[server]'" in python(program)
