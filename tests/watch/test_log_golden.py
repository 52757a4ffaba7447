"""What a person reads when something goes wrong and comes right again, to the letter."""

from __future__ import annotations

import re
import signal
import socket

import pytest

from mmsync.server import running
from support.watching import ServerView, inside, json_model, write_manifest


@pytest.fixture
def address():
    """The address of a server that is not there yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))

        class Address:
            port = free.getsockname()[1]
            url, token = f"http://127.0.0.1:{port}", "t" * 20

    return Address


def lines(process, root):
    """The log without its times, its folder called ROOT and the server URL."""
    process.stop()
    told = [line.split("Z ", 1)[1].replace(str(root), "ROOT") for line in process.other]
    return [re.sub(r"http://127\.0\.0\.1:\d+", "URL", line) for line in told]


def told(process, text):
    return lambda: any(text in line for line in process.other)


START = (
    "watch_started: watching ROOT/models.yaml for URL: a file is taken once it rests for 0.2 s, drift is set right, "
    "what nothing lists is left alone; everything is looked at every 300 s"
)
LISTENING = "watch_listening: models are looked for in ROOT; changes become known by file events"
REACHED = "server_reached: the server is URL"
END = ["watch_stopping: what is in flight finishes, nothing new begins", "watch_stopped: stopped by a signal"]


def test_a_server_away_and_a_token_expired(root, watch, tmp_path, address):
    write_manifest(root, {"a": "a.json"})
    (root / "a.json").write_bytes(json_model(1))
    token = tmp_path / "token"
    token.write_text("old")
    token.chmod(0o600)
    process = watch("--log-format", "text", "--token-file", str(token), server=address, env={"MMSYNC_TOKEN": None})
    process.until(told(process, "server_failed"))
    with running(tmp_path / "server", port=address.port, token=address.token) as there:
        view = ServerView(there)
        process.send(signal.SIGHUP)
        process.until(told(process, "token_failed"))
        token.write_text(address.token)
        process.until(lambda: view.holds({"a": json_model(1)}))
        process.until(told(process, "reconciled"))
        view.close()
    assert lines(process, root) == [
        START,
        "manifest_loaded: the manifest is in force: 1 model listed",
        LISTENING,
        "server_failed: error: Cannot connect to URL: Connection refused; it is tried again until it works [network]",
        "reconcile_asked: SIGHUP: everything is looked at and tried anew",
        "server_recovered: the server answers again",
        (
            "token_failed: error: URL: 5: Token invalid or expired (renew the token, and check that the authentication type is "
            "the one it was made for); it is tried again until it works [token]"
        ),
        "token_recovered: the server accepts the token again",
        REACHED,
        "model_added: a added",
        "reconciled: 1 added; 0 unchanged",
        *END,
    ]


def test_a_manifest_broken_and_mended(root, watch, server):
    path = write_manifest(root, {"a": "a.json"})
    good = path.read_text()
    (root / "a.json").write_bytes(json_model(1))
    process = watch("--log-format", "text")
    process.until(told(process, "reconciled"))
    path.write_text(good.replace("name: a", "nmae: a") + "version: 1\n")
    process.until(told(process, "manifest_failed"))
    path.write_text(good)
    process.until(told(process, "manifest_loaded"))
    process.until(lambda: sum("manifest_loaded" in line for line in process.other) == 2)
    found = lines(process, root)
    assert found[:6] == [
        START,
        "manifest_loaded: the manifest is in force: 1 model listed",
        LISTENING,
        REACHED,
        "model_added: a added",
        "reconciled: 1 added; 0 unchanged",
    ]
    assert found[6].startswith(
        "manifest_failed: error: the manifest has errors; the last good one stays in force: ROOT/models.yaml:5:"
    )
    assert "ROOT/models.yaml:6:1: " in found[6]
    assert found[7:] == [
        "manifest_recovered: the manifest is good again",
        "manifest_loaded: the manifest is in force: 1 model listed",
        *END,
    ]


def test_a_file_that_is_missing_one_that_is_refused_and_a_folder_that_went(root, watch, server):
    write_manifest(root, {"a": "a.json", "b": "sub/b.json"}, discover="drop/*.json")
    for folder in ("sub", "drop"):
        (root / folder).mkdir()
    (root / "a.json").write_bytes(b"no json")
    (root / "drop" / "c.json").write_bytes(json_model(3))
    process = watch("--log-format", "text")
    process.until(told(process, "reconciled"))
    (root / "a.json").write_bytes(json_model(1))
    process.until(told(process, "model_recovered: a"))
    (root / "sub" / "b.json").write_bytes(json_model(2))
    process.until(told(process, "model_added: b"))
    (root / "drop").rename(root / "elsewhere")
    process.until(told(process, "root_failed"))
    (root / "elsewhere").rename(root / "drop")
    process.until(told(process, "root_replaced"))
    found = lines(process, root)
    assert found[1] == "manifest_loaded: the manifest is in force: 2 models listed, 1 discover rule"
    assert found[2] == LISTENING.replace("ROOT", "ROOT, ROOT/drop")
    assert found[3] == REACHED
    assert sorted(found[4:8]) == [
        "model_added: c added",
        (
            "model_failed: error: ROOT/models.yaml:5:5: a: ROOT/a.json: it is no JSON: expecting value at line 1 column 1 "
            "(export it again, or correct engine or file); it waits until its file or its entry changes [file/misfit]"
        ),
        (
            "model_failed: error: ROOT/models.yaml:6:5: b: ROOT/sub/b.json: there is no such file (check the path; it is "
            "relative to the manifest) [file/unreadable]"
        ),
        "reconciled: 1 added; 0 unchanged",
    ]
    assert found[8:] == [
        "model_recovered: a: nothing is wrong any more",
        "model_added: a added",
        "reconciled: 1 added; 1 unchanged",
        "model_recovered: b: nothing is wrong any more",
        "model_added: b added",
        "reconciled: 1 added; 2 unchanged",
        "root_failed: error: ROOT/drop: it is not there; nothing of it is changed or deleted until it returns [unknown]",
        "root_recovered: ROOT/drop is there again",
        (
            "root_replaced: warning: ROOT/drop: it has returned; what it holds is taken, what it lacks is not deleted for "
            "now [replaced]"
        ),
        *END,
    ]


def test_a_full_disk_under_the_ledger(root, watch, server, in_namespace, tmp_path):
    write_manifest(root, {"a": "a.json"})
    (root / "a.json").write_bytes(json_model(1))
    small = tmp_path / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=128k none "{small}"; head -c 1M /dev/zero > "{small}/fill" 2>/dev/null || true; exec "$@"'
    environment = {"MMSYNC_CACHE_DIR": str(small / "cache")}
    process = watch("--log-format", "text", before=[*in_namespace, "sh", "-ec", script, "sh"], env=environment)
    process.until(lambda: server.holds({"a": json_model(1)}))
    process.until(told(process, "reconciled"))
    inside(process, f'rm "{small}/fill"')
    (root / "a.json").write_bytes(json_model(2))
    process.until(lambda: server.holds({"a": json_model(2)}))
    process.until(told(process, "model_changed"))
    found = lines(process, root)
    assert [line.replace(str(small), "SMALL") for line in found] == [
        START,
        "manifest_loaded: the manifest is in force: 1 model listed",
        LISTENING,
        (
            "ledger_failed: warning: cannot open the ledger SMALL/cache/ledger.sqlite (database or disk is full); "
            "the next run may be slower; set MMSYNC_CACHE_DIR to a folder that can be written [ledger]"
        ),
        REACHED,
        "model_added: a added",
        "reconciled: 1 added; 0 unchanged",
        "ledger_recovered: the ledger can be used again",
        "model_changed: a changed (content)",
        "reconciled: 1 changed; 0 unchanged",
        *END,
    ]
