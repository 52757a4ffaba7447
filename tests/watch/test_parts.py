"""The small parts: mounts, ways, events, the service manager, the log, the command for changes."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from mmsync.errors import SettingsError
from mmsync.watch import event_source
from mmsync.watch.conditions import Condition, Conditions
from mmsync.watch.config import WatchOptions
from mmsync.watch.current_manifest import CurrentManifest
from mmsync.watch.event_source import EventSource, file_system, is_silent, parse_mountinfo
from mmsync.watch.hook import OnChange, parse_command
from mmsync.watch.reporting import EVENTS, Log
from mmsync.watch.roots import Roots
from mmsync.watch.scanner import Scanner
from mmsync.watch.settle import Settler
from mmsync.watch.symlinks import folders_to_watch, resolve_path
from mmsync.watch.systemd import Service

MOUNTINFO = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:30 / /mnt/models rw,relatime shared:5 master:1 - nfs4 host:/x rw
31 22 0:31 / /mnt/my\040share rw - cifs //h/s rw
32 30 0:32 / /mnt/models/local rw - tmpfs none rw
33 22 0:33 / /mnt/fuse rw - fuse.sshfs h: rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/a", "ext4"),
        ("/mnt/models", "nfs4"),
        ("/mnt/models/x/y", "nfs4"),
        ("/mnt/models-2", "ext4"),
        ("/mnt/models/local/a", "tmpfs"),
        ("/mnt/my share/a", "cifs"),
        ("/mnt/fuse/a", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path(path, kind):
    mounts = parse_mountinfo(MOUNTINFO)
    assert file_system(path, mounts) == kind
    assert is_silent(kind) == (kind in ("nfs4", "cifs", "fuse.sshfs"))


def test_a_way_names_every_step(tmp_path):
    root = os.path.realpath(tmp_path)
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "a").touch()
    (tmp_path / "data").symlink_to("v1")
    (tmp_path / "a").symlink_to("data/a")
    found = resolve_path(str(tmp_path / "a"))
    assert found.real == f"{root}/v1/a"
    assert found.complete
    assert found.steps[-4:] == ((root, "a"), (root, "data"), (root, "v1"), (f"{root}/v1", "a"))
    gone = resolve_path(str(tmp_path / "x" / "y"))
    assert not gone.complete
    assert gone.steps[-1] == (root, "x")


def test_a_link_that_leads_to_itself_ends_the_way(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert not resolve_path(str(tmp_path / "loop" / "a")).complete


def test_only_the_folders_that_matter_are_covered(tmp_path):
    root = os.path.realpath(tmp_path / "models")
    (tmp_path / "models" / "onnx").mkdir(parents=True)
    (tmp_path / "models" / "onnx" / "a").touch()
    covered, linked = folders_to_watch([f"{root}/onnx/a", f"{root}/models.yaml"], [root])
    assert not linked
    assert covered[f"{root}/onnx"] == {"a"}
    assert covered[root] == {"onnx", "models.yaml"}
    assert covered[os.path.dirname(root)] == {"models"}  # noqa: PTH120
    assert len(covered) == 3


def test_every_name_of_a_folder_searched_matters(tmp_path):
    root = os.path.realpath(tmp_path)
    (tmp_path / "drop").mkdir()
    covered, _ = folders_to_watch([f"{root}/models.yaml"], [root], [f"{root}/drop"])
    assert covered[f"{root}/drop"] is None


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path, abstract):
    name = f"mmsync-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        manager.settimeout(5)
        now = [0.0]
        address = "@" + name if abstract else name
        service = Service({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"}, lambda: now[0], pid=7)
        service.ready()
        service.status("ok")
        service.status("ok")
        service.ping()
        service.ping()
        now[0] = 1.1
        service.ping()
        service.stopping()
        heard = [manager.recv(100).decode() for _ in range(5)]
    assert heard == ["READY=1", "STATUS=ok", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]
    service.status("nobody listens any more")


def test_without_a_manager_nothing_is_sent_and_no_ping_is_due():
    service = Service({"WATCHDOG_USEC": "1000"}, lambda: 0.0)
    service.ready()
    assert service.ping_every is None
    assert (
        Service({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}, lambda: 0.0, 2).ping_every is None
    )


def test_a_record_is_a_line_for_people_or_one_object_for_programs():
    lines = []
    Log(lines.append, lambda: 0.0)("model_failed", "bad\nthing \x1b[31m", level="error", seconds=1.5)
    Log(lines.append, lambda: 0.25, as_json=True)("model_failed", "bad \udcff", level="error", seconds=1.5, gone=None)
    assert lines[0] == "1970-01-01 00:00:00Z model_failed: error: bad thing \\x1b[31m\n"
    assert json.loads(lines[1]) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "error",
        "event": "model_failed",
        "message": "bad \\udcff",
        "seconds": 1.5,
    }


def test_a_log_on_a_full_disk_ends_nothing():
    def full(_line):
        raise OSError(28, "No space left on device")

    Log(full, lambda: 0.0)("notice", "x")


def test_problems_are_told_when_they_begin_change_and_end():
    told = []
    conditions = Conditions(Log(lambda line: told.append(json.loads(line)), lambda: 0.0, as_json=True))
    for _ in range(3):
        conditions.update("model", [Condition("model", "a", "a: broken", "x", "a is well")])
    assert conditions.state == "degraded"
    conditions.update("model", [Condition("model", "a", "a: broken otherwise", "x", "a is well")])
    assert conditions.take_change()
    assert not conditions.take_change()
    conditions.update("model", [])
    assert conditions.state == "ok"
    assert [(one["event"], one["message"]) for one in told] == [
        ("model_failed", "a: broken"),
        ("model_failed", "a: broken otherwise"),
        ("model_recovered", "a is well"),
    ]


def test_every_kind_of_problem_has_its_events():
    from mmsync.watch.conditions import KINDS

    assert {event for kind in KINDS.values() for event in kind} <= EVENTS.keys()


def test_a_command_is_words_never_a_shell_line(tmp_path):
    assert parse_command("notify 'two words' $HOME;rm") == ("notify", "two words", "$HOME;rm")
    for wrong in ("", "  ", "'open"):
        with pytest.raises(SettingsError):
            parse_command(wrong)


def test_the_command_gets_the_report_and_not_the_token(tmp_path):
    told, out = [], tmp_path / "out"
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys\n"
        "said = sys.stdin.read()\n"
        f"open({str(out)!r}, 'a').write(json.dumps([json.loads(said), said[-1], os.environ.get('MMSYNC_TOKEN'),"
        " os.environ['OTHER']]) + '\\n')\n"
    )
    log = Log(lambda line: told.append(json.loads(line)), lambda: 0.0, as_json=True)
    command = OnChange((sys.executable, str(script)), {**os.environ, "MMSYNC_TOKEN": "secret", "OTHER": "x"}, log)
    command({"changes": ["'; rm -rf ~ #"]})
    command({"changes": []})
    command.close(20)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        [{"changes": ["'; rm -rf ~ #"]}, "\n", None, "x"],
        [{"changes": []}, "\n", None, "x"],
    ]
    assert not told


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("/nonexistent/program",), "cannot be run"),
        ((sys.executable, "-c", "import sys; sys.exit('no luck')"), "ended with status 1: no luck"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "did not end in time"),
    ],
)
def test_a_command_that_fails_is_told_and_the_next_report_still_handed_over(words, why):
    told, heard = [], threading.Event()

    def write(line):
        told.append(json.loads(line))
        heard.set()

    command = OnChange(words, os.environ, Log(write, lambda: 0.0, as_json=True), timeout=0.5)
    command({})
    assert heard.wait(10)
    heard.clear()
    command({})
    assert heard.wait(10)
    command.close(10)
    assert [one["event"] for one in told] == ["command_failed"] * 2
    assert why in told[0]["message"]


def test_a_deaf_reader_is_found_out_by_knocking_and_replaced(tmp_path, monkeypatch):
    from watchdog.observers.inotify_c import InotifyFD

    rung, private = threading.Event(), tmp_path / "private"
    private.mkdir()
    tmp_path = tmp_path / "watched"
    tmp_path.mkdir()
    folders = {os.path.realpath(tmp_path): None}
    events = EventSource(rung.set, 10, private_folder=private)
    try:
        with monkeypatch.context() as deaf:
            deaf.setattr(InotifyFD, "handle_event", lambda _self, _event: None)
            assert events.check(0.0)
            events.follow(folders, 0.0)
            assert not events.conditions()
            assert not events.check(10.0)
            assert events.check(20.0)
            assert [each.code for each in events.conditions()] == ["deaf"]
            assert events.needs_polling
        now = 20.0
        while events.conditions():
            assert now < 1000
            events.follow(folders, now)
            rung.clear()
            (tmp_path / "a").touch()
            assert rung.wait(5)  # the answer to the knock lies in the same queue, ahead of this
            now += 10.0
            events.check(now)
        assert not events.needs_polling
        rung.clear()
        (tmp_path / "a").touch()
        assert rung.wait(5)
    finally:
        events.close()


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_link_that_leads_elsewhere_during_a_reconcile_is_followed_after_it(tmp_path):
    """What settles while changes are carried out is scanned, and afterwards listened to where it now leads."""
    for release in ("r1", "r2"):
        (tmp_path / "rel" / release).mkdir(parents=True)
        (tmp_path / "rel" / release / "m.json").write_text(release)
    (tmp_path / "root").mkdir()
    link = tmp_path / "root" / "current"
    link.symlink_to("../rel/r1")
    manifest = tmp_path / "root" / "models.yaml"
    manifest.write_text("models: [{name: m, engine: MLSTATS, file: current/m.json}]\n")
    clock = Clock()
    log = Log(lambda _line: None, clock)
    events = EventSource(lambda: None, 10.0)
    dependencies = SimpleNamespace(events=events, clock=clock, effort=lambda: 0.0, log=log)
    options = WatchOptions(manifests=(str(manifest),), models_dirs=(str(tmp_path / "rel"),), settle=2.0)
    current = CurrentManifest(options.manifests, options.models_dirs)
    scanner = Scanner(options, dependencies, current, Settler(2.0), Roots(300.0), Conditions(log))

    def listened():
        return {folder for folder in events._listener._identities if "/rel/" in folder}

    def pass_time():
        clock.now += 2.1
        scanner.request()

    try:
        for _ in range(4):
            scanner.scan()
            pass_time()
        assert listened() == {os.path.realpath(tmp_path / "rel" / "r1")}
        (tmp_path / "root" / "new").symlink_to("../rel/r2")
        (tmp_path / "root" / "new").replace(link)
        scanner.scan_models()
        pass_time()
        assert scanner.scan_models().changed
        pass_time()
        scanner.scan()
        assert listened() == {os.path.realpath(tmp_path / "rel" / "r2")}
    finally:
        events.close()


def test_the_times_of_a_folder_are_no_reason_to_listen_anew_and_its_end_is(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    rung = threading.Event()
    events = EventSource(rung.set, 10.0)
    events.follow({str(folder): None, str(tmp_path): frozenset({"models"})}, 0.0)
    try:
        rung.clear()
        os.utime(folder)
        assert rung.wait(10)
        assert not events.is_broken
        folder.rename(tmp_path / "gone")
        assert eventually(lambda: events.is_broken)
    finally:
        events.close()


def test_folders_over_the_limit_are_polled_and_not_tried_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(event_source, "_MOST_FOLDERS", 2)
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    events = EventSource(lambda: None, 10.0)
    events.follow({str(folder): None for folder in folders}, 0.0)
    try:
        listener = events._listener
        for now in range(10, 2000, 10):
            assert not events.check(float(now))
        assert events._listener is listener
        assert events.needs_polling
        assert "more than 2 folders" in events.conditions()[0].message
    finally:
        events.close()


def eventually(condition):
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
