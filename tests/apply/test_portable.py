"""Plan, apply and the client without what only POSIX systems, or only Linux, have: names are hidden before mmsync loads.

It is no proof that another system runs them: none was at hand.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.applying import json_bytes

# Python's own modules take the names they need while they are loaded.
HIDE = """
import asyncio, filelock, logging, os, pathlib, platformdirs, random, shutil, signal, sqlite3, ssl, subprocess, sys
import tempfile, threading, requests, rich.console
import types
kept = types.ModuleType("os")  # for filelock, which has code of its own for other systems
kept.__dict__.update(os.__dict__)
for module in [module for name, module in sys.modules.items() if name.startswith("filelock") and hasattr(module, "os")]:
    module.os = kept
NAMES = '''pread preadv readv pwrite pwritev writev sendfile splice O_CLOEXEC O_NONBLOCK O_NOFOLLOW O_DIRECTORY O_PATH
O_NOCTTY O_NOATIME geteuid getuid getgid getegid getpgid setsid killpg fork register_at_fork fchmod fchown chown mkfifo
statvfs fstatvfs uname getloadavg sched_getaffinity posix_fadvise posix_fallocate posix_spawn wait4 sync'''.split()
for name in NAMES:
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGALRM", "pthread_sigmask", "sigwait"):
    delattr(signal, name)
os.supports_dir_fd = os.supports_fd = os.supports_effective_ids = os.supports_follow_symlinks = set()
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty"):
    sys.modules[name] = None
"""

COMMAND = HIDE + "from mmsync.cli.main import main\nmain(sys.argv[1:])\n"

CLIENT = (
    HIDE
    + """
import hashlib, io, json
from mmsync.client import create_client_from_token
from mmsync.client.error import FileChanged
url, token, path, sha256, folder = sys.argv[1:]
with create_client_from_token(url, token, download_path=folder) as client:
    client.add_model("by client", "BIGML", path, description="d", force=True, expected_sha256=sha256)
    try:
        client.add_model("by client", "BIGML", path, force=True, expected_sha256="0" * 64)
    except FileChanged:
        refused = True
    file = client.get_model("by client", download_file=True)["file"]
    memory = io.BytesIO()
    found = client.download_image("by client", memory)
    print(json.dumps([refused, file, found.sha256, hashlib.sha256(memory.getvalue()).hexdigest()]))
"""
)


def run(code, *words, site):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=site.folder,
        env=site.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    trace = site.ledger.parent / "last-error.log"
    assert "internal error" not in done.stderr, trace.read_text() if trace.exists() else done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("size", [0, 9 << 20], ids=["small", "with a thread beside"])
def test_the_client_sends_and_fetches(site, server, tmp_path, size):
    content = json_bytes("x", size)
    path = tmp_path / "model.json"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    done = run(CLIENT, server.url, server.token, path, sha256, tmp_path, site=site)
    assert not done.returncode, done.stderr
    refused, file, *digests = json.loads(done.stdout)
    assert refused
    assert digests == [sha256, sha256]
    assert Path(file).read_bytes() == content


def test_commands_plan_apply_and_bring_back(site, view):
    names = site.models(3)
    site.save()
    plan = run(COMMAND, "plan", "--detailed-exitcode", "--out", "plan.json", site=site)
    assert plan.returncode == 2, plan.stderr
    applied = run(COMMAND, "apply", "plan.json", site=site)
    assert not applied.returncode, applied.stdout + applied.stderr
    assert view.digests() == site.digests()
    site.model(names[0], json_bytes("another"))
    assert not run(COMMAND, "validate", site=site).returncode
    assert not run(COMMAND, "apply", site=site).returncode
    assert view.digests() == site.digests()
    again = run(COMMAND, "apply", "--detailed-exitcode", site=site)
    assert not again.returncode, "nothing is left to do"
    listed = run(COMMAND, "list", "--format", "json", site=site)
    assert not listed.returncode, listed.stderr
    assert all(name in listed.stdout for name in names)
    pulled = run(COMMAND, "pull", names[1], "--to", "pulled", site=site)
    assert not pulled.returncode, pulled.stderr
    imported = run(COMMAND, "import", "--to", "imported", site=site)
    assert not imported.returncode, imported.stderr
    assert (site.folder / "imported" / "models.yaml").exists()


def test_a_file_outside_the_folder_or_none_at_all_is_refused(site, tmp_path):
    (tmp_path / "outside.json").write_bytes(json_bytes("outside"))
    site.model("m", json_bytes("m")).unlink()
    (site.folder / "m.json").symlink_to(tmp_path / "outside.json")
    site.model("n", json_bytes("n")).unlink()
    site.save()
    done = run(COMMAND, "plan", site=site)
    assert done.returncode == 1
    assert "outside the manifest's folder" in done.stderr
    assert "there is no such file" in done.stderr
