"""What a real watcher shows with ``--listen``, and what becomes of that when things go wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from support.fault_proxy import FaultProxy
from support.watching import PATIENCE, json_model, write_manifest
from support.wire import Wire


def shown(process):
    """Wait until it listens; return its address."""
    return process.seen("listening")["url"]


def status(url):
    return requests.get(f"{url}/api/status", timeout=20).json()


def until(condition, what="it"):
    """Wait until something is shown: what the log tells is there within a moment."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)
    return found


def states(url):
    return {model["name"]: model["state"] for model in status(url)["models"]}


def command(arguments, watch_environment):
    return subprocess.run(
        [sys.executable, "-m", "mmsync", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **watch_environment},
        timeout=60,
        check=False,
    )


def test_a_drop_a_failure_and_a_recovery_are_shown(root, watch, server):
    write_manifest(root, discover="*.json")
    (root / "a.json").write_bytes(json_model(1))
    process = watch("--listen", "127.0.0.1:0")
    url = shown(process)
    process.seen("model_added", model="a")
    found = until(lambda: status(url) if states(url) == {"a": "synced"} else None)
    assert found["well"]
    assert found["headline"] == "All is well: the one model is in sync."
    [model] = found["models"]
    assert (model["engine"], model["size"]) == ("BIGML", len(json_model(1)))
    assert model["synced_at"]
    assert found["history"][0]["changes"][0] | {"size": 0, "sha256": ""} == {
        "name": "a", "action": "add", "reasons": [], "status": "verified", "code": "", "message": "",
        "sha256": "", "size": 0, "uploaded": len(json_model(1)),
    }  # fmt: skip

    (root / "b.json").write_bytes(b"no json at all")
    process.seen("model_failed", model="b")
    until(lambda: states(url) == {"a": "synced", "b": "blocked"})
    bad = next(model for model in status(url)["models"] if model["name"] == "b")
    assert bad["code"] == "file/misfit"
    assert "it waits until its file or its entry changes" in bad["message"]
    assert bad["hint"]
    assert not status(url)["well"]

    (root / "b.json").write_bytes(json_model(2))
    process.seen("model_recovered", model="b")
    until(lambda: states(url) == {"a": "synced", "b": "synced"})
    assert str(root) not in json.dumps(status(url)), "no path of this machine is shown"
    assert server.token not in json.dumps(status(url))


def test_what_settles_what_drifts_and_what_nothing_lists(root, watch, server):
    contents = {"a": json_model(1), "c": json_model(3)}
    for name, data in contents.items():
        (root / f"{name}.json").write_bytes(data)
    write_manifest(root, {"a": "a.json", "c": "c.json"}, scope="[ac]*")
    process = watch("--listen", "127.0.0.1:0", "--on-drift", "report", settle="1")
    url = shown(process)
    until(lambda: states(url) == {"a": "synced", "c": "synced"})
    requests.delete(f"{server.url}/models/c", headers={"standAloneToken": server.token}, timeout=10)
    process.send(signal.SIGHUP)
    process.seen("drift_found", model="c")
    until(lambda: states(url) == {"a": "synced", "c": "drifted"})
    (root / "a.json").write_bytes(json_model(5))
    until(lambda: states(url)["a"] == "settling")
    until(lambda: states(url)["a"] == "synced")
    write_manifest(root, {"a": "a.json"}, scope="a*")
    (root / "a.json").write_bytes(json_model(6))
    until(lambda: states(url) == {"a": "synced"})


def test_a_server_that_is_away_is_told_by_readyz_within_an_interval(root, watch, server):
    (root / "a.json").write_bytes(json_model(1))
    write_manifest(root, {"a": "a.json"})
    with FaultProxy(server.url) as proxy:
        server_there = type("There", (), {"url": proxy.url, "token": server.token})
        process = watch("--listen", "127.0.0.1:0", server=server_there, interval="0.5")
        url = shown(process)
        until(lambda: requests.get(f"{url}/readyz", timeout=20).status_code == 200)
    until(lambda: requests.get(f"{url}/readyz", timeout=20).status_code == 503)
    assert "Something needs you" in requests.get(f"{url}/readyz", timeout=20).text
    assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
    assert requests.get(f"{url}/", timeout=20).status_code == 200
    process.seen("server_failed")


def test_a_broken_manifest_is_shown_with_its_place(root, watch, server):
    (root / "models.yaml").write_text("version: 1\nmodles: []\nmodels: []\n")
    process = watch("--listen", "127.0.0.1:0")
    url = shown(process)
    process.seen("manifest_failed")
    [found] = until(lambda: status(url)["diagnostics"])
    assert (found["code"], found["file"], found["line"]) == ("manifest/unknown-key", "models.yaml", 2)
    assert status(url)["health"] == "degraded"
    assert status(url)["manifests"] == ["models.yaml"]


def test_the_command_finds_the_watcher_of_this_machine(root, watch, server, tmp_path):
    (root / "a.json").write_bytes(json_model(1))
    write_manifest(root, {"a": "a.json"})
    environment = {"MMSYNC_CACHE_DIR": str(tmp_path / "cache")}
    nobody = command(["status"], environment)
    assert nobody.returncode == 1
    assert "no watcher of this user on this machine shows its status" in nobody.stderr
    process = watch("--listen", "127.0.0.1:0", env=environment)
    url = shown(process)
    until(lambda: states(url) == {"a": "synced"})
    done = command(["status"], environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("All is well: the one model is in sync.\n")
    found = command(["status", url, "--format", "json"], environment)
    assert json.loads(found.stdout)["summary"]["synced"] == 1

    (announced,) = Path(environment["MMSYNC_CACHE_DIR"], "watchers").iterdir()
    with FaultProxy(url) as proxy:
        announced.write_text(json.dumps({"url": proxy.url}))
        assert command(["status"], environment).stdout == done.stdout
        assert [each.path for each in proxy.exchanges] == ["/api/status"]
    announced.write_text(json.dumps({"url": url}))

    second = watch("--listen", "127.0.0.1:0", env=environment)
    shown(second)
    both = command(["status"], environment)
    assert both.returncode == 1
    assert url in both.stderr
    second.kill()
    assert command(["status"], environment).returncode == 0, "what a killed watcher left behind is passed over"
    assert len(list(Path(environment["MMSYNC_CACHE_DIR"], "watchers").iterdir())) == 1
    assert process.stop() == 143
    assert not list(Path(environment["MMSYNC_CACHE_DIR"], "watchers").iterdir())
    assert command(["status", url], environment).returncode == 1


def test_a_watcher_that_is_slow_is_not_forgotten(root, watch, server, tmp_path):
    write_manifest(root)
    environment = {"MMSYNC_CACHE_DIR": str(tmp_path / "cache")}
    process = watch("--listen", "127.0.0.1:0", env=environment)
    url = shown(process)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        slow = command(["status", "--timeout", "0.2"], environment)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert (slow.returncode, slow.stdout) == (1, "")
    assert slow.stderr.startswith(f"Error: {url} does not answer within 0.2 s\n")
    until(lambda: command(["status"], environment).returncode == 0)


@pytest.mark.parametrize(
    "then", [lambda connection: None, lambda connection: connection.recv(1)], ids=["end", "silence"]
)
def test_a_status_that_breaks_off_is_told(then):
    def reply(_):
        def begin(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            then(connection)

        return begin

    with Wire(reply) as wire:
        done = command(["status", wire.url, "--timeout", "0.2"], {})
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"Error: the answer of {wire.url} broke off: ")
        assert done.stderr.endswith("\n  ask again\n")


def test_it_ends_as_ever_while_clients_listen(root, watch, server):
    write_manifest(root)
    process = watch("--listen", "127.0.0.1:0")
    url = shown(process)
    with requests.get(f"{url}/events", stream=True, timeout=20) as stream:
        assert next(stream.iter_lines()) == b"retry: 2000"
        assert process.stop() == 143


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:99999", "is no HOST:PORT"),
        (":8787", "names no host: 127.0.0.1:8787 is for this machine, 0.0.0.0:8787 for all"),
        ("nowhere", "is no HOST:PORT"),
        ("256.0.0.1:0", "cannot listen on 256.0.0.1"),
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_begins(root, watch, server, address, said):
    write_manifest(root)
    process = watch("--listen", address)
    assert process.wait() == 1
    assert said in "\n".join(process.other)
    assert process.events() == []


def test_a_port_in_use_is_told_with_the_way_out(root, watch, server):
    write_manifest(root)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = watch("--listen", f"127.0.0.1:{port}")
        assert process.wait() == 1
    said = "\n".join(process.other)
    assert f"cannot listen on 127.0.0.1 port {port}" in said
    assert "choose another port, or 0 for a free one" in said
