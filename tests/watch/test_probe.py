"""The watcher's private folder, and those that killed watchers left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from mmsync.watch.event_source import Probe, remove_leftovers
from support.watching import json_model, write_manifest


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def left_behind(temporary, pid, end="abc"):
    folder = temporary / f"mmsync-watch-{pid}-{end}"
    folder.mkdir(mode=0o700)
    (folder / "knock").touch()
    return folder


def test_the_folder_carries_the_number_of_its_process_and_is_found_by_it(temporary):
    probe = Probe()
    probe.knock()
    (folder,) = temporary.iterdir()
    assert folder.name.startswith(f"mmsync-watch-{os.getpid()}-")
    # As if a process of the same number had been killed.
    remove_leftovers()
    assert not folder.exists()
    probe.knock()
    assert not probe.deaf()
    probe.reset()
    assert len(list(temporary.iterdir())) == 1
    probe.close()
    assert not list(temporary.iterdir())


def test_only_what_a_process_that_is_gone_left_is_removed(temporary, gone):
    removed = [left_behind(temporary, gone), left_behind(temporary, gone, "empty"), left_behind(temporary, os.getpid())]
    (removed[1] / "knock").unlink()
    alive = left_behind(temporary, os.getppid())
    foreign = [temporary / "mmsync-watch-x-abc", temporary / f"mmsync-watch-{gone}", temporary / f"other-{gone}-abc"]
    for folder in foreign:
        folder.mkdir()
    remove_leftovers()
    assert sorted(temporary.iterdir()) == sorted([alive, *foreign])
    assert not [folder for folder in removed if folder.exists()]


def test_links_are_not_followed_and_what_is_no_probe_s_stays(temporary, gone, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "knock").write_text("precious")
    (temporary / f"mmsync-watch-{gone}-link").symlink_to(target)
    (temporary / f"mmsync-watch-{gone}-file").write_text("a file")
    (left_behind(temporary, gone, "full") / "other").write_text("precious")
    linked = left_behind(temporary, gone, "linked")
    (linked / "knock").unlink()
    (linked / "knock").symlink_to(target / "knock")
    remove_leftovers()
    assert (target / "knock").read_text() == "precious"
    assert {path.name.rsplit("-", 1)[1] for path in temporary.iterdir()} == {"link", "file", "full", "linked"}
    assert (temporary / f"mmsync-watch-{gone}-full" / "other").read_text() == "precious"


def test_a_folder_of_another_user_stays(temporary, gone, monkeypatch):
    folder = left_behind(temporary, gone)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    remove_leftovers()
    assert (folder / "knock").exists()


def test_no_temporary_folder_is_no_reason_to_fail(temporary):
    temporary.rmdir()
    remove_leftovers()


def test_what_a_killed_watcher_left_goes_when_the_next_one_starts(root, watch, server, tmp_path):
    contents = {"a": json_model(1)}
    write_manifest(root, {"a": "a.json"})
    (root / "a.json").write_bytes(contents["a"])
    killed = watch()
    killed.until(lambda: server.holds(contents))
    killed.kill()
    (left,) = (tmp_path / "temporary").glob("mmsync-watch-*")
    assert left.name.startswith(f"mmsync-watch-{killed.pid}-")
    assert watch("--once").wait() == 0
    assert not list((tmp_path / "temporary").glob("mmsync-watch-*"))
