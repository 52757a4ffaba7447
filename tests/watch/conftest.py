"""Fixtures of the watch tests: a real server in this process, a real watcher in another."""

from __future__ import annotations

import pytest

from support.watching import Watch, namespaces
from support.watching_fixtures import viewed_server  # noqa: F401  # pytest finds fixtures by name


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(server, root, tmp_path):
    """Start a watcher over root/models.yaml; by default nothing but events (no timer, no poll) makes it look."""
    started = []
    # Its private folder, which a watcher that is killed leaves behind, goes with the test's own.
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def start(*arguments, manifest=None, settle="0.2", poll="300", interval="300", **keywords):
        words = [
            "-f",
            str(manifest or root / "models.yaml"),
            "--settle",
            settle,
            "--poll",
            poll,
            "--interval",
            interval,
        ]
        environment = {"TMPDIR": str(temporary), **keywords.pop("env", {})}
        process = Watch([*words, *arguments], server=keywords.pop("server", server), env=environment, **keywords)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def in_namespace():
    """The command that gives a watcher a user and mount namespace of its own."""
    command = namespaces("-Ur", "-m")
    if command is None:
        pytest.skip("this machine forbids user namespaces")
    return command
