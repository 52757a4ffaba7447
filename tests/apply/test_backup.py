"""Backups: nothing is replaced or deleted before it is on the disk, and the manifest beside it puts it back.

MMSYNC_LONG=1 kills eighty runs instead of eight.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from mmsync.manifest import read_manifest
from mmsync.manifest.discovery import BACKUP_MARK
from mmsync.reconcile import Options
from support.applying import json_bytes, sha256
from support.backups import backup, kept, runs

LONG = bool(os.environ.get("MMSYNC_LONG"))
KILLS = 80 if LONG else 8
MODELS = 8


def holds(folder, digest):
    path = folder / "objects" / digest[:2] / digest
    return path.exists() and sha256(path.read_bytes()) == digest


def dies(started, proxy, kind, count):
    """Let a process be killed once the server has done the ``count``-th request of a kind, before it hears of that."""
    seen = []

    def kills(exchange):
        answer = exchange.forward()
        seen.append(exchange)
        if len(seen) == count:
            (process,) = started
            process.kill()
            process.wait()
        exchange.answer(answer)

    proxy.on(kind, kills)


def settled(proxy, view):
    """The image of each model, once the server has finished what the dead client had sent; every fault is taken away."""
    proxy.settle()
    proxy.clear()
    return {row["name"]: row["imageId"] for row in view.rows()}


@pytest.mark.timeout(600 if LONG else 120)
def test_killed_at_any_instant_what_was_replaced_is_in_the_backup(site, proxy, view, tmp_path):
    """Every content that the server lost is whole in a run's manifest, which applies cleanly as the undo."""
    moments = random.Random(14)
    folder = tmp_path / "backup"
    amid = 0
    names = site.models(MODELS)
    assert site.run("apply").returncode == 0
    images, was = settled(proxy, view), view.digests()
    for number in range(KILLS):
        for name in names:
            site.model(name, json_bytes(f"{name} {number}", 5_000 + number))
        del site.entries[names[number % MODELS]]
        if number % 8 == 7:
            site.ledger.unlink(missing_ok=True)
        known = set(runs(folder))
        # Of four kills one falls among the downloads, two among the changes, and one at whatever moment.
        when = ("bytes", "save", "delete", "")[number % 4]
        started = []
        if when:
            dies(started, proxy, when, 1 if when == "delete" else moments.randrange(1, MODELS - 1))
        # One after another, so that what is done is known.
        started.append(site.start("apply", "--prune", "--jobs", "1", "--backup", str(folder)))
        if not when:
            time.sleep(moments.random() * 1.2)  # the moment itself is what is tried
            started[0].kill()
        started[0].communicate()
        assert not when or started[0].returncode == -signal.SIGKILL
        now = settled(proxy, view)
        lost = {name: was[name] for name, image in images.items() if now.get(name) != image}
        amid += 0 < len(lost) < len(was)
        assert bool(lost) == (when in ("save", "delete")) or not when
        new = [run for run in runs(folder) if run not in known]
        assert [lost.items() <= kept(run).items() for run in new] in ([True], [] if not lost else [True])
        assert all(holds(folder, digest) for digest in lost.values())
        if lost and number % 8 == 1:
            undone = site.run("apply", "-f", str(new[0] / "models.yaml"))
            assert undone.returncode == 0, (undone.stdout, undone.stderr)
            assert was.items() <= view.digests().items()
            now = settled(proxy, view)
        was = {name: was[name] if images.get(name) == now[name] else view.digest(name) for name in now}
        images = now
    assert amid >= KILLS // 4


def test_a_replaced_a_described_and_a_deleted_model_come_back(site, view, tmp_path):
    site.model("a", json_bytes("a"), description="first: # 'one'")
    site.model("b", json_bytes("b"))
    site.model("c", json_bytes("c"), description="text")
    site.apply()
    was = view.digests()
    site.model("a", json_bytes("a2"), description="second")
    site.model("c", json_bytes("c"), description="other")
    site.model("d", json_bytes("d"))
    del site.entries["b"]
    done = site.run("apply", "--prune", "--max-delete-percent", "100", "--backup", "../kept")
    assert done.returncode == 0, done.stderr
    (run,) = runs(tmp_path / "kept")
    note = (
        "  To keep what it brings back, list it in the manifest again, or the next --prune deletes it once more: b.\n"
    )
    undo = next(line for line in done.stdout.splitlines() if line.startswith("Undo: "))
    assert undo == f"Undo: mmsync apply -f {run}/models.yaml"
    assert " ".join(note.split()) in " ".join(done.stdout.split())
    assert kept(run) == was
    assert "# The run added d, which this does not undo.\n" in (run / "models.yaml").read_text()
    undone = site.run(*undo.split()[2:])
    assert undone.returncode == 0, undone.stderr
    assert view.digests() == {**was, "d": sha256(json_bytes("d"))}
    assert (view.detail("a")["description"], view.detail("c")["description"]) == ("first: # 'one'", "text")


def test_known_content_that_is_there_is_not_downloaded_again_and_a_damaged_one_is(site, proxy, view, tmp_path):
    folder = tmp_path / "kept"
    site.model("a", json_bytes(0))
    site.apply()
    for number in (1, 0):
        site.model("a", json_bytes(number))
        site.apply(backup=backup(folder))
    before = proxy.count("download")
    site.model("a", json_bytes(1))
    site.apply(backup=backup(folder))
    assert proxy.count("download") == before
    path = folder / "objects" / sha256(json_bytes(1))[:2] / sha256(json_bytes(1))
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    site.model("a", json_bytes(2))
    site.apply(backup=backup(folder))
    assert holds(folder, sha256(json_bytes(1)))


def test_without_a_backup_nothing_is_written(site, view, tmp_path):
    site.models(2)
    site.apply()
    was = view.digests()
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "objects").write_text("in the way")
    site.model("m000", json_bytes("new"))
    site.model("m009", json_bytes("added"))
    outcomes = site.apply(backup=backup(folder))
    assert [(one.change.name, one.status, one.code) for one in outcomes] == [
        ("m000", "skipped", "backup"),
        ("m009", "verified", ""),
    ]
    assert "could not be backed up" in outcomes[0].message
    assert view.digests() == {**was, "m009": sha256(json_bytes("added"))}


def test_what_was_replaced_meanwhile_is_left_alone_and_the_run_leaves_nothing(site, view, tmp_path):
    site.models(1)
    site.apply()
    site.model("m000", json_bytes("new"))
    taken = backup(tmp_path / "kept")
    (outcome,) = site.apply(between=lambda _: view.put("m000", json_bytes("theirs")), backup=taken)
    assert (outcome.status, outcome.code, taken.undo) == ("skipped", "stale", None)
    assert view.digest("m000") == sha256(json_bytes("theirs"))
    assert not list((tmp_path / "kept").glob("2*"))


def test_a_run_that_replaces_nothing_makes_no_folder(site, tmp_path):
    site.models(2)
    site.apply(backup=backup(tmp_path / "kept"))
    assert not (tmp_path / "kept").exists()


def test_backups_are_no_models(site, tmp_path):
    site.models(1)
    site.apply()
    site.model("m000", json_bytes("new"))
    site.apply(backup=backup(site.folder / "drop" / "kept"))
    assert (site.folder / "drop" / "kept" / BACKUP_MARK).exists()
    rules = site.folder / "rules.yaml"
    (site.folder / "drop" / "own.json").write_bytes(json_bytes("own"))
    rules.write_text('version: 1\ndiscover: [{glob: "drop/**/*.json", engine: BIGML}]\n')
    assert [desired.name for desired in read_manifest([str(rules)]).models] == ["own"]


def test_watch_keeps_what_it_replaces(site, view, tmp_path):
    site.models(1)
    site.apply()
    was = view.digests()
    site.model("m000", json_bytes("new"))
    done = site.run("watch", "--once", "--settle", "0.05", "--backup", "../kept")
    assert done.returncode == 0, done.stderr
    (run,) = runs(tmp_path / "kept")
    assert kept(run) == was
    assert f"backup_kept: what was replaced or deleted is kept; undo: mmsync apply -f ../kept/{run.name}" in done.stderr


def test_protected_models_stay(site, view):
    """Neither deleted nor given another engine, once the entry is gone as well; the flag names them."""
    site.model("p", json_bytes("p"), protect=True)
    site.model("q", json_bytes("q"))
    site.apply()
    site.model("p", json_bytes("p"), engine="DT", protect=True)
    plan = site.plan()
    assert (plan.blocked, plan.changes) == (("p",), ())
    assert [each.code for each in plan.diagnostics if each.severity == "error"] == ["plan/protected"]
    del site.entries["p"]
    assert not site.apply(Options(prune=True))
    assert not site.apply(Options(prune=True))  # the memory stays
    assert view.names() == ["p", "q"]
    done = site.run("apply", "--prune", "--allow-protected", "p")
    assert done.returncode == 0, done.stderr
    assert view.names() == ["q"]


def test_a_protection_taken_back_is_told_and_over(site, view):
    site.model("p", json_bytes("p"), protect=True)
    site.model("q", json_bytes("q"))
    site.apply()
    site.model("p", json_bytes("p"))
    assert [each.code for each in site.plan().diagnostics if each.severity == "warning"] == ["guard/changed"]
    site.apply()
    del site.entries["p"]
    site.apply(Options(prune=True))
    assert view.names() == ["q"]


def bigml(*inputs, note=""):
    fields = ", ".join(f'"{name}": {{"name": "{name}", "optype": "numeric"}}' for name in (*inputs, "label"))
    return f'{{"object": {{"objective_field": "label", "model": {{"fields": {{{fields}}}}}}}, "n": "{note}"}}'.encode()


@pytest.mark.parametrize("forgets", [False, True])
def test_a_protected_model_keeps_its_signature(site, view, forgets):
    """A new input alone is another signature, and allow_signature_change lifts nothing; the same one is taken."""
    site.model("p", bigml("a"), protect=True, allow_signature_change=True)
    site.apply()
    if forgets:
        site.ledger.unlink()
    site.model("p", bigml("a", "b"), protect=True, allow_signature_change=True)
    (outcome,) = site.apply()
    assert (outcome.status, outcome.code, outcome.permanent) == ("skipped", "protected", True)
    assert "input b is new" in outcome.message
    assert "--allow-protected p" in outcome.message
    assert view.digest("p") == sha256(bigml("a"))
    site.model("p", bigml("a", note="retrained"), protect=True)
    (outcome,) = site.apply()
    assert (outcome.status, outcome.code) == ("verified", "")
    view.put("p", bigml("x"))  # somebody's: the last verified one is put back
    (outcome,) = site.apply()
    assert (outcome.status, outcome.code) == ("verified", ""), outcome.message
