"""Starting, stopping, recovering: what a watcher that runs for months goes through."""

from __future__ import annotations

import http.server
import inspect
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import requests

from mmsync.apply.executor import apply_changes
from mmsync.server import running
from support.fault_proxy import FaultProxy
from support.watching import ServerView, inside, json_model, sha256, write_manifest


def one(root, value=1):
    write_manifest(root, {"a": "a.json"})
    (root / "a.json").write_bytes(json_model(value))
    return {"a": json_model(value)}


def story(process, *events):
    """The messages of these events in order, without what differs from run to run."""
    return [(r["level"], r["event"], r["message"]) for r in process.records if r["event"] in events]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_the_shell_s_code(root, watch, server, number, code):
    contents = one(root)
    process = watch()
    process.until(lambda: server.holds(contents))
    process.seen("reconciled")
    assert process.stop(number) == code
    assert process.events()[-2:] == ["watch_stopping", "watch_stopped"]


def test_sighup_reconciles_now(root, watch, server):
    contents = one(root)
    process = watch()
    process.until(lambda: server.holds(contents))
    requests.delete(f"{server.url}/models/a", headers={"standAloneToken": server.token}, timeout=10)
    assert server.names() == []
    process.send(signal.SIGHUP)
    process.until(lambda: server.holds(contents))
    assert process.of("drift_found")[0]["message"] == "a was deleted on the server, outside mmsync; it is set right"


def test_drift_that_is_only_reported_stays_until_the_file_or_the_server_changes(root, watch, server):
    contents = one(root)
    process = watch("--on-drift", "report", interval="0.5")
    process.until(lambda: server.holds(contents))
    requests.delete(f"{server.url}/models/a", headers={"standAloneToken": server.token}, timeout=10)
    told = process.seen("drift_found", model="a")
    assert told["message"] == "a was deleted on the server, outside mmsync; it is left alone (--on-drift report)"
    process.send(signal.SIGHUP)
    (root / "a.json").write_bytes(json_model(2))
    process.until(lambda: server.holds({"a": json_model(2)}))
    process.seen("drift_gone", model="a")
    assert len(process.of("drift_found")) == 1


def test_once_makes_one_settled_pass(root, watch, server):
    contents = one(root)
    process = watch("--once")
    assert process.wait() == 0
    assert server.holds(contents)
    assert watch("--once").wait() == 0
    write_manifest(root, {"a": "a.json", "b": "b.json"})
    process = watch("--once")
    assert process.wait() == 1
    assert "b.json: there is no such file" in process.of("model_failed")[0]["message"]
    (root / "models.yaml").write_text("models: [")
    process = watch("--once")
    assert process.wait() == 1
    assert process.of("manifest_failed")


def test_a_permanent_failure_waits_for_the_file_or_the_entry(root, watch, server):
    contents = one(root)
    (root / "bad.json").write_bytes(b"no json at all")
    write_manifest(root, {"a": "a.json", "bad": "bad.json"})
    process = watch(interval="0.4")
    process.until(lambda: server.holds(contents))
    told = process.seen("model_failed", model="bad", code="file/misfit")
    assert told["message"].endswith("it waits until its file or its entry changes")
    for value in (2, 3, 4):
        contents["a"] = json_model(value)
        (root / "a.json").write_bytes(contents["a"])
        process.send(signal.SIGHUP)
        process.until(lambda: server.holds(contents))
    assert len(process.of("model_failed")) == 1
    process.until(lambda: process.rounds() == 4)
    contents["bad"] = json_model(4)
    (root / "bad.json").write_bytes(contents["bad"])
    process.until(lambda: server.holds(contents))
    process.seen("model_recovered", model="bad")
    process.until(lambda: process.rounds() == 5)
    assert [(r["message"], r.get("waiting")) for r in process.of("reconciled")] == [
        ("1 added; 0 unchanged", None),
        *[("1 changed; 0 unchanged", None)] * 3,
        ("1 added; 1 unchanged", None),
    ]


def test_a_manifest_broken_and_mended_is_told_once_and_the_last_good_one_stays(root, watch, server):
    contents = one(root)
    good = (root / "models.yaml").read_text()
    process = watch(interval="0.4")
    process.until(lambda: server.holds(contents))
    (root / "models.yaml").write_text(good + "modles: []\n")
    process.seen("manifest_failed")
    contents["a"] = json_model(5)
    (root / "a.json").write_bytes(contents["a"])
    process.until(lambda: server.holds(contents))
    (root / "models.yaml").unlink()
    process.until(lambda: len(process.of("manifest_failed")) == 2)
    (root / "models.yaml").write_text(good)
    process.seen("manifest_recovered")
    contents["a"] = json_model(6)
    (root / "a.json").write_bytes(contents["a"])
    process.until(lambda: server.holds(contents))
    path = root / "models.yaml"
    stays = "the manifest has errors; the last good one stays in force: "
    assert story(process, "manifest_failed", "manifest_recovered") == [
        ("error", "manifest_failed", f"{stays}{path}:6:1: the manifest has no key 'modles' (did you mean models?)"),
        ("error", "manifest_failed", process.of("manifest_failed")[1]["message"]),
        ("info", "manifest_recovered", "the manifest is good again"),
    ]
    assert process.of("manifest_failed")[1]["message"].startswith(f"{stays}{path}:1:1: ")


def test_a_hidden_file_among_the_manifests_is_none_of_them_and_holds_up_no_other(root, watch, server):
    contents = one(root)
    over = threading.Event()

    def editor():  # its swap file, written all the time and never settled
        while not over.wait(0.02):
            (root / ".x.yaml").write_text(f"models: [{time.monotonic()}")

    thread = threading.Thread(target=editor)
    thread.start()
    try:
        process = watch(manifest=root)
        process.until(lambda: server.holds(contents))
        contents["b"] = json_model(2)
        (root / "b.json").write_bytes(contents["b"])
        (root / "more.yaml").write_text("models: [{name: b, engine: MLSTATS, file: b.json}]\n")
        process.until(lambda: server.holds(contents))
    finally:
        over.set()
        thread.join()
    assert not process.of("manifest_failed")


def test_a_server_that_is_too_slow_is_told_and_waited_for(root, watch, server):
    contents = one(root)
    fast = threading.Event()

    def drip(exchange):
        while not fast.wait(0.02):
            exchange.connection.sendall(b"H")
        exchange.answer(exchange.forward())

    with FaultProxy(server.url) as proxy:
        proxy.on("list", drip)
        process = watch("--timeout", "0.3", server=SimpleNamespace(url=proxy.url, token=server.token))
        failed = process.seen("server_failed", code="server-too-slow")
        assert "is too slow" in failed["message"]
        fast.set()
        process.send(signal.SIGHUP)
        process.until(lambda: server.holds(contents))
    process.seen("server_recovered")


def test_a_server_that_is_away_is_waited_for(root, watch, tmp_path):
    contents = one(root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    class Away:
        url, token = f"http://127.0.0.1:{port}", "t" * 20

    process = watch(server=Away)
    process.seen("server_failed", code="network")
    with running(tmp_path / "server", port=port, token=Away.token) as address:
        view = ServerView(address)
        process.send(signal.SIGHUP)
        process.until(lambda: view.holds(contents))
        process.until(lambda: len(process.of("server_recovered")) == 1)
        view.close()
    contents["a"] = json_model(3)
    (root / "a.json").write_bytes(contents["a"])
    process.until(lambda: len(process.of("server_failed")) == 2)
    with running(tmp_path / "server", port=port, token=Away.token) as address:
        view = ServerView(address)
        # No signal this time: it tries again by itself.
        process.until(lambda: view.holds(contents))
        process.until(lambda: len(process.of("server_recovered")) == 2)
        view.close()
    assert [event for event in process.events() if event in ("server_failed", "server_recovered")] == [
        "server_failed",
        "server_recovered",
        "server_failed",
        "server_recovered",
    ]
    assert process.of("server_recovered")[0]["message"] == "the server answers again"


def test_an_expired_token_is_read_anew_from_its_file(root, watch, server, tmp_path):
    contents = one(root)
    token = tmp_path / "token"
    token.write_text("expired-token\n")
    process = watch("--token-file", str(token), env={"MMSYNC_TOKEN": None})
    told = process.seen("token_failed")
    assert "token" in told["message"].lower()
    token.write_text(server.token)
    process.until(lambda: server.holds(contents))
    process.seen("token_recovered", message="the server accepts the token again")
    token.unlink()
    contents["a"] = json_model(9)
    (root / "a.json").write_bytes(contents["a"])
    process.until(lambda: len(process.of("token_failed")) == 2)
    assert f"cannot read the token file {token}" in process.of("token_failed")[1]["message"]
    token.write_text(server.token)
    process.until(lambda: server.holds(contents))
    process.stop()
    everything = json.dumps(process.records) + "".join(process.other)
    assert server.token not in everything
    assert "expired-token" not in everything


def test_a_full_disk_under_the_ledger_costs_nothing_but_time(root, watch, server, in_namespace, tmp_path):
    contents = one(root)
    small = tmp_path / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=64k none "{small}"; head -c 1M /dev/zero > "{small}/fill" 2>/dev/null || true; exec "$@"'
    environment = {"MMSYNC_CACHE_DIR": str(small / "cache")}
    process = watch(before=[*in_namespace, "sh", "-ec", script, "sh"], env=environment)
    process.until(lambda: server.holds(contents))
    process.seen("ledger_failed")
    contents["a"] = json_model(2)
    (root / "a.json").write_bytes(contents["a"])
    process.until(lambda: server.holds(contents))
    inside(process, f'rm "{small}/fill"')
    contents["a"] = json_model(3)
    (root / "a.json").write_bytes(contents["a"])
    process.until(lambda: server.holds(contents))
    assert process.process.poll() is None


def test_a_server_with_a_full_disk_is_tried_again(root, watch, in_namespace, tmp_path):
    contents = one(root)
    small = tmp_path / "small"
    small.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = f'mount -t tmpfs -o size=2m none "{small}"; exec "$@"'
    command = [sys.executable, "-m", "mmsync", "serve", str(small / "data"), "--port", str(port), "--token", "t" * 20]
    serve = subprocess.Popen(
        [*in_namespace, "sh", "-ec", script, "sh", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    class Address:
        url, token = f"http://127.0.0.1:{port}", "t" * 20

    class Namespace:
        pid = serve.pid

    view = ServerView(Address)
    try:
        process = watch(server=Address)

        def held(wanted):
            try:
                return view.holds(wanted)
            except requests.RequestException:
                return False

        process.until(lambda: held(contents))
        inside(Namespace, f'head -c 4M /dev/zero > "{small}/fill" || true')
        contents["a"] = json_model(2) + b" " * 50_000
        (root / "a.json").write_bytes(contents["a"])
        process.seen("model_failed", model="a")
        inside(Namespace, f'rm "{small}/fill"')
        process.send(signal.SIGHUP)
        process.until(lambda: held(contents))
        process.seen("model_recovered", model="a")
    finally:
        serve.terminate()
        serve.wait(20)
        view.close()


class _Slow(http.server.BaseHTTPRequestHandler):
    """A model manager whose uploads take for ever: it reads a little at a time."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self._answer(200 if self.path.startswith("/models?") or self.path == "/models" else 204, b"[]")

    def do_POST(self):
        self.server.uploading.set()
        left = int(self.headers["Content-Length"])
        try:
            while left > 0 and not self.server.ending.wait(0.05):
                got = self.rfile.read(min(left, 20_000))
                if not got:
                    break
                left -= len(got)
        except OSError:
            pass
        self.server.completed |= left == 0
        self.close_connection = True

    def _answer(self, status, body):
        self.send_response(status)
        body = body if status == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


SHORT_GRACE = """
from mmsync.apply import executor
executor.apply_changes.__kwdefaults__["grace"] = 2.0
"""


@pytest.mark.slow
def test_sigterm_during_a_large_upload_ends_within_the_grace_and_the_next_start_completes_it(
    root, watch, server, tmp_path
):
    assert (
        inspect.signature(apply_changes).parameters["grace"].default == 10
    )  # seconds, of which two are waited for here
    write_manifest(root, {"big": "big.json"})
    data = b"[" + b"1, " * 8_000_000 + b"1]"
    (root / "big.json").write_bytes(data)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as slow:
        slow.uploading, slow.ending, slow.completed = threading.Event(), threading.Event(), False
        thread = threading.Thread(target=slow.serve_forever)
        thread.start()

        class Address:
            url, token = f"http://127.0.0.1:{slow.server_port}", "t" * 20

        try:
            process = watch(server=Address, patch=SHORT_GRACE)
            assert slow.uploading.wait(20)
            asked = time.monotonic()
            assert process.stop() == 143
            assert 2 <= time.monotonic() - asked < 6
            assert not slow.completed
        finally:
            slow.ending.set()
            slow.shutdown()
            thread.join()
    process = watch()
    process.until(lambda: server.digest("big") == sha256(data))


def test_a_second_signal_ends_it_at_once(root, watch):
    write_manifest(root, {"big": "big.json"})
    (root / "big.json").write_bytes(b"[" + b"1, " * 20_000_000 + b"1]")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as slow:
        slow.uploading, slow.ending, slow.completed = threading.Event(), threading.Event(), False
        thread = threading.Thread(target=slow.serve_forever)
        thread.start()

        class Address:
            url, token = f"http://127.0.0.1:{slow.server_port}", "t" * 20

        try:
            process = watch(server=Address)
            assert slow.uploading.wait(20)
            process.send(signal.SIGTERM)
            process.seen("watch_stopping")
            process.send(signal.SIGTERM)
            assert process.wait(3) == 143
        finally:
            slow.ending.set()
            slow.shutdown()
            thread.join()


def test_sigterm_while_a_server_does_not_answer_ends_it_at_once(root, watch):
    one(root)
    with socket.create_server(("127.0.0.1", 0)) as mute:

        class Address:
            url, token = f"http://127.0.0.1:{mute.getsockname()[1]}", "t" * 20

        process = watch(server=Address)
        mute.settimeout(20)
        connection, _ = mute.accept()
        with connection:
            assert connection.recv(100)
            process.send(signal.SIGTERM)
            assert process.wait(3) == 143
    assert process.events()[-1] == "watch_stopped"


def test_dropped_files_become_models_and_removed_ones_go_only_with_prune_and_within_the_guards(root, watch, server):
    (root / "drop").mkdir()
    write_manifest(root, discover="drop/*.json")
    process = watch("--prune", "--max-delete", "1")
    process.seen("reconciled")
    contents = {name: json_model(n) for n, name in enumerate("abcdef")}
    for name, data in contents.items():
        (root / "drop" / f"{name}.json").write_bytes(data)
    process.until(lambda: server.holds(contents))
    (root / "drop" / "a.json").unlink()
    del contents["a"]
    process.until(lambda: server.holds(contents))
    (root / "drop" / "b.json").unlink()
    (root / "drop" / "c.json").unlink()
    told = process.seen("plan_refused", code="guard/max-delete")
    assert "--max-delete 3" in told["message"]
    assert "(1 deleted in the last 300 s included)" in told["message"]
    assert server.holds(contents)
    for name in "bc":
        (root / "drop" / f"{name}.json").write_bytes(contents[name])
    process.seen("plan_allowed")
    # One more would be two within the interval.
    (root / "drop" / "d.json").unlink()
    process.until(lambda: len(process.of("plan_refused")) == 2)
    assert process.of("plan_refused")[1]["message"] == (
        "nothing is deleted, d would be: 2 models would be deleted; at most 1 are allowed (1 deleted in the last 300 s included) "
        "(if all of them are meant to go, say so with --max-delete 2)"
    )
    assert server.holds(contents)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([], "1 model listed"),
        (["*.onnx"], "1 model listed, 1 discover rule"),
        (["*.onnx", "*.mojo"], "1 model listed, 2 discover rules"),
    ],
)
def test_a_manifest_in_force_is_counted(root, watch, rules, told):
    one(root)
    with (root / "models.yaml").open("a") as manifest:
        manifest.writelines(
            [
                "discover:\n" if rules else "",
                *(f'  - {{glob: "{rule}", engine: ONNX, name: "{{stem}}"}}\n' for rule in rules),
            ]
        )
    process = watch("--once")
    assert process.wait() == 0
    (record,) = process.of("manifest_loaded")
    assert record["message"] == f"the manifest is in force: {told}"
    assert (record["models"], record["discover_rules"]) == (1, len(rules))


def test_on_change_gets_each_transition_and_nothing_else(root, watch, server, tmp_path):
    contents = one(root)
    out = tmp_path / "reports"
    script = tmp_path / "take.py"
    script.write_text(f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read())")
    process = watch("--on-change", f"{sys.executable} {script}", interval="0.3")
    process.until(lambda: server.holds(contents))
    (root / "a.json").unlink()
    process.seen("model_failed", model="a")
    (root / "a.json").write_bytes(json_model(1))
    process.seen("model_recovered", model="a")
    process.stop()
    reports = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(r["previous_health"], r["health"], [c["name"] for c in r["changes"]]) for r in reports] == [
        ("ok", "ok", ["a"]),
        ("ok", "degraded", []),
        ("degraded", "ok", []),
    ]
    assert reports[1]["problems"][0]["subject"] == "a"
    assert reports[0]["changes"][0]["sha256"] == sha256(contents["a"])


def test_it_tells_the_service_manager_that_it_is_ready_and_stopping(root, watch, server, tmp_path):
    contents = one(root)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        process = watch(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000"})
        heard = []
        while not {"READY=1", "WATCHDOG=1"} <= set(heard):
            heard.append(manager.recv(1000).decode())
        process.until(lambda: server.holds(contents))
        process.stop()
        manager.setblocking(False)
        try:
            while True:
                heard.append(manager.recv(1000).decode())
        except BlockingIOError:
            pass
    assert "STOPPING=1" in heard
    assert "STATUS=ok" in heard


def test_the_service_manager_reads_ok_only_where_there_is_no_problem(root, watch, server, tmp_path):
    one(root)
    (root / "drop").mkdir()
    (root / "drop" / "b.json").write_bytes(json_model(2))
    write_manifest(root, {"a": "a.json"}, discover="drop/*.json")
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)

        def hear(status):
            while (heard := manager.recv(1000).decode()) != f"STATUS={status}":
                said.append(heard)

        said = []
        watch(env={"NOTIFY_SOCKET": path})
        hear("ok")
        (root / "drop").rename(root / "elsewhere")
        hear("degraded, 1 problem")
        (root / "elsewhere").rename(root / "drop")
        # What the folder lacks is not deleted for now: a warning.
        hear("1 problem")
        (root / "a.json").unlink()
        hear("degraded, 2 problems")
    assert not [line for line in said if "ok," in line]


def test_text_logs_are_for_people(root, watch, server):
    contents = one(root)
    process = watch("--log-format", "text")
    process.until(lambda: any("reconciled:" in line for line in list(process.other)))
    assert server.holds(contents)
    process.stop()
    assert [line.split("Z ", 1)[1] for line in process.other] == [
        (
            f"watch_started: watching {root}/models.yaml for {server.url}: a file is taken once it rests for 0.2 s, "
            "drift is set right, what nothing lists is left alone; everything is looked at every 300 s"
        ),
        "manifest_loaded: the manifest is in force: 1 model listed",
        f"watch_listening: models are looked for in {root}; changes become known by file events",
        f"server_reached: the server is {server.url}",
        "model_added: a added",
        "reconciled: 1 added; 0 unchanged",
        "watch_stopping: what is in flight finishes, nothing new begins",
        "watch_stopped: stopped by a signal",
    ]


@pytest.mark.parametrize("command", ["'open", "", " "])
def test_a_mistake_in_the_options_is_one_sentence(root, watch, command):
    one(root)
    process = watch("--on-change", command)
    assert process.wait() == 1
    assert not process.records
    assert "Traceback" not in "\n".join(process.other)
    assert "--on-change" in "\n".join(process.other)


def test_it_follows_files_outside_only_where_they_are_admitted(root, watch, server, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.json").write_bytes(json_model(1))
    contents = one(root)
    process = watch()
    process.until(lambda: server.holds(contents))
    (root / "a.json").unlink()
    (root / "a.json").symlink_to(outside / "secret.json")
    (outside / "secret.json").write_bytes(json_model(8))
    told = process.seen("model_failed", model="a")
    assert "outside" in told["message"]
    assert server.holds(contents)
    shutil.rmtree(outside)
    assert os.path.lexists(root / "a.json")


@pytest.mark.parametrize("form", ["text", "json"])
def test_requests_are_in_the_log_where_asked_for(root, watch, server, form):
    one(root)
    process = watch("-vv", "--once", "--log-format", form)
    assert process.wait() == 0
    request = r"POST \S+/images/upload: 200 in \d+ ms, sent [\d,]+ bytes, received [\d,]+ bytes, attempt 1"
    if form == "json":
        said = process.of("request_log")
        assert any(re.fullmatch(request, event["message"]) for event in said)
        assert {event["level"] for event in said} == {"info"}
    else:
        assert any(re.fullmatch(rf"\S+ \S+Z request_log: {request}", line) for line in process.other)
