"""The audit record: what was done is on the disk before more is done, whole, and in nobody's way but its own."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import resource
import stat
import subprocess
import sys
import threading

import pytest

from mmsync.apply.audit import AuditFile, Origin
from mmsync.apply.executor import apply_changes
from mmsync.errors import AuditError
from mmsync.plan import Options
from support.applying import json_bytes
from support.fault_proxy import status

NOW = 1_800_000_000.25
ORIGIN = Origin("octocat", "https://github.example/o/r/actions/runs/7", "o/r", "c" * 40)
LIMIT = 4 << 20  # bytes no file of a process may grow beyond; enough for its ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def audit(path):
    return AuditFile(str(path), ORIGIN, now=lambda: NOW)


def lines(path, event=None):
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in found if event in (None, line["event"])]


def test_each_change_has_a_line_and_what_was_applied_another_once_it_is_read_back(site, audit, path, view):
    site.model("a", json_bytes("a"), description="first")
    site.model("b", json_bytes("b"))
    site.model("c", json_bytes("c"))
    site.apply()
    before = {row["name"]: row["imageId"] for row in view.rows()}
    old = site.digests()
    site.model("a", json_bytes("A"), description="first")
    site.model("b", json_bytes("b"), description="second")
    del site.entries["c"]
    site.model("d", json_bytes("d"), description="new")
    plans = []
    site.apply(Options(prune=True), audit=audit, between=plans.append)
    after = {row["name"]: row["imageId"] for row in view.rows()}
    start, *rest = lines(path)
    shared = {
        "time": "2027-01-15T08:00:00.250Z",
        "actor": "octocat",
        "run": "https://github.example/o/r/actions/runs/7",
        "repository": "o/r",
        "commit": "c" * 40,
        "mmsync_version": start["mmsync_version"],
        "server": "http://tests",
        "domain": "",
        "digest": start["digest"],
    }
    assert re.fullmatch("[0-9a-f]{64}", start["digest"])
    assert start == {**shared, "event": "start", "summary": {"add": 1, "change": 2, "delete": 1}}

    def side(digests, images, name):
        return {"sha256": digests[name], "engine": "BIGML", "image_id": images[name]}

    new = site.digests()
    was_c = {"sha256": old["c"], "engine": "BIGML", "image_id": before["c"]}
    expected = {
        "a": ("change", side(old, before, "a"), side(new, after, "a"), False),
        "b": ("change", side(old, before, "b"), side(new, after, "b"), True),
        "c": ("delete", was_c, None, False),
        "d": ("add", None, side(new, after, "d"), True),
    }
    for event, outcome in (("change", "applied"), ("read-back", "verified")):
        found = {line["name"]: line for line in rest if line["event"] == event}
        assert found == {
            name: {
                **shared,
                "event": event,
                "action": action,
                "name": name,
                "before": was,
                "after": now,
                "description_changed": described,
                "outcome": outcome,
                "code": "",
            }
            for name, (action, was, now, described) in expected.items()
        }
    assert len(rest) == 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_is_there_before_its_worker_sends_anything_more(site, audit, path, proxy):
    site.models(6)
    seen = []

    def counted(exchange):
        seen.append((len(lines(path, "start")), len(lines(path, "change"))))
        exchange.answer(exchange.forward())

    proxy.on("upload", counted)
    site.apply(Options(jobs=1), audit=audit)
    assert seen == [(1, done) for done in range(6)]


def test_what_was_not_done_has_a_line_that_says_why_and_what_was_not_tried_none(site, audit, path, proxy, view):
    site.model("broken", json_bytes("broken"), engine="NOSUCH", inspect=False)
    site.model("late", json_bytes("late"))
    site.model("never", json_bytes("never"))
    outcomes = site.apply(
        Options(jobs=1), audit=audit, fail_fast=True, between=lambda plan: view.put("late", json_bytes("theirs"))
    )
    assert [(line["name"], line["outcome"], line["code"]) for line in lines(path, "change")] == [
        ("broken", "failed", "unknown-engine")
    ]
    assert lines(path, "read-back") == []
    assert [outcome.status for outcome in outcomes] == ["failed", "not-attempted", "not-attempted"]
    del site.entries["broken"]
    view.delete("late")
    site.apply(Options(jobs=1), audit=audit, between=lambda plan: view.put("late", json_bytes("theirs")))
    found = {line["name"]: (line["outcome"], line["code"]) for line in lines(path, "change")}
    assert found["late"] == ("skipped", "stale")
    assert found["never"] == ("applied", "")


def test_what_the_read_back_denies_is_said(site, audit, path, proxy, view):
    site.model("m", json_bytes("ours"))

    def replaced(exchange):
        answer = exchange.forward()
        view.put("m", json_bytes("theirs"))
        exchange.answer(answer)

    proxy.on("save", replaced)
    site.apply(audit=audit)
    assert [(line["event"], line["outcome"], line["code"]) for line in lines(path)[1:]] == [
        ("change", "applied", ""),
        ("read-back", "failed", "read-back"),
    ]


def test_where_nothing_is_read_back_what_the_server_said_stands(site, audit, path, proxy):
    site.model("m", json_bytes("ours"))
    proxy.on("list", status(500, {"code": 1, "msg": "no"}), skip=1)
    site.apply(audit=audit)
    assert [(line["event"], line.get("outcome")) for line in lines(path)] == [("start", None), ("change", "applied")]


def test_a_run_that_changes_nothing_leaves_no_line(site, path):
    site.models(2)
    site.apply()
    assert site.run("apply", "--audit", str(path)).returncode == 0
    assert path.read_bytes() == b""


def test_names_and_what_a_server_sends_are_inert(site, audit, path, view):
    name = 'x\n::error::y\r\x1b[31m\u2028"\\😀' + "ü" * 200
    site.model("listed", json_bytes("ours"))
    view.put(name, json_bytes("theirs"), description="\n{}")
    site.apply(Options(prune=True), audit=audit)
    assert path.read_bytes().isascii()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", path.read_bytes())
    assert {line["name"] for line in lines(path, "change")} == {"listed", name}
    assert len(path.read_bytes().splitlines()) == 5


def test_no_token_is_in_it(site, path):
    site.model("a", json_bytes("a"))
    site.model("b", json_bytes("b"), engine=site.token)
    url = site.url.replace("http://", "http://user:pa55w0rd@")
    env = {"CI_JOB_URL": "https://me:s3cret@ci.example/7", "GITLAB_CI": "true", "GITLAB_USER_LOGIN": "me"}
    site.entries["b"] |= {"engine": "NOSUCH", "inspect": False}
    site.run("apply", "--audit", str(path), env={"MMSYNC_URL": url, **env})
    text = path.read_text()
    assert len(lines(path, "change")) == 2
    assert lines(path)[0]["run"] == "https://***@ci.example/7"
    for secret in (site.token, "pa55w0rd", "s3cret"):
        assert secret not in text


# --- a file that cannot be written ------------------------------------------------------------------------------


def a_folder(path):
    path.mkdir()
    return "Is a directory"


def in_no_folder(path):
    path.symlink_to(path.parent / "nowhere" / "file")
    return "No such file or directory"


def a_pipe(path):
    os.mkfifo(path)
    return "it is no regular file"


def a_device(path):
    path.symlink_to("/dev/full")
    return "it is no regular file"


def something_else(path):
    path.write_text("not ours\n")
    return "it holds something else, and was left as it is"


def a_loop(path):
    path.symlink_to(path)
    return "Too many levels of symbolic links"


@pytest.mark.parametrize("case", [a_folder, in_no_folder, a_pipe, a_device, something_else, a_loop])
@pytest.mark.parametrize("command", [("apply",), ("watch", "--once", "--settle", "0.1")], ids=lambda words: words[0])
def test_without_a_record_nothing_is_written(case, command, site, path, proxy, view):
    site.models(2)
    why = case(path)
    done = site.run(*command, "--audit", str(path))
    assert done.returncode == 1
    assert f"Error: cannot open the audit record {path}: {why}" in done.stderr
    assert "nothing was written to the server" in done.stderr
    assert view.names() == []
    if case is something_else:
        assert path.read_text() == "not ours\n"


@pytest.mark.parametrize("inside", ["models.yaml", "m000.json", "plan.json"])
def test_what_a_run_is_made_from_is_no_place_for_it(inside, site, view):
    site.models(1)
    assert site.run("plan", "--out", "plan.json").returncode == 0
    before = (site.folder / inside).read_bytes()
    done = site.run("apply", "plan.json", "--audit", inside)
    assert done.returncode == 1
    assert "it was left as it is" in done.stderr
    assert (site.folder / inside).read_bytes() == before
    assert view.names() == []


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def filled(path, room):
    """Write whole lines until there is this much room below the limit."""
    line = b'{"time": "before", "event": "start", "fill": "%s"}\n'
    path.write_bytes(line % (b"x" * (LIMIT - room - len(line) + 2)))


def test_a_full_disk_at_the_start_keeps_everything_from_being_written(site, path, proxy, view):
    site.models(4)
    filled(path, 100)
    process = site.start("apply", "--audit", str(path), preexec_fn=limited)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Error: cannot write the audit record {path}: File too large" in err
    assert "nothing was written to the server" in err
    assert view.names() == []
    assert proxy.count("upload") == 0


def test_a_disk_that_fills_up_ends_the_run_and_the_next_goes_on_after_the_torn_line(site, path, proxy, view):
    names = site.models(12)
    filled(path, 2000)
    process = site.start("apply", "--jobs", "1", "--audit", str(path), "--format", "json", preexec_fn=limited)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Error: cannot write the audit record {path}: File too large" in err
    assert "nothing more was begun" in err
    done = view.names()
    assert 1 < len(done) < 5
    assert path.stat().st_size == LIMIT, "half a line is left"
    ended = [json.loads(line) for line in out.splitlines()]
    untried = [line["hook"]["name"] for line in ended if line.get("hook", {}).get("code") == "audit"]
    assert untried == names[len(done) :]
    again = site.run("apply", "--audit", str(path))
    assert again.returncode == 0, again.stderr
    assert view.digests() == site.digests()
    (torn,) = [line for line in path.read_text().splitlines() if not line.endswith("}")]
    whole = [json.loads(line) for line in path.read_text().splitlines() if line != torn]
    changed = [line["name"] for line in whole if line["event"] == "change"]
    assert torn.startswith('{"time": ')
    assert sorted([*changed, done[-1]]) == names, "of all but the one whose line was torn there is one"


def test_a_record_that_is_removed_meanwhile_ends_the_run(site, audit, path, proxy):
    site.models(6)
    proxy.on("save", lambda exchange: (path.unlink(), exchange.answer(exchange.forward())), times=1, skip=1)
    outcomes = site.apply(Options(jobs=1), audit=audit)
    assert [outcome.code for outcome in outcomes] == ["", "", *["audit"] * 4]
    assert "it was removed meanwhile" in str(audit.error)


# --- beside others ----------------------------------------------------------------------------------------------


def test_two_processes_append_to_one_file(site, path, proxy, view):
    site.models(60)
    for entry in site.entries.values():
        entry["name"] += "ü" * 150  # lines longer than those that a pipe takes whole
    processes = [site.start("apply", "--shard", f"{index}/2", "--audit", str(path)) for index in (1, 2)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    for event in ("change", "read-back"):
        assert sorted(line["name"] for line in lines(path, event)) == view.names()
    assert len(lines(path, "start")) == 2


def test_half_a_line_of_another_process_is_ended_before_ours_begins(site, audit, path, proxy):
    site.models(3)

    def tears(exchange):
        with path.open("a") as file:
            file.write('{"time": "torn')
        exchange.answer(exchange.forward())

    proxy.on("upload", tears, times=1, skip=1)
    site.apply(Options(jobs=1), audit=audit)
    whole = [line for line in path.read_text().splitlines() if line != '{"time": "torn']
    assert len([json.loads(line) for line in whole]) == 7
    assert len(path.read_text().splitlines()) == 8


def test_one_that_keeps_the_file_locked_is_waited_for_and_then_given_up(site, audit, path, monkeypatch, view):
    site.models(1)
    path.touch()
    monkeypatch.setattr("mmsync.apply.audit._PATIENCE", 0.05)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="another process keeps it locked"):
            site.apply(audit=audit)
    assert view.names() == []
    site.apply(audit=audit)
    assert len(lines(path)) == 3


def test_a_run_killed_outright_leaves_whole_lines_and_the_next_goes_on(site, path, proxy, view):
    names = site.models(6)
    begun, go_on = threading.Event(), threading.Event()

    def holds(exchange):
        begun.set()
        go_on.wait(60)
        exchange.reset()

    proxy.on("save", holds, skip=2, times=1)
    process = site.start("apply", "--jobs", "1", "--audit", str(path))
    assert begun.wait(30)
    process.kill()
    process.communicate()
    go_on.set()
    assert [line["event"] for line in lines(path)] == ["start", "change", "change"]
    assert site.run("apply", "--audit", str(path)).returncode == 0
    assert sorted(line["name"] for line in lines(path, "change")) == names
    assert view.digests() == site.digests()


def test_a_change_the_server_never_answered_is_recorded_as_such(site, audit, path, proxy, monkeypatch):
    site.model("m", json_bytes("m"))
    stop, gone = threading.Event(), threading.Event()

    def never(exchange):
        stop.set()
        gone.wait(60)
        exchange.reset()

    proxy.on("save", never)
    monkeypatch.setattr("mmsync.apply.executor._FAREWELL", 0.1)
    monkeypatch.setattr("mmsync.apply.executor.apply_changes", functools.partial(apply_changes, grace=0.1))
    try:
        site.apply(audit=audit, stop=stop)
    finally:
        gone.set()
    assert [(line["event"], line.get("outcome"), line.get("code")) for line in lines(path)] == [
        ("start", None, None),
        ("change", "failed", "interrupted"),
    ]
    proxy.settle()
    assert len(lines(path)) == 2, "who comes late writes nothing"


REUSED = """
import sys
from mmsync.apply.audit import _Appender
path, name = sys.argv[1:]
appender = _Appender(path)
number = appender._descriptor
appender.close()
with open(name, "wb") as other:
    assert other.fileno() == number
    try:
        appender.append(b"{}\\n")
    except OSError as error:
        print(error.strerror)
"""


def test_who_comes_after_the_end_writes_to_no_other_file_of_the_same_number(path, tmp_path):
    # In a process without other threads, which might take the number first.
    command = [sys.executable, "-c", REUSED, str(path), str(tmp_path / "other")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Bad file descriptor\n", "")
    assert (tmp_path / "other").read_bytes() == b""
