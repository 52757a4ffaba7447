"""What a watch does beside what a plan would refuse, and what it tells a person of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from support.watching import json_model, write_manifest


def drop(root, names):
    (root / "drop").mkdir(exist_ok=True)
    contents = {name: json_model(number) for number, name in enumerate(names)}
    for name, data in contents.items():
        (root / "drop" / f"{name}.json").write_bytes(data)
    return contents


@pytest.mark.parametrize("copy", ["backup/a.json", "zz/a.json"])
def test_a_second_file_of_a_name_never_goes_live(root, watch, server, copy):
    contents = drop(root, "ab")
    write_manifest(root, discover="drop/**/*.json")
    process = watch("--prune")
    process.until(lambda: server.holds(contents))
    second = root / "drop" / copy
    second.parent.mkdir()
    second.write_bytes(json_model(99))
    contents["b"] = json_model(5)
    (root / "drop/b.json").write_bytes(contents["b"])
    told = process.seen("model_failed", model="a")["message"]
    assert f"drop/{copy}" in told
    assert "drop/a.json" in told
    process.until(lambda: server.holds(contents))
    (root / "drop/a.json").write_bytes(json_model(98))  # of two that claim it, neither is taken
    contents["c"] = json_model(6)
    (root / "drop/c.json").write_bytes(contents["c"])
    process.until(lambda: server.holds(contents))
    second.unlink()
    contents["a"] = json_model(98)
    process.until(lambda: server.holds(contents))
    process.seen("model_recovered", model="a")
    assert not process.of("model_deleted")


def test_a_listed_model_is_not_replaced_by_a_discovered_file_of_its_name(root, watch, server):
    write_manifest(root, {"a": "a.json"}, discover="drop/*.json")
    (root / "a.json").write_bytes(json_model(1))
    (root / "drop").mkdir()
    process = watch()
    process.until(lambda: server.holds({"a": json_model(1)}))
    drop(root, ["a", "b"])
    process.seen("model_failed", model="a")
    process.until(lambda: server.holds({"a": json_model(1), "b": json_model(1)}))


def test_a_guard_on_deletes_holds_back_no_add_and_no_change(root, watch, server):
    contents = drop(root, "abcd")
    write_manifest(root, discover="drop/*.json")
    process = watch("--prune", "--max-delete", "1")
    process.until(lambda: server.holds(contents))
    for name in "abc":
        (root / f"drop/{name}.json").unlink()
    told = process.seen("plan_refused")["message"]
    assert told.startswith("nothing is deleted, a, b, c would be: 3 models would be deleted; at most 1 are allowed")
    contents |= {"d": json_model(40), "e": json_model(50)}
    (root / "drop/d.json").write_bytes(contents["d"])
    (root / "drop/e.json").write_bytes(contents["e"])
    process.until(lambda: server.holds(contents))
    process.until(lambda: any("3 not deleted, which a guard forbids" in r["message"] for r in process.of("reconciled")))
    assert not process.of("model_deleted")
    for name in "abc":
        (root / f"drop/{name}.json").write_bytes(contents[name])
    process.seen("plan_allowed")


def test_files_that_come_and_go_and_what_stays_on_the_server_are_told(root, watch, server):
    contents = drop(root, "abc")
    write_manifest(root, discover="drop/*.json")
    process = watch()
    process.until(lambda: server.holds(contents))
    assert not process.of("model_listed")
    (root / "drop/a.json").rename(root / "drop/new.json")
    (root / "drop/b.json").unlink()
    told = process.seen("model_unlisted", model="a")["message"]
    assert told == f"{root}/drop/a.json is gone, so nothing lists a".replace(f"{root}/", "")
    assert process.seen("model_listed", model="new")["message"] == "drop/new.json was found, which makes new"
    process.seen("model_unlisted", model="b")
    process.until(lambda: any("a, b" in record["message"] for record in process.of("orphans_found")))
    assert process.of("orphans_found")[-1]["message"] == (
        "inside scope and listed by nothing: a, b; without --prune they are left alone"
    )
    process.until(lambda: "new" in server.names())
    (root / "drop/new.json").rename(root / "drop/a.json")
    (root / "drop/b.json").write_bytes(contents["b"])
    process.until(lambda: any("listed by nothing: new;" in record["message"] for record in process.of("orphans_found")))


def test_a_signal_for_a_look_is_told(root, watch, server):
    write_manifest(root)
    process = watch()
    process.seen("reconciled")
    process.send(signal.SIGHUP)
    process.seen("reconcile_asked")


@pytest.mark.parametrize("signals", [1, 2])
def test_the_command_for_changes_does_not_outlive_the_watch(root, watch, server, tmp_path, signals):
    pid = tmp_path / "pid"
    script = tmp_path / "slow.py"
    script.write_text(f"import os, time; open({str(pid)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(120)")
    contents = drop(root, "a")
    write_manifest(root, discover="drop/*.json")
    process = watch("--on-change", f"{sys.executable} {script}")
    process.until(lambda: server.holds(contents) and pid.exists() and pid.read_text().endswith("\n"))
    (root / "drop/a.json").write_bytes(json_model(9))  # a second report waits for the command to end
    process.until(lambda: server.holds({"a": json_model(9)}))
    for _ in range(signals):
        process.send(signal.SIGTERM)
        process.seen("watch_stopping")
    assert process.wait() == 143
    children = [int(line) for line in pid.read_text().split()]
    assert len(children) == 1
    for child in children:
        assert not psutil.pid_exists(child) or not _runs(child, script)


def _runs(child: int, script: Path) -> bool:
    try:
        return os.fsencode(script) in Path(f"/proc/{child}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_folder_made_later_is_listened_to_before_it_holds_a_model(root, watch, server):
    contents = drop(root, "a")
    write_manifest(root, discover="drop/**/*.json")
    process = watch()
    process.until(lambda: server.holds(contents))
    (root / "drop/sub/deep").mkdir(parents=True)
    # By an inotify watch on it, which the kernel tells of.
    deep = (root / "drop/sub/deep").stat().st_ino
    watched = f"ino:{deep:x} "
    process.until(lambda: any(watched in path.read_text() for path in Path(f"/proc/{process.pid}/fdinfo").iterdir()))
    contents["b"] = json_model(2)
    (root / "drop/sub/deep/b.json").write_bytes(contents["b"])
    process.until(lambda: server.holds(contents))
