"""What every test gets: a home, a cache and a lock folder of its own, and none of the caller's environment."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def pytest_configure():
    """Heed SIGINT, and let the processes of tests do so: a shell starts what runs in its background deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val):
    """Name a case by how long its bytes are: a zip made a second later holds another time, and workers must agree."""
    return f"{len(val)}B" if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    """A test must never touch the user's home, ledger or tokens, nor see them."""
    home: Path = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("MMSYNC_", "GITHUB_", "GITLAB_", "CI_", "JOB_", "XDG_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MMSYNC_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("MMSYNC_LOCK_DIR", str(home / "locks"))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(scope="session")
def browser():
    """One real browser for all that need one; each test opens pages of its own."""
    from support.browser import Browser, chromium

    started = Browser(chromium())
    yield started
    started.close()


@pytest.fixture
def no_threads(monkeypatch):
    """Let none of mmsync's threads be started, as where a limit on processes is reached."""
    from mmsync.parallel import shortage

    start = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith("mmsync"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    yield
    shortage.clear()  # a command run in this process would tell of it


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    """A folder, a server of its own, and mmsync run between them."""
    from mmsync.server import running
    from support.desk import TOKEN, Desk

    with running(tmp_path / "srv", token=TOKEN, patience=0.2) as address:
        made = Desk(tmp_path / "desk", address.url, capsys, monkeypatch)
        yield made
        made.view.close()
