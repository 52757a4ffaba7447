"""The faults a watcher meets, each provoked for real.

After each: the server holds the settled files' bytes, nothing was deleted (every watcher here may prune), the process
lives. The timer and the poll are out of reach unless the fault leaves nothing else, so that what is shown is the
mechanism meant for it.
"""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.fault_proxy import FaultProxy
from support.watching import inside, json_model, sha256, write_manifest

PRUNE = ("--prune", "--max-delete", "100", "--max-delete-percent", "100")
DROP = "drop/*.json"


def drop(root, count):
    """Write a manifest that discovers, and ``count`` models for it; return what the server is to hold."""
    folder = root / "drop"
    folder.mkdir(exist_ok=True)
    write_manifest(root, discover=DROP)
    contents = {f"m{n}": json_model(n) for n in range(count)}
    for name, data in contents.items():
        (folder / f"{name}.json").write_bytes(data)
    return contents


def never_deleted(process):
    assert process.process.poll() is None
    assert "model_deleted" not in process.events()
    assert not process.other, process.other


def test_1_an_overflow_of_events_makes_a_full_scan(root, watch, server):
    contents = drop(root, 2)
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    process.send(signal.SIGSTOP)
    for n in range(max(20_000, limit + 1000)):
        (root / "drop" / f"junk{n}").touch()
    contents["m1"] = json_model(99)
    (root / "drop" / "m1.json").write_bytes(contents["m1"])
    process.send(signal.SIGCONT)
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_2_beyond_the_watch_limit_files_are_polled_and_it_is_said(root, watch, server, in_namespace):
    contents = {}
    for n in range(20):
        (root / f"f{n}").mkdir()
        contents[f"m{n}"] = json_model(n)
        (root / f"f{n}" / "m.json").write_bytes(contents[f"m{n}"])
    write_manifest(root, {f"m{n}": f"f{n}/m.json" for n in range(20)})
    limited = [*in_namespace, "sh", "-ec", 'echo 10 > /proc/sys/user/max_inotify_watches; exec "$@"', "sh"]
    process = watch(*PRUNE, before=limited, poll="0.5")
    told = process.seen("events_failed", code="incomplete")
    assert "max_user_watches" in told["message"]
    process.until(lambda: server.holds(contents))
    for n in range(20):
        contents[f"m{n}"] = json_model(n + 100)
        (root / f"f{n}" / "m.json").write_bytes(contents[f"m{n}"])
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_3_without_an_inotify_instance_files_are_polled(root, watch, server, in_namespace):
    contents = drop(root, 2)
    limited = [*in_namespace, "sh", "-ec", 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"', "sh"]
    process = watch(*PRUNE, before=limited, poll="0.3")
    told = process.seen("events_failed", code="none")
    assert "max_user_instances" in told["message"]
    process.until(lambda: server.holds(contents))
    contents["m0"] = json_model(50)
    (root / "drop" / "m0.json").write_bytes(contents["m0"])
    process.until(lambda: server.holds(contents))
    never_deleted(process)


DIE_ONCE = """
import os
from watchdog.observers.inotify_c import InotifyFD
from mmsync.watch import scanner
scanner._CHECK = 1.0  # seconds in place of ten between two looks whether the reader lives
original = InotifyFD.read_events
def read_events(self, **keywords):
    found = original(self, **keywords)
    if os.path.exists({trigger!r}):
        os.unlink({trigger!r})
        raise RuntimeError("the reader dies")
    return found
InotifyFD.read_events = read_events
"""

RAISE_ONCE = """
import os
from mmsync.watch import event_source
original = event_source._Handler.on_any_event
def on_any_event(self, event):
    if os.path.exists({trigger!r}):
        os.unlink({trigger!r})
        raise RuntimeError("the handler raises")
    original(self, event)
event_source._Handler.on_any_event = on_any_event
"""


@pytest.mark.parametrize("patch", [DIE_ONCE, RAISE_ONCE], ids=["4_reader_dies", "5_handler_raises"])
def test_4_and_5_a_dead_reader_is_replaced(root, watch, server, tmp_path, patch):
    contents = drop(root, 2)
    trigger = tmp_path / "trigger"
    process = watch(*PRUNE, patch=patch.format(trigger=str(trigger)))
    process.until(lambda: server.holds(contents))
    trigger.touch()
    contents["m0"] = json_model(60)
    (root / "drop" / "m0.json").write_bytes(contents["m0"])
    process.until(lambda: not trigger.exists(), "the death of the reader")
    process.until(lambda: server.holds(contents))
    contents["m1"] = json_model(61)
    (root / "drop" / "m1.json").write_bytes(contents["m1"])
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_5_a_handler_only_sets_a_flag():
    from mmsync.watch.control import Trigger

    trigger = Trigger(lambda _seconds: None)
    for _ in range(100_000):
        trigger.set()
    assert trigger.wait(0)
    assert not trigger.wait(0)
    trigger.set()
    assert trigger.wait(0)


def test_6_a_root_removed_and_made_again_is_watched_again_and_nothing_is_deleted(root, watch, server):
    contents = drop(root, 12)
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    shutil.rmtree(root / "drop")
    process.seen("root_failed", folder=str(root / "drop"))
    (root / "drop").mkdir()
    (root / "drop" / "m3.json").write_bytes(json_model(33))
    contents["m3"] = json_model(33)
    process.until(lambda: server.holds(contents))
    # Two more changes, one after the other: the new folder is really being watched.
    for value in (34, 35):
        contents["m4"] = json_model(value)
        (root / "drop" / "m4.json").write_bytes(contents["m4"])
        process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_7_after_a_rename_the_new_root_counts_and_the_old_does_not(root, watch, server):
    contents = drop(root, 12)
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    (root / "drop").rename(root / "old")
    (root / "drop").mkdir()
    (root / "old" / "m1.json").write_bytes(json_model(77))
    for name in ("m1", "m2"):
        contents[name] = json_model(78)
        (root / "drop" / f"{name}.json").write_bytes(contents[name])
    process.until(lambda: server.holds(contents))
    assert process.of("root_replaced")
    (root / "old" / "m1.json").write_bytes(json_model(79))
    contents["m2"] = json_model(80)
    (root / "drop" / "m2.json").write_bytes(contents["m2"])
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_7_a_root_replaced_while_its_first_models_are_sent_is_known_to_be_another(root, watch, server):
    contents = drop(root, 12)

    def replace(exchange):
        answer = exchange.forward()
        (root / "drop").rename(root / "old")
        (root / "drop").mkdir()
        contents["m1"] = json_model(78)
        (root / "drop" / "m1.json").write_bytes(contents["m1"])
        exchange.answer(answer)

    with FaultProxy(server.url) as proxy:
        proxy.on("save", replace, skip=11, times=1)
        process = watch(*PRUNE, server=SimpleNamespace(url=proxy.url, token=server.token))
        process.seen("root_replaced", folder=str(root / "drop"))
        process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_8_a_mount_that_vanishes_and_returns_deletes_nothing(root, watch, server, in_namespace, tmp_path):
    contents = drop(root, 50)
    source = tmp_path / "source"
    shutil.move(root / "drop", source)
    (root / "drop").mkdir()
    mount = f'mount -t tmpfs none "{root}/drop"; cp -a "{source}/." "{root}/drop/"; '
    process = watch(*PRUNE, before=[*in_namespace, "sh", "-ec", mount + 'exec "$@"', "sh"], poll="0.5")
    process.until(lambda: server.holds(contents))
    inside(process, f'umount -l "{root}/drop"')
    process.seen("root_failed", folder=str(root / "drop"), code="unknown")
    assert server.holds(contents)
    contents["m7"] = json_model(700)
    (source / "m7.json").write_bytes(contents["m7"])
    inside(process, mount)
    process.until(lambda: server.holds(contents))
    process.seen("root_recovered", folder=str(root / "drop"))
    process.seen("root_replaced", folder=str(root / "drop"))
    never_deleted(process)


def test_9_writes_below_an_overlay_are_found_by_polling(root, watch, server, in_namespace, tmp_path):
    contents = drop(root, 3)
    files = tmp_path / "files"
    shutil.move(root / "drop", files)
    (root / "drop").mkdir()
    layers = tmp_path / "layers"
    layers.mkdir()
    # The upper layer on a tmpfs: an overlay cannot lie on every file system a test may run on.
    script = (
        f'mount -t tmpfs none "{layers}"; cd "{layers}"; mkdir lower work; cp -a "{files}" upper; mount -t overlay overlay '
        f'-o "lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work" "{root}/drop" || exit 77; exec "$@"'
    )
    process = watch(*PRUNE, before=[*in_namespace, "sh", "-ec", script, "sh"], poll="0.3")
    try:
        process.seen("events_failed", code="silent-file-system")
    except AssertionError:
        if process.process.poll() == 77:
            pytest.skip("this machine forbids overlays in user namespaces")
        raise
    process.until(lambda: server.holds(contents))
    contents["m1"] = json_model(111)
    data = contents["m1"].decode()
    inside(process, f"printf %s '{data}' > \"{layers}/upper/m1.json\"")
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_10_a_folder_that_cannot_be_listed_deletes_nothing(root, watch, server):
    contents = drop(root, 12)
    before = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root reads every folder, and there is no setpriv to give that up")
        before = [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    process = watch(*PRUNE, before=before)
    process.until(lambda: server.holds(contents))
    (root / "drop").chmod(0)
    try:
        told = process.seen("root_failed", folder=str(root / "drop"), code="unknown")
        assert "cannot be listed" in told["message"]
        assert server.holds(contents)
    finally:
        (root / "drop").chmod(0o755)
    process.seen("root_recovered", folder=str(root / "drop"))
    contents["m1"] = json_model(5)
    (root / "drop" / "m1.json").write_bytes(contents["m1"])
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def publish(folder, version, files):
    """Publish files the way Kubernetes does a ConfigMap's."""
    real = folder / f"..{version}"
    real.mkdir()
    for name, data in files.items():
        (real / name).write_bytes(data)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(real.name)
    (folder / "..data_tmp").rename(folder / "..data")


def test_11_a_config_map_is_followed_through_its_swaps(root, watch, server):
    manifest = write_manifest(root, {"a": "a.json", "b": "b.json"}).read_bytes()
    (root / "models.yaml").unlink()
    contents = {"a": json_model(1), "b": json_model(2)}

    def swap(version):
        publish(root, version, {"models.yaml": manifest, "a.json": contents["a"], "b.json": contents["b"]})

    swap(1)
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    for version in (2, 3, 4):
        contents["a"] = json_model(version * 10)
        swap(version)
        shutil.rmtree(root / f"..{version - 1}")
        process.until(lambda: server.holds(contents))
    never_deleted(process)
    assert not [record for record in process.records if record["level"] == "error"]


def test_12_a_git_sync_link_as_root_is_followed_through_its_swaps(root, watch, server):
    contents = {"a": json_model(1), "b": json_model(2)}

    def swap(revision):
        tree = root / "trees" / revision
        (tree / "drop").mkdir(parents=True)
        write_manifest(tree, discover=DROP)
        for name, data in contents.items():
            (tree / "drop" / f"{name}.json").write_bytes(data)
        (root / "tmp-link").symlink_to(tree)
        (root / "tmp-link").rename(root / "current")

    swap("r1")
    process = watch(*PRUNE, manifest=root / "current" / "models.yaml")
    process.until(lambda: server.holds(contents))
    for n in (2, 3, 4):
        contents["b"] = json_model(n * 11)
        swap(f"r{n}")
        process.until(lambda: server.holds(contents))
    never_deleted(process)
    # A link that leads elsewhere is how trees are published: what the new one lacks was removed.
    del contents["a"]
    swap("r5")
    process.until(lambda: server.holds(contents))


def test_13_symlink_loops_cost_neither_time_nor_memory(root, watch, server):
    contents = drop(root, 2)
    write_manifest(root, discover="drop/**/*.json")
    for n in range(4):
        (root / "drop" / f"l{n}").symlink_to(".")
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    contents["m0"] = json_model(9)
    (root / "drop" / "m0.json").write_bytes(contents["m0"])
    process.until(lambda: server.holds(contents))
    assert process.resident() < 150 * 2**20
    never_deleted(process)


def test_14_files_in_folders_made_a_moment_ago_are_found(root, watch, server):
    contents = drop(root, 1)
    write_manifest(root, discover="drop/**/*.json")
    process = watch(*PRUNE, "--jobs", "16")
    process.until(lambda: server.holds(contents))
    for n in range(200):
        folder = root / "drop" / f"a{n}" / "b" / "c"
        folder.mkdir(parents=True)
        contents[f"n{n}"] = json_model(n)
        (folder / f"n{n}.json").write_bytes(contents[f"n{n}"])
    process.until(lambda: len(server.names()) == 201)
    process.until(lambda: server.holds(contents))
    # And they are listened to, deep down.
    contents["n7"] = json_model(7000)
    (root / "drop" / "a7" / "b" / "c" / "n7.json").write_bytes(contents["n7"])
    process.until(lambda: server.digest("n7") is not None and server.holds(contents))
    never_deleted(process)


def test_15_writes_without_events_are_found_by_the_timer(root, watch, server, tmp_path):
    contents = drop(root, 2)
    process = watch(*PRUNE, interval="1")
    process.until(lambda: server.holds(contents))
    contents["m0"] = json_model(1).replace(b"1", b"2")
    with (root / "drop" / "m0.json").open("r+b") as file:
        file.truncate(len(contents["m0"]))
        with mmap.mmap(file.fileno(), 0) as mapped:
            mapped[:] = contents["m0"]
    process.until(lambda: server.holds(contents))
    os.link(root / "drop" / "m1.json", tmp_path / "outside")
    process.until(lambda: server.holds(contents))
    contents["m1"] = json_model(31)
    (tmp_path / "outside").write_bytes(contents["m1"])
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_16_same_size_and_mtime_do_not_hide_a_change(root, watch, server):
    contents = drop(root, 2)
    path = root / "drop" / "m0.json"
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    before = path.stat()
    contents["m0"] = contents["m0"].replace(b"value", b"valve")
    path.write_bytes(contents["m0"])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_17_an_atomic_replace_from_outside_is_taken(root, watch, server, tmp_path):
    contents = drop(root, 3)
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    for n in range(3):
        contents["m2"] = json_model(40 + n)
        (tmp_path / "new").write_bytes(contents["m2"])
        (tmp_path / "new").replace(root / "drop" / "m2.json")
        process.until(lambda: server.holds(contents))
    never_deleted(process)


def test_18_a_slow_writer_is_waited_for_and_delays_no_other(root, watch, server):
    contents = drop(root, 2)
    process = watch(*PRUNE, settle="0.6")
    process.until(lambda: server.holds(contents))
    final = json_model(123) + b" " * 4000
    pause = time.sleep  # the writer's own pace is what is under test
    with (root / "drop" / "slow.json").open("wb", buffering=0) as file:
        for start in range(0, len(final), 500):
            file.write(final[start : start + 500])
            if start == 1000:
                contents["m1"] = json_model(17)
                (root / "drop" / "m1.json").write_bytes(contents["m1"])
            pause(0.2)
            assert "slow" not in server.names()
        # The other one did not have to wait for the end of this one.
        process.until(lambda: server.holds(contents))
    contents["slow"] = final
    process.until(lambda: server.holds(contents))
    assert [record["uploaded"] for record in process.of("model_added") if record["model"] == "slow"] == [len(final)]
    never_deleted(process)


def test_19_reading_files_wakes_nobody(root):
    from mmsync.files.digest import digest_file
    from mmsync.watch.event_source import Listener

    path = root / "a.json"
    path.write_bytes(json_model(1))
    rung = threading.Event()
    listener = Listener({str(root): None}, rung.set)
    try:
        digest_file(str(path))
        list(root.iterdir())
        path.stat()
        assert not rung.wait(0.3)
        path.write_bytes(json_model(2))
        assert rung.wait(5)
    finally:
        listener.close()


def test_20_a_name_that_is_not_utf_8_is_reported_and_the_others_are_taken(root, watch, server):
    contents = drop(root, 2)
    odd = os.fsencode(root / "drop") + b"/\xff.json"
    try:
        os.close(os.open(odd, os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system takes no such name")
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    told = process.seen("notice", code="manifest/discover-skipped")
    assert "UTF-8" in told["message"]
    contents["m1"] = json_model(13)
    (root / "drop" / "m1.json").write_bytes(contents["m1"])
    process.until(lambda: server.holds(contents))
    assert len(process.of("notice")) == 1
    never_deleted(process)


def test_21_a_flood_of_events_costs_no_memory(root, watch, server):
    contents = drop(root, 2)
    process = watch(*PRUNE)
    process.until(lambda: server.holds(contents))
    before = process.resident()
    for n in range(20_000):
        os.close(os.open(root / "drop" / f"junk{n}", os.O_CREAT | os.O_WRONLY))
    contents["m1"] = json_model(99)
    (root / "drop" / "m1.json").write_bytes(contents["m1"])
    process.until(lambda: server.holds(contents))
    assert process.resident() - before < 10 * 2**20
    never_deleted(process)


def test_the_namespace_tests_can_run_here_or_say_why(in_namespace):
    assert subprocess.run([*in_namespace, "true"], check=False).returncode == 0


TOUCHED = """
import functools, mmsync.watch.config as given
given.WatchOptions = functools.partial(given.WatchOptions, force=1.0)
"""


def test_a_file_touched_for_ever_is_taken_when_its_bytes_rest_and_one_rewritten_for_ever_is_not(root, watch, server):
    contents = drop(root, 2)
    process = watch(*PRUNE, patch=TOUCHED)
    process.until(lambda: server.holds(contents))
    stop = threading.Event()

    def disturb():
        n = 0
        while not stop.wait(0.05):
            n += 1
            os.utime(root / "drop" / "m0.json")
            (root / "drop" / "m1.json").write_bytes(json_model(n))

    (root / "drop" / "m0.json").write_bytes(json_model(400))
    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        process.until(lambda: server.digest("m0") == sha256(json_model(400)))
        process.seen("model_failed", model="m1", code="restless")
    finally:
        stop.set()
        disturber.join()
    contents = {"m0": json_model(400), "m1": json_model(77)}
    (root / "drop" / "m1.json").write_bytes(contents["m1"])
    process.until(lambda: server.holds(contents))
    process.seen("model_recovered", model="m1")
    process.seen("model_changed", model="m1")
    assert {r["sha256"] for r in process.of("model_changed")} == {sha256(data) for data in contents.values()}
    never_deleted(process)


FAILING_DISK = """
import os
opened = os.open
def failing(path, *arguments, **keywords):
    if str(path).endswith("models.yaml") and os.path.exists({trigger!r}):
        raise OSError(5, "Input/output error")
    return opened(path, *arguments, **keywords)
os.open = failing
"""


def test_a_manifest_that_could_not_be_read_is_read_again_though_its_stat_is_the_same(root, watch, server, tmp_path):
    contents = drop(root, 2)
    trigger = tmp_path / "trigger"
    trigger.touch()
    process = watch(*PRUNE, patch=FAILING_DISK.format(trigger=str(trigger)), poll="0.5")
    told = process.seen("manifest_failed", code="manifest/unreadable")
    assert "input/output error" in told["message"]
    trigger.unlink()
    process.seen("manifest_recovered")
    process.until(lambda: server.holds(contents))
    never_deleted(process)
