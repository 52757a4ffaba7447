"""``mmsync serve``: says where it answers, and with which token, once; stops when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests


@contextmanager
def serving(*arguments: str, **environment: str):
    command = [sys.executable, "-m", "mmsync", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_settings(process: subprocess.Popen[str], count: int) -> dict[str, str]:
    return dict(process.stdout.readline().strip().split("=", 1) for _ in range(count))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_makes_a_token_prints_it_once_and_stops_on_a_signal(tmp_path, number, code):
    with serving(str(tmp_path / "server")) as process:
        printed = read_settings(process, 2)
        reply = requests.get(
            printed["MMSYNC_URL"] + "/models", headers={"standAloneToken": printed["MMSYNC_TOKEN"]}, timeout=10
        )
        assert reply.json() == []
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert process.returncode == code
        assert out == ""
        assert f"export MMSYNC_URL={printed['MMSYNC_URL']} MMSYNC_TOKEN=…\n  mmsync plan" in err
        assert f"{printed['MMSYNC_URL']}/ui shows the models" in err
        assert "environment" not in err
        assert printed["MMSYNC_TOKEN"] not in err


def test_a_token_that_was_given_is_not_printed(tmp_path):
    (tmp_path / "token").write_text("fr0m-a-file\n")
    given = [
        ((str(tmp_path / "s"), "--token", "fr0m-a-flag"), {"MMSYNC_TOKEN_FILE": "nowhere"}, "fr0m-a-flag"),
        ((str(tmp_path / "s"),), {"MMSYNC_TOKEN": "fr0m-around"}, "fr0m-around"),
        ((str(tmp_path / "s"), "--token-file", str(tmp_path / "token")), {"MMSYNC_TOKEN": "other"}, "fr0m-a-file"),
    ]
    for arguments, environment, token in given:
        with serving(*arguments, **environment) as process:
            url = read_settings(process, 1)["MMSYNC_URL"]
            assert requests.get(url + "/models", headers={"standAloneToken": token}, timeout=10).ok
            process.terminate()
            out, err = process.communicate(timeout=10)
            assert token not in out + err
            assert ("with the token of MMSYNC_TOKEN (environment)" in err) == (token == "fr0m-around")


def test_it_can_be_one_generation_only_under_a_prefix(tmp_path):
    with serving(str(tmp_path), "--generation", "legacy", "--prefix", "/mm", "--token", "t") as process:
        url = read_settings(process, 1)["MMSYNC_URL"]
        assert url.endswith("/mm")
        headers = {"standAloneToken": "t"}
        assert requests.get(url + "/models", headers=headers, timeout=10).status_code == 404
        assert requests.get(url + "/domains/d/models", headers=headers, timeout=10).json() == []


def test_it_warns_when_other_machines_can_reach_it(tmp_path):
    with serving(str(tmp_path), "--host", "0.0.0.0", "--token", "t") as process:
        read_settings(process, 1)
        process.terminate()
        assert "Warning: listening on 0.0.0.0" in process.communicate(timeout=10)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--token", "a", "--token-file", "b"), "contradict"),
        (("--token", " "), "token is empty"),
        (("--token-file", "/nowhere/at/all"), "/nowhere/at/all"),
        (("--host", "256.0.0.1"), "cannot listen"),
    ],
)
def test_what_it_cannot_do_is_one_sentence_and_exit_1(tmp_path, arguments, message):
    with serving(str(tmp_path), *arguments) as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (1, "")
        assert message in err
        assert "Traceback" not in err


def test_an_address_in_use_has_a_way_on(tmp_path):
    with serving(str(tmp_path / "one")) as first:
        port = read_settings(first, 1)["MMSYNC_URL"].rpartition(":")[2]
        with serving(str(tmp_path / "two"), "--port", port) as second:
            out, err = second.communicate(timeout=20)
    assert (second.returncode, out) == (1, "")
    assert err.endswith("\n  another program listens there: choose another port, or 0 for a free one\n")


@pytest.mark.parametrize("command", [["serve", "folder", "--port", "1"], ["watch", "--listen", "127.0.0.1:1"]])
def test_a_port_that_needs_a_privilege_has_a_way_on(tmp_path, command):
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 1:
        pytest.skip("this machine lets everybody listen at any port")
    (tmp_path / "models.yaml").write_text("version: 1\nmodels: []\n")
    drop = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*drop, sys.executable, "-m", "mmsync", *command],
        env={**os.environ, "MMSYNC_URL": "local:server"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: cannot listen on 127.0.0.1 port 1: ")
    assert done.stderr.endswith("\n  ports below 1024 need a privilege: choose a higher one\n")


def test_a_missing_extra_is_named_once(tmp_path):
    program = "import sys; sys.modules['starlette'] = None; from mmsync.cli.main import main; main(['serve', 'x'])"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.count("pip install '.[server]'") == 1
