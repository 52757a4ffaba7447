"""What containers do to a command: a user id that nobody knows, and no home."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading

import psutil
import pytest

from support.watching import namespaces
from support.wire import Wire


@pytest.fixture
def nobody(desk):
    """Run a command as a user id without name and home; the files stay one's own."""
    as_nobody = namespaces("-U", "--map-user=54321", "--map-group=54321")
    if as_nobody is None:
        pytest.skip("this machine forbids user namespaces")
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "USER", "MMSYNC_CACHE_DIR")}

    def run(*words):
        return subprocess.run(
            [*as_nobody, sys.executable, "-m", "mmsync", *words],
            cwd=desk.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    "command",
    [["plan"], ["apply", "-y"], ["validate"], ["watch", "--once", "--settle=0.1"]],
    ids=lambda words: words[0],
)
def test_without_a_home_all_works_and_what_is_lost_is_said(command, desk, nobody):
    desk.manifest("a MLSTATS a.bin")
    desk.file("a.bin", b"content of a")
    ran = nobody(*command)
    assert ran.returncode == 0, ran.stderr
    assert "no home folder is known, so nothing is remembered" in " ".join(ran.stderr.split())
    assert ran.stderr.count("no home folder") == 1
    assert sorted(path.name for path in desk.folder.iterdir()) == ["a.bin", "models.yaml"]
    assert desk.view.names() == (["a"] if command[0] in ("apply", "watch") else [])


def test_a_profile_without_a_home_is_asked_for_by_its_place(desk, nobody):
    desk.manifest()
    desk.environment.delenv("MMSYNC_TOKEN")
    ran = nobody("plan", "--profile", "production")
    assert ran.returncode == 1
    assert "no home folder is known for ~" in ran.stderr or "is set" in ran.stderr


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_mmsync_keeps_for_itself_is_its_owners_alone(umask, desk, tmp_path):
    desk.manifest("a MLSTATS a.bin")
    desk.file("a.bin", b"content of a")
    cache, locks = tmp_path / "kept/cache", tmp_path / "kept/locks"
    desk.environment.setenv("MMSYNC_CACHE_DIR", str(cache))
    desk.environment.setenv("MMSYNC_LOCK_DIR", str(locks))
    before = os.umask(umask)
    try:
        assert desk("apply", "-y").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.stat().st_mode) == stat.S_IMODE(locks.stat().st_mode) == 0o700
    kept = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert kept  # some versions of the lock library take their file away
    assert [path.name for path in kept if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.parametrize("variable", ["MMSYNC_CACHE_DIR", "MMSYNC_LOCK_DIR"])
def test_a_folder_that_everybody_may_write_in_is_warned_of_once(variable, desk, tmp_path):
    desk.manifest()
    folder = tmp_path / "everybodys"
    folder.mkdir()
    folder.chmod(0o777)
    desk.environment.setenv(variable, str(folder))
    told = " ".join(desk("apply", "-y").err.split())
    assert told.count("every user of this machine can write in") == 1
    assert f"give {variable} one that is yours alone" in told


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize(
    "command", [["plan"], ["plan", "--verify", "always"], ["apply", "-y"], ["pull", "--all", "--to", "out"]]
)
def test_a_limit_on_threads_costs_time_and_nothing_else(threads, command, desk):
    """A thread takes a stack of 1 GiB of a bounded address space here, so that only so many can be started."""
    names = [f"m{number}" for number in range(12)]
    desk.manifest("".join(f"{name} MLSTATS {name}.bin\n" for name in names))
    for name in names:
        desk.file(f"{name}.bin", name.encode() * 100)
    if command[0] != "apply":
        assert desk("apply", "-y").code == 0
    space = 700_000 + threads * 1024 * 1024
    script = f'ulimit -s 1048576 && ulimit -v {space} && exec "$@"'
    ran = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, "-m", "mmsync", *command, "--jobs", "8"],
        cwd=desk.folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    assert "internal error" not in ran.stderr
    told = " ".join(ran.stderr.split())
    if threads == 0 and command[0] == "apply":
        assert ran.returncode == 1
        assert "lets no thread start" in told
        assert desk.view.names() == []
    else:
        assert ran.returncode == 0, ran.stderr
        assert "fewer threads could be started than wanted" in told or command == ["plan"]
        assert desk.view.names() == sorted(names)


@pytest.fixture
def folder_gone(desk, tmp_path):
    """Run a command in a folder that is removed before it begins."""

    def run(*words):
        (tmp_path / "gone").mkdir()
        script = 'cd "$0" && rmdir "$0" && exec "$@"'
        return subprocess.run(
            ["sh", "-c", script, tmp_path / "gone", sys.executable, "-m", "mmsync", *words],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_working_folder_that_was_removed_does_not_matter_where_all_is_named_in_full(desk, folder_gone, tmp_path):
    manifest = desk.manifest("a MLSTATS a.bin")
    desk.file("a.bin", b"content of a")
    for words in (
        ["validate", "-f", manifest],
        ["plan", "-f", manifest, "--out", tmp_path / "plan.json"],
        ["apply", "-f", manifest],
        ["apply", tmp_path / "plan.json", "-f", manifest, "--target", "none"],
        ["watch", "--once", "--settle=0.1", "-f", manifest],
        ["list"],
        ["pull", "--all", "--to", tmp_path / "out"],
        ["import", "--to", tmp_path / "imported"],
    ):
        ran = folder_gone(*words)
        if "none" not in words:
            assert ran.returncode == 0, (words, ran.stderr)
        assert "Traceback" not in ran.stderr
    assert desk.view.names() == ["a"]


@pytest.mark.parametrize(
    "command", [["plan"], ["apply"], ["watch", "--once", "--settle=0.1"], ["list"], ["init"], ["pull", "--all"]]
)
def test_a_working_folder_that_was_removed_is_no_fault_of_mmsyncs_own(command, folder_gone):
    ran = folder_gone(*command)
    assert ran.returncode in (0, 1)
    assert "Traceback" not in ran.stderr
    assert "internal error" not in ran.stderr


@pytest.mark.parametrize("command", [["plan"], ["list"], ["apply", "-y"], ["pull", "--all", "--to", "out"]])
def test_the_first_process_of_a_container_ends_on_sigterm(command, desk):
    command_of = namespaces("-U", "--map-root-user", "--pid", "--fork", "--kill-child")
    if command_of is None:
        pytest.skip("this machine forbids user namespaces")
    asked = threading.Event()

    def silent(_request):
        asked.set()
        return lambda _connection: gone.wait(60)

    gone = threading.Event()
    desk.manifest()
    with Wire(silent) as wire:
        process = subprocess.Popen(
            [*command_of, sys.executable, "-m", "mmsync", *command, "--url", wire.url],
            cwd=desk.folder,
            env=dict(os.environ),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert asked.wait(30)
            [child] = psutil.Process(process.pid).children()
            child.send_signal(signal.SIGTERM)
            assert process.wait(30) == 143
            assert "Traceback" not in process.stderr.read()
        finally:
            gone.set()
            process.kill()
            process.wait()
            process.stderr.close()


def test_a_file_system_without_locks_names_the_way_on(desk, monkeypatch):
    desk.manifest("a MLSTATS a.bin")
    desk.file("a.bin", b"content of a")

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    ran = desk("apply", "-y")
    assert ran.code == 1
    assert "No locks available" in ran.err
    assert "set MMSYNC_LOCK_DIR to a folder on a disk of this machine" in " ".join(ran.err.split())
    assert desk.view.names() == []


def test_a_plan_is_not_saved_to_a_file_called_minus(desk):
    desk.manifest()
    ran = desk("plan", "--out", "-")
    assert ran.code == 1
    assert "give --format json instead" in ran.err
    assert not (desk.folder / "-").exists()
