"""The systemd unit: systemd finds nothing wrong with it, and what it starts, reloads and stops behaves as it says."""

from __future__ import annotations

import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.read_only import read_only

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "examples" / "deploy" / "mmsync-watch.service"
PROGRAM = "/opt/mmsync/bin/mmsync"
EXPOSURE = 1.5  # of 10; systemd 252 says 1.1: the root folder is the host's, it has sockets, and no list of addresses


def read_unit(path):
    """The keys of a unit: each with its values, in order."""
    found = {}
    for line in path.read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith(("#", "[")):
            found.setdefault(key, []).append(value)
    return found


SETTINGS = read_unit(UNIT)


@pytest.fixture
def systemd_analyze(tmp_path):
    """Ask systemd about the unit, which starts the mmsync of these tests: it must be there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, str(Path(sys.executable).with_name("mmsync"))))

    def ask(*words):
        return subprocess.run(
            ["systemd-analyze", *words, str(unit)], capture_output=True, text=True, timeout=60, check=False
        )

    return ask


def test_systemd_finds_nothing_wrong(systemd_analyze):
    found = systemd_analyze("verify")
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_what_it_may_do_is_little(systemd_analyze):
    found = systemd_analyze("security", "--offline=true", "--no-pager", f"--threshold={round(EXPOSURE * 10)}")
    assert found.returncode == 0, found.stdout


def test_the_token_comes_as_a_credential_and_stands_nowhere_else():
    assert SETTINGS["LoadCredential"] == ["token:/etc/mmsync/token"]
    assert "MMSYNC_TOKEN_FILE=%d/token" in SETTINGS["Environment"][0].split()
    assert "MMSYNC_TOKEN=" not in UNIT.read_text()


def test_it_is_given_the_time_to_stop_that_it_takes():
    assert int(SETTINGS["TimeoutStopSec"][0]) > 13  # 10 seconds of grace, and what is broken off after it


@pytest.fixture
def service(tmp_path, server):
    """Start what the unit starts as systemd would: its environment, a folder to write to, a socket to be told things."""
    cache, credentials = tmp_path / "cache", tmp_path / "credentials"
    (cache / "mmsync").mkdir(parents=True, mode=0o700)
    credentials.mkdir()
    token = credentials / "token"
    token.write_text(server.token)
    token.chmod(0o400)
    starter = read_only(cache)
    models = tmp_path / "models"
    shutil.copytree(ROOT / "examples" / "quickstart", models)
    [command] = SETTINGS["ExecStart"]
    words = shlex.split(command.replace(PROGRAM, str(Path(sys.executable).with_name("mmsync"))))
    words = [word.replace("/srv/models", str(models)) for word in words]
    text = SETTINGS["Environment"][0].replace("%d", str(credentials)).replace("%C", str(cache))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {
            "PATH": "/usr/bin:/bin",
            "MMSYNC_URL": server.url,
            "MMSYNC_LOCK_DIR": str(cache / "locks"),  # in place of the /tmp of its own
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "600000000",
            **dict(word.split("=", 1) for word in text.split()),
        }
        process = subprocess.Popen([*starter, *words], env=environment, stderr=subprocess.PIPE, text=True)
        yield process, manager, cache
        process.kill()
        process.communicate()


def test_it_says_that_it_is_ready_looks_again_when_reloaded_and_stops_as_the_unit_expects(service, server):
    process, manager, cache = service
    heard = set()
    while not {"READY=1", "WATCHDOG=1"} <= heard:
        heard.add(manager.recv(1000).decode())
    assert any("reconciled:" in line for line in process.stderr)
    kill, option, main = SETTINGS["ExecReload"][0].split()
    assert (kill, main) == ("kill", "$MAINPID")
    process.send_signal(signal.Signals[f"SIG{option.removeprefix('-')}"])
    assert any("reconcile_asked" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == int(SETTINGS["SuccessExitStatus"][0])
    assert len(server.names()) == 4
    assert (cache / SETTINGS["CacheDirectory"][0] / "ledger.sqlite").is_file()
