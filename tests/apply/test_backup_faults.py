"""Backups on bad days: a full disk, a signal, a file system without links; nothing is replaced before it is on the disk."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mmsync.reconcile import Options
from support.applying import json_bytes, stopping
from support.backups import backup, kept, runs
from support.fault_proxy import Held
from support.watching import namespaces

LIMIT = 400_000  # bytes: more than the ledger takes, less than the large model
TMPFS = """
mount -t tmpfs -o size=600k tmpfs "$1"
kept=$1 copy=$2
shift 2
"$@" && code=0 || code=$?
cp -a "$kept" "$copy"
exit $code
"""


@pytest.fixture
def replacing(site, proxy, view):
    """A large and a small model on the server, and others listed in their place; returns what the server holds."""
    site.model("large", json_bytes("large", 900_000))
    site.model("small", json_bytes("small"))
    site.apply()
    proxy.clear()
    # Of other sizes, so that no plan has to download what is there.
    site.model("large", json_bytes("new"))
    site.model("small", json_bytes("another"))
    return view.digests()


# --- on the disk first ------------------------------------------------------------------------------------------


class Disk:
    """What a power cut would leave: the contents and the names that were synced."""

    def __init__(self, monkeypatch):
        self._sizes, self._names = {}, {}
        fsync = os.fsync

        def synced(descriptor):
            fsync(descriptor)
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                self._names[status.st_dev, status.st_ino] = set(os.listdir(descriptor))  # noqa: PTH208 - pathlib lists no descriptors
            else:
                self._sizes[status.st_dev, status.st_ino] = status.st_size

        monkeypatch.setattr(os, "fsync", synced)

    def lost(self, top):
        """The paths at and below ``top`` that are not on the disk, drafts aside."""
        found = []
        for path in [top, *top.rglob("*")]:
            at, there = path.stat(), path.parent.stat()
            named = path.name in self._names.get((there.st_dev, there.st_ino), ())
            whole = path.is_dir() or self._sizes.get((at.st_dev, at.st_ino)) == at.st_size
            if not (named and whole) and not path.name.endswith(".partial"):
                found.append(str(path.relative_to(top.parent)))
        return found


def test_every_byte_and_every_name_is_synced_before_the_first_write(site, proxy, view, tmp_path, monkeypatch):
    for name in "abc":
        site.model(name, json_bytes(name))
    site.apply()
    was = view.digests()
    site.model("a", json_bytes("a2"))
    site.model("b", json_bytes("b2"))
    del site.entries["c"]
    top = tmp_path / "new"
    folder = top / "deeper" / "kept"
    disk, seen = Disk(monkeypatch), []

    def look(exchange):
        (run,) = runs(folder)
        seen.append((exchange.kind, disk.lost(top), kept(run)))
        exchange.answer(exchange.forward())

    for kind in ("upload", "save", "delete"):
        proxy.on(kind, look)
    outcomes = site.apply(Options(prune=True), backup=backup(folder))
    assert all(one.ok for one in outcomes)
    assert {kind for kind, *_ in seen} == {"upload", "save", "delete"}
    assert [rest for _, *rest in seen] == [[[], was]] * len(seen)


# --- a full disk ------------------------------------------------------------------------------------------------


def assert_only_the_small_one_was_replaced(done, folder, site, view, was):
    assert done.returncode == 1
    assert "large  to change, skipped [backup]" in done.stdout
    assert "nothing was written, as it could not be backed up" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
    assert view.digests() == {"large": was["large"], "small": site.digests()["small"]}
    (run,) = runs(folder)
    assert kept(run) == {"small": was["small"]}
    left = [path.name for path in folder.rglob("*.partial")]
    assert left == []


def test_on_a_full_disk_what_does_not_fit_is_left_alone(replacing, site, view, tmp_path):
    """A file system of its own, which is too small."""
    command = namespaces("-Urm") or pytest.skip("this machine forbids user namespaces")
    mounted, folder = tmp_path / "mounted", tmp_path / "kept"
    mounted.mkdir()
    site.save()
    words = [*command, "sh", "-uc", TMPFS, "sh", str(mounted), str(folder)]
    probe = subprocess.run([*words, "true"], capture_output=True, text=True, timeout=30, check=False)
    if probe.returncode or probe.stderr:
        pytest.skip("this machine forbids to mount a tmpfs")
    folder.rmdir()
    words += [sys.executable, "-m", "mmsync", "apply", "--jobs", "1", "--backup", str(mounted)]
    done = subprocess.run(
        words, cwd=site.folder, env=site.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert_only_the_small_one_was_replaced(done, folder, site, view, replacing)
    assert f"{mounted}: no space left on device (make room there, or name another folder with --backup)" in (
        " ".join(done.stdout.split())
    )


def test_what_is_longer_than_a_file_may_be_is_left_alone(replacing, site, view, tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))

    process = site.start("apply", "--jobs", "1", "--backup", "../kept", preexec_fn=limited)
    out, err = process.communicate(timeout=60)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    assert_only_the_small_one_was_replaced(done, tmp_path / "kept", site, view, replacing)
    assert "../kept: file too large (mend that, or name another folder with --backup)" in " ".join(out.split())


@pytest.mark.parametrize("at", ["models.yaml", ".mmsync-backup"])
def test_without_room_for_the_manifest_nothing_is_replaced(at, replacing, site, view, tmp_path, monkeypatch):
    import mmsync.apply.backup

    real = mmsync.apply.backup.write_new

    def write_new(target, text, *, replace=False):
        if target.name == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        real(target, text, replace=replace)

    monkeypatch.setattr(mmsync.apply.backup, "write_new", write_new)
    outcomes = site.apply(backup=backup(tmp_path / "kept"))
    assert [(one.status, one.code) for one in outcomes] == [("skipped", "backup")] * 2
    assert all("make room there" in one.message for one in outcomes)
    assert view.digests() == replacing


# --- signals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_amid_the_downloads_replaces_nothing(number, code, replacing, site, proxy, view, tmp_path):
    held = Held(proxy, "bytes", after=1)  # one is in the backup, the other on its way
    process = site.start("apply", "--prune", "--jobs", "1", "--backup", "../kept")
    assert held.begun.wait(30)
    process.send_signal(number)
    stopping(process)
    out, err = process.communicate(timeout=30)
    held.go_on.set()
    assert (process.returncode, "Traceback" in err) == (code, False)
    assert "2 not attempted" in " ".join(out.split())
    assert not any(proxy.count(kind, forwarded=False) for kind in ("upload", "save", "delete"))
    assert view.digests() == replacing
    assert list((tmp_path / "kept").glob("2*")) == []
    proxy.settle()
    proxy.clear()
    again = site.run("apply", "--backup", "../kept")
    assert again.returncode == 0, again.stderr
    (run,) = runs(tmp_path / "kept")
    assert kept(run) == replacing


def test_a_second_signal_amid_the_downloads_ends_it_at_once(replacing, site, proxy, view):
    held = Held(proxy, "bytes")
    process = site.start("apply", "--backup", "../kept")
    assert held.begun.wait(30)
    process.send_signal(signal.SIGTERM)
    stopping(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    process.communicate()
    held.go_on.set()
    assert view.digests() == replacing


# --- without links ----------------------------------------------------------------------------------------------


def test_objects_on_another_file_system_are_copied(replacing, site, view, tmp_path):
    """A link cannot lead to another file system: the objects may lie on one, by a link of the user's."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    import tempfile

    with tempfile.TemporaryDirectory(dir=memory) as elsewhere:
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / "objects").symlink_to(elsewhere)
        assert all(one.ok for one in site.apply(backup=backup(tmp_path / "kept")))
        assert len([path for path in Path(elsewhere).rglob("*") if path.is_file()]) == 2
    # The objects are gone, the copies are not.
    (run,) = runs(tmp_path / "kept")
    assert kept(run) == replacing
    undone = site.run("apply", "-f", str(run / "models.yaml"))
    assert undone.returncode == 0, undone.stderr
    assert view.digests() == replacing


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_a_file_system_without_links_or_with_no_more_of_them_gets_copies(
    number, replacing, site, view, tmp_path, monkeypatch
):
    def hardlink_to(path, target):
        raise OSError(number, os.strerror(number), str(target))

    monkeypatch.setattr(Path, "hardlink_to", hardlink_to)
    assert all(one.ok for one in site.apply(backup=backup(tmp_path / "kept")))
    monkeypatch.undo()
    (run,) = runs(tmp_path / "kept")
    assert kept(run) == replacing
    assert {path.stat().st_nlink for path in run.iterdir()} == {1}


# --- other ways to apply ----------------------------------------------------------------------------------------


def test_a_saved_plan_is_applied_with_a_backup(replacing, site, view, tmp_path):
    del site.entries["small"]
    assert site.run("plan", "--prune", "--out", "plan.json").returncode == 0
    done = site.run("apply", "plan.json", "--backup", "../kept")
    assert done.returncode == 0, done.stderr
    (run,) = runs(tmp_path / "kept")
    assert kept(run) == replacing
    assert f"\nUndo: mmsync apply -f {run}/models.yaml\n" in done.stdout
    assert site.run("apply", "-f", f"../kept/{run.name}/models.yaml").returncode == 0
    assert view.digests() == replacing


def test_a_stale_saved_plan_touches_no_backup(replacing, site, tmp_path):
    assert site.run("plan", "--out", "plan.json").returncode == 0
    site.model("small", json_bytes("the newest"))
    done = site.run("apply", "plan.json", "--backup", "../kept")
    assert (done.returncode, (tmp_path / "kept").exists()) == (1, False)


def test_a_rule_protects_what_it_finds(site, view):
    """Neither deleted once its file is gone, nor given another engine; --allow-protected lifts that."""
    rules = site.folder / "rules.yaml"
    drop = site.folder / "drop"
    drop.mkdir()

    def write(engine):
        rules.write_text(
            f'version: 1\nscope: ["*"]\ndiscover:\n  - {{glob: "drop/*.json", engine: {engine}, protect: true}}\n'
        )

    write("BIGML")
    for name in ("p", "q"):
        (drop / f"{name}.json").write_bytes(json_bytes(name))
    assert site.run("apply", "-f", "rules.yaml").returncode == 0
    was = view.digests()
    (drop / "p.json").unlink()
    done = site.run("apply", "-f", "rules.yaml", "--prune", "--max-delete-percent", "100")
    assert "protected" in done.stdout
    assert view.digests() == was
    write("DT")
    done = site.run("apply", "-f", "rules.yaml")
    assert done.returncode == 1
    assert view.detail("q")["engine"] == "BIGML"
    done = site.run("apply", "-f", "rules.yaml", "--prune", "--allow-protected", "p", "--allow-protected", "q")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert (view.names(), view.detail("q")["engine"]) == (["q"], "DT")
