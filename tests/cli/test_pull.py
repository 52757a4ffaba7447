from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import threading

import pytest

from mmsync.server import running
from support.clients import client_of
from support.commands import Shell, names
from support.wire import Wire, answer, silent_after_half

CONTENTS = {"fraud_score": b"one" * 1000, "fraud_risk": b"two", "churn": b"three"}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    return Shell(tmp_path, capsys, monkeypatch)


@pytest.fixture
def server(tmp_path, monkeypatch):
    with running(tmp_path / "srv") as address, client_of(address.url, address.token) as client:
        monkeypatch.setenv("MMSYNC_URL", address.url)
        monkeypatch.setenv("MMSYNC_TOKEN", address.token)
        client.folder = tmp_path
        for name, content in CONTENTS.items():
            put(client, name, content)
        yield client


def put(client, name, content, engine="MLSTATS", **settings):
    (client.folder / "upload").write_bytes(content)
    client.add_model(name, engine, client.folder / "upload", force=True, **settings)


def files(folder):
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def test_files_come_whole_under_the_models_name_and_are_told_as_sha256sum_does(shell, server):
    ran = shell("pull", "fraud_score", "churn", "--to", "out/new")
    assert ran == (
        0,
        f"{sha256(b'three')}  out/new/churn\n{sha256(b'one' * 1000)}  out/new/fraud_score\n",
        "2 downloaded.\n",
    )
    assert files(shell.folder / "out/new") == {"churn": b"three", "fraud_score": b"one" * 1000}


def test_all_and_globs(shell, server):
    assert shell("pull", "--all", "--to", "all").code == 0
    assert files(shell.folder / "all") == CONTENTS
    assert shell("pull", "fraud_*", "--exclude", "*_risk", "--to", "some").code == 0
    assert files(shell.folder / "some").keys() == {"fraud_score"}


def test_the_same_content_is_already_there_and_is_not_downloaded_again(shell, server):
    shell("pull", "--all", "--to", "out")
    before = (shell.folder / "out/churn").stat()
    ran = shell("pull", "churn", "--to", "out", "--force")
    assert (ran.code, ran.err) == (0, "0 downloaded, 1 already there.\n")
    assert ran.out == f"{sha256(b'three')}  out/churn\n"
    assert (shell.folder / "out/churn").stat().st_mtime_ns == before.st_mtime_ns


def test_the_same_content_is_recognised_without_the_ledger(shell, server, monkeypatch):
    shell("pull", "churn")
    monkeypatch.setenv("MMSYNC_CACHE_DIR", str(shell.folder / "other-cache"))
    assert shell("pull", "churn").err == "0 downloaded, 1 already there.\n"


@pytest.mark.parametrize("other", [b"something of another size", b"THREE"])
@pytest.mark.parametrize("ledger", [True, False])
def test_another_file_is_only_replaced_by_force(shell, server, monkeypatch, other, ledger):
    if ledger:
        shell("pull", "churn", "--to", "elsewhere")
    (shell.folder / "churn").write_bytes(other)
    ran = shell("pull", "churn", "fraud_risk")
    assert ran.code == 1
    assert ran.out == f"{sha256(b'two')}  fraud_risk\n"
    assert "Error: churn: churn: another file is there; left as it is (--force replaces it)\n" in ran.err
    assert (shell.folder / "churn").read_bytes() == other
    assert shell("pull", "churn", "--force").code == 0
    assert (shell.folder / "churn").read_bytes() == b"three"
    assert not [name for name in names(shell.folder) if name.startswith(".")]


def test_a_link_is_replaced_and_never_written_through(shell, server):
    (shell.folder / "precious").write_bytes(b"precious")
    (shell.folder / "out").mkdir()
    (shell.folder / "out/churn").symlink_to("../precious")
    assert shell("pull", "churn", "--to", "out").code == 1
    assert shell("pull", "churn", "--to", "out", "--force").code == 0
    assert (shell.folder / "precious").read_bytes() == b"precious"
    assert not (shell.folder / "out/churn").is_symlink()


def test_what_is_no_file_is_left_alone(shell, server):
    (shell.folder / "churn").mkdir()
    os.mkfifo(shell.folder / "fraud_risk")
    ran = shell("pull", "churn", "fraud_risk", "fraud_score", "--force")
    assert ran.code == 1
    assert "is a folder" in ran.err
    assert "is a FIFO" in ran.err
    assert ran.err.endswith("1 downloaded, 2 not.\n")


def test_a_missing_model_is_named_with_the_nearest_there_is(shell, server):
    ran = shell("pull", "fraud_scor", "churn")
    assert ran.code == 1
    assert "Error: the server has no model fraud_scor (did you mean fraud_score?)\n" in ran.err
    assert (shell.folder / "churn").exists()
    assert shell("pull", "zzz*").err.startswith("Error: the server has no model zzz*\n")


def test_a_hidden_model_can_be_named(shell, server):
    detail = server.find_detail("churn")
    server.save_model({**detail, "hidden": True})
    assert "churn" not in [model["name"] for model in server.get_models()]
    assert shell("pull", "churn").code == 0
    assert (shell.folder / "churn").read_bytes() == b"three"


def test_names_that_are_no_file_names_stay_inside_the_folder(shell, server):
    for name in ("../escaped", "/etc/escaped", "MY FIRST MODEL", ".profile", "a\\b", "x" * 300, "line\nend"):
        put(server, name, name.encode())
    ran = shell("pull", "--all", "--to", "in/here")
    assert ran.code == 0
    assert len(files(shell.folder / "in/here")) == len(CONTENTS) + 7
    assert names(shell.folder / "in") == ["here"]
    assert (shell.folder / "in/here/MY FIRST MODEL").read_bytes() == b"MY FIRST MODEL"
    assert not (shell.folder / "in/here/.profile").exists()
    assert len(ran.out.splitlines()) == len(CONTENTS) + 7


def test_names_that_differ_in_case_alone_get_files_of_their_own_on_any_file_system(shell, server):
    for name in ("Fraud", "fraud", "FRAUD"):
        put(server, name, name.encode())
    assert shell("pull", "--all", "--to", "out").code == 0
    found = files(shell.folder / "out")
    assert len({name.casefold() for name in found}) == len(CONTENTS) + 3
    assert {b"Fraud", b"fraud", b"FRAUD"} <= set(found.values())
    shell("pull", "fraud", "--to", "alone")
    [(name, _)] = files(shell.folder / "alone").items()
    assert found[name] == b"fraud", "a file's name does not depend on what else was asked for"


def test_json_says_what_became_of_each(shell, server):
    (shell.folder / "churn").write_bytes(b"mine")
    ran = shell("pull", "--all", "--format", "json")
    entries = {entry["name"]: entry for entry in json.loads(ran.out)["files"]}
    assert ran.code == 1
    assert entries["churn"]["status"] == "refused"
    assert entries["fraud_risk"] == {
        "name": "fraud_risk", "engine": "MLSTATS", "file": "fraud_risk", "status": "written",
        "sha256": sha256(b"two"), "size": 3, "message": "",
    }  # fmt: skip


def test_the_next_plan_knows_what_was_pulled(shell, server):
    shell("pull", "churn")
    (shell.folder / "models.yaml").write_text("version: 1\nmodels:\n  - {name: churn, engine: MLSTATS, file: churn}\n")
    document = json.loads(shell("plan", "--format", "json", "--all").out)
    assert [(change["action"], change["evidence"]) for change in document["changes"]] == [("none", "ledger")]


@pytest.mark.parametrize("args", [(), ("churn", "--all")])
def test_names_or_all(shell, server, args):
    ran = shell("pull", *args)
    assert ran.code == 1
    assert "name the models to download, or give --all" in ran.err


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_it_and_leaves_no_half_file(shell, which, code):
    started = threading.Event()
    with silent_after_half(started) as server:
        process = shell.start("pull", "m", "--url", server.url, "--token", "t", "--to", "out")
        assert started.wait(30)
        process.send_signal(which)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in err
    assert names(shell.folder / "out") == []


def test_a_body_cut_short_leaves_nothing_and_is_told(shell):
    def reply(request):
        if request.target == "/models":
            return answer(body=[{"id": 1, "name": "m", "engine": "MLSTATS", "imageId": 1}])
        return answer(body={"id": 1, "name": "m", "image": {"id": 1, "size": 99, "image": "aGFsZg=="}})

    with Wire(reply) as server:
        ran = shell("pull", "m", "--url", server.url, "--token", "t", "--to", "out")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: m: ")
    assert names(shell.folder / "out") == []


@pytest.mark.parametrize(
    "command", [["pull", "--all", "--to", "out"], ["import", "--to", "out"]], ids=lambda words: words[0]
)
def test_the_half_files_of_a_killed_run_are_removed_by_the_next_and_those_of_a_living_one_are_not(command, shell):
    content = base64.b64encode(bytes(2_000_000)).decode()
    row = {
        "id": 1,
        "name": "big",
        "engine": "MLSTATS",
        "description": None,
        "imageId": 7,
        "creationDate": 1,
        "updateDate": 1,
    }
    detail = {**row, "image": {"id": 7, "size": 2_000_000, "image": content}, "fields": [], "clusters": []}
    halves = threading.Event()

    def reply(request):
        if request.target.partition("?")[0].endswith("/models"):
            return answer(200, [row])
        if "fast=false" in request.target.lower() or "fast" not in request.target.lower():
            whole = answer(200, detail)
            if halves.is_set():
                return lambda connection: (connection.sendall(whole[:1_500_000]), gone.wait(60))
            return whole
        return answer(200, {**detail, "image": {"id": 7, "size": 2_000_000}})

    gone = threading.Event()
    with Wire(reply) as wire:
        words = [*command, "--url", wire.url, "--token", "t"]
        out = shell.folder / "out"
        processes = []
        halves.set()
        try:
            for count in (1, 2):
                processes.append(shell.start(*words))
                while len(drafts(out)) < count:
                    assert processes[-1].poll() is None, processes[-1].communicate()
            processes[0].kill()
            processes[0].communicate()
            halves.clear()
            third = shell.start(*words, *(["--force"] if command[0] == "import" else []))
            assert third.wait(30) == 0, third.communicate()
            third.communicate()
            assert len(drafts(out)) == 1  # of the process that still downloads
            assert [path.stat().st_size for path in out.rglob("big*")] == [2_000_000]
        finally:
            gone.set()
            for process in processes:
                process.kill()
                process.communicate()


def drafts(folder):
    return sorted(path for path in folder.rglob(".mmsync-*.partial") if path.stat().st_size) if folder.exists() else []


@pytest.mark.parametrize("value", [10**30, -(10**30), 2**63, True, "x", 1.5, None])
@pytest.mark.parametrize("where", ["the list", "the detail", "both"])
def test_dates_that_are_none_are_as_good_as_not_said(value, where, shell):
    row = {"id": 1, "name": "m", "engine": "MLSTATS", "description": None, "imageId": 7}
    row |= dict.fromkeys(("creationDate", "updateDate"), 1 if where == "the detail" else value)
    dates = dict.fromkeys(("creationDate", "updateDate"), 1 if where == "the list" else value)
    image = {"id": 7, "size": 7, "image": base64.b64encode(b"content").decode()}

    def reply(request):
        is_list = request.target.partition("?")[0].endswith("/models")
        return answer(200, [row] if is_list else {**row, **dates, "image": image, "fields": [], "clusters": []})

    with Wire(reply) as wire:
        words = ["--url", wire.url, "--token", "t"]
        assert shell("pull", "m", "--to", "out", *words).code == 0
        assert shell("pull", "m", "--to", "out", *words).code == 0
        (shell.folder / "models.yaml").write_text("version: 1\nmodels:\n  - {name: m, engine: MLSTATS, file: out/m}\n")
        for verify in ("auto", "always"):
            ran = shell("plan", "--detailed-exitcode", "--verify", verify, *words)
            assert ran.code == 0, ran
