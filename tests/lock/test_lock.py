"""The machine's lock: whole runs alone, shards of one count side by side, nobody kept out for ever, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from mmsync.errors import LockTimeout, SettingsError
from mmsync.lock import server_lock
from mmsync.types import ServerName

SERVER = ServerName("http://server")
HOLDER = """
import sys
from pathlib import Path
from mmsync.lock import server_lock
from mmsync.types import ServerName
shard = tuple(map(int, sys.argv[2].split("/"))) if len(sys.argv) > 2 else None
with server_lock(Path(sys.argv[1]), ServerName("http://server"), timeout=0, on_wait=lambda _: None, shard=shard):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "locks"


def lock(folder, shard=None, *, server=SERVER, timeout=0.0, **settings):
    settings.setdefault("on_wait", lambda _: None)
    return server_lock(folder, server, timeout=timeout, shard=shard, **settings)


def is_free(folder, shard=None, **settings):
    try:
        with lock(folder, shard, **settings):
            return True
    except LockTimeout:
        return False


@contextlib.contextmanager
def process(folder, *shard):
    """A process that has the lock."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *shard], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        yield holder
    finally:
        holder.communicate("")


@pytest.mark.parametrize(
    ("first", "second", "beside"),
    [
        (None, None, False),
        (None, (1, 4), False),
        ((1, 4), None, False),
        ((1, 4), (2, 4), True),
        ((1, 4), (1, 4), False),
        ((1, 4), (1, 8), False),
        ((1, 4), (3, 8), False),
        ((1, 1), (1, 1), False),
    ],
)
def test_who_works_beside_whom(folder, first, second, beside):
    with lock(folder, first):
        assert is_free(folder, second) is beside
    assert is_free(folder, second)


def test_all_shards_of_a_count_at_once_and_another_count_once_they_are_gone(folder):
    with contextlib.ExitStack() as working:
        for index in range(1, 65):
            working.enter_context(lock(folder, (index, 64)))
        assert not is_free(folder)
        assert not is_free(folder, (1, 2))
    with lock(folder, (1, 2)), lock(folder, (2, 2)):
        assert not is_free(folder, (7, 64))


def test_the_last_of_several_shards_still_keeps_others_out(folder):
    with contextlib.ExitStack() as first, lock(folder, (2, 4)):
        first.enter_context(lock(folder, (1, 4)))
        first.close()
        assert not is_free(folder)
        assert not is_free(folder, (1, 3))
        assert is_free(folder, (1, 4))


def test_another_server_is_another_lock(folder):
    with lock(folder):
        assert is_free(folder, server=ServerName("http://server", "domain"))


@pytest.mark.parametrize("shard", [(), ("3/4",)])
def test_what_a_killed_process_had_is_free(folder, shard):
    with process(folder, *shard) as holder:
        assert not is_free(folder)
        holder.kill()
        holder.wait()
        for other in (None, (3, 4), (1, 8)):
            assert is_free(folder, other)


def test_a_whole_run_that_waits_is_passed_by_no_shard_that_comes_later(folder):
    """Shards that follow upon one another for ever keep it out no longer than those it found at work."""
    waits, done, order = threading.Event(), threading.Event(), []

    def whole():
        with lock(folder, timeout=60, on_wait=lambda _: waits.set()):
            order.append("whole")

    def late():
        with lock(folder, (2, 4), timeout=60, on_wait=lambda _: done.set()):
            order.append("shard")

    threads = [threading.Thread(target=whole), threading.Thread(target=late)]
    with lock(folder, (1, 4)):
        threads[0].start()
        assert waits.wait(30)
        assert not is_free(folder, (3, 4)), "the gate is shut, though shard 1 alone would not keep it out"
        threads[1].start()
        assert done.wait(30)
        assert order == []
    for thread in threads:
        thread.join(30)
    assert order == ["whole", "shard"]


def test_one_that_gives_up_opens_the_gate_again(folder):
    with lock(folder, (1, 4)):
        assert not is_free(folder, timeout=0.1)
        assert is_free(folder, (2, 4))


def test_a_shard_that_waits_for_its_twin_keeps_nobody_out(folder):
    waits, go_on = threading.Event(), threading.Event()

    def twin():
        with lock(folder, (1, 4), timeout=60, on_wait=lambda _: waits.set()):
            go_on.set()

    thread = threading.Thread(target=twin)
    with lock(folder, (1, 4)):
        thread.start()
        assert waits.wait(30)
        assert is_free(folder, (2, 4))
        assert not go_on.is_set()
    assert go_on.wait(30)
    thread.join(30)


def test_what_is_waited_for_is_said_once_and_then_given_up(folder):
    said, slept = [], []
    now = [100.0]

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    late = lock(folder, (1, 4), timeout=0.12, on_wait=said.append, clock=lambda: now[0], sleep=sleep)
    expected = pytest.raises(LockTimeout, match=r"shard 1/4 of http://server for more than 0\.12 s")
    with lock(folder, (1, 4)), expected, late:
        pass
    assert said == ["waiting for another mmsync at work on shard 1/4 of http://server"]
    assert sum(slept) == pytest.approx(0.12)


def test_it_is_said_too_where_there_is_no_end_to_the_waiting(folder):
    said, now = [], [100.0]
    with contextlib.ExitStack() as first:
        first.enter_context(lock(folder))

        def sleep(seconds):
            now[0] += seconds
            if now[0] > 101:
                first.close()

        with lock(folder, timeout=float("inf"), on_wait=said.append, clock=lambda: now[0], sleep=sleep):
            pass
    assert said == ["waiting for another mmsync at work on http://server"]


def test_the_files_are_the_users_alone_and_links_are_not_followed(folder, tmp_path):
    with lock(folder):
        files = list(folder.iterdir())
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    for file in folder.iterdir():
        file.unlink()
    for file in files:
        file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="cannot lock"), lock(folder):
        pass
    assert not os.path.lexists(tmp_path / "elsewhere")


def test_an_error_of_the_body_comes_out_as_it_is(folder):
    with pytest.raises(OSError, match="of the body"), lock(folder, (1, 4)):
        raise OSError("of the body")
    assert is_free(folder)
