from __future__ import annotations

import json
import os
import pty
import re
import time

import pytest

from mmsync.report.layout import columns
from mmsync.server import running
from support.clients import client_of
from support.commands import Shell
from support.wire import Wire, answer

JANUARY = 1_767_348_672_000  # 2026-01-02T10:11:12Z


def row(name, **fields):
    return {"id": 1, "name": name, "engine": "ONNX", "category": "Binomial", "updateDate": JANUARY, **fields}


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MMSYNC_TOKEN", "token-of-the-test")
    monkeypatch.delenv("COLUMNS")
    return Shell(tmp_path, capsys, monkeypatch)


def serve(rows):
    return Wire(lambda _: answer(body=rows))


def test_models_are_listed_in_aligned_columns_by_name(shell):
    rows = [row("zeta", engine="CATBOOST"), row("alpha", category=None, updateDate=None), row("日本", engine="H2O")]
    with serve(rows) as server:
        ran = shell("list", "--url", server.url)
    assert ran.code == 0
    assert ran.out == (
        "NAME   ENGINE    UPDATED               CATEGORY\n"
        "alpha  ONNX      -                     -\n"
        "zeta   CATBOOST  2026-01-02T10:11:12Z  Binomial\n"
        "日本   H2O       2026-01-02T10:11:12Z  Binomial\n"
    )
    assert ran.err == f"3 models on {server.url}\n"
    assert [request.target for request in server.requests] == ["/models"]


def test_a_real_server_is_listed(shell):
    (shell.folder / "m").write_bytes(b"model")
    with running(shell.folder / "srv") as address, client_of(address.url, address.token) as client:
        client.add_model("one", "MLSTATS", shell.folder / "m")
        ran = shell("list", "--url", address.url, "--token", address.token)
    assert re.search(r"^one +MLSTATS +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", ran.out, re.MULTILINE)
    assert shell("list", "--url", "local:srv").out == ran.out


def test_a_manifest_says_whose_each_model_is(shell):
    (shell.folder / "models.yaml").write_text(
        "version: 1\nscope: ['f_*']\nmodels:\n  - {name: f_a, engine: ONNX, file: not-there.onnx}\n"
    )
    with serve([row("f_a"), row("f_b"), row("other")]) as server:
        ran = shell("list", "--url", server.url)
        assert [line.split()[2] for line in ran.out.splitlines()] == ["STATE", "managed", "orphan", "unmanaged"]
        assert ran.err == f"3 models on {server.url}: 1 managed, 1 orphan, 1 unmanaged\n"
        document = json.loads(shell("list", "--url", server.url, "--format", "json").out)
        assert [model["state"] for model in document["models"]] == ["managed", "orphan", "unmanaged"]


def test_what_the_manifest_lists_and_the_server_lacks_is_missing(shell):
    (shell.folder / "models.yaml").write_text(
        "version: 1\nmodels:\n  - {name: a, engine: ONNX, file: a.onnx}\n  - {name: gone, engine: H2O, file: g.zip}\n"
    )
    with serve([row("a"), row("z")]) as server:
        ran = shell("list", "--url", server.url)
        assert [line.split()[::2] for line in ran.out.splitlines()[1:]][1][:2] == ["gone", "missing"]
        assert ran.err == f"2 models on {server.url}: 1 managed, 1 unmanaged, 1 missing\n"
        document = json.loads(shell("list", "--url", server.url, "--format", "json").out)
        assert [model["name"] for model in document["models"]] == ["a", "z"]  # the server's, as ever
        assert document["missing"] == [{"name": "gone", "engine": "H2O"}]
        assert json.loads(shell("list", "--url", server.url, "--format", "json", "--target", "a").out)["missing"] == []
        ran = shell("list", "--url", server.url, "--target", "no*")
        assert (ran.out, ran.err) == ("", f"None of the 2 models on {server.url} is selected\n")


def test_what_is_known_to_be_in_step_or_not_is_said_with_its_size(shell, monkeypatch):
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10**10)  # no file is too fresh to be remembered
    text = "version: 1\nscope: ['*']\nmodels:\n"
    for name in "abc":
        path = shell.folder / f"{name}.bin"
        path.write_bytes(name.encode() * 5)
        text += f"  - {{name: {name}, engine: MLSTATS, file: {name}.bin, description: x}}\n"
    (shell.folder / "models.yaml").write_text(text)
    with running(shell.folder / "srv") as address:
        where = ("--url", address.url, "--token", address.token)
        assert shell("apply", "--yes", *where).code == 0
        (shell.folder / "models.yaml").write_text(text.replace("b.bin, description: x", "b.bin, description: y"))
        (shell.folder / "c.bin").write_bytes(b"other")
        ran = shell("list", *where)
        states = {line.split()[0]: line.split()[2] for line in ran.out.splitlines()[1:]}
        assert states == {"a": "in-step", "b": "differs", "c": "managed"}
        assert all(line.endswith("5 B") for line in ran.out.splitlines()[1:])
        assert "sizes" not in ran.err
        monkeypatch.setenv("COLUMNS", "40")
        narrow = shell("list", *where)
        assert "5 B" not in narrow.out
        assert narrow.err.startswith("The sizes do not fit in here")
        monkeypatch.delenv("COLUMNS")
        models = json.loads(shell("list", "--format", "json", *where).out)["models"]
        assert [model["size"] for model in models] == [5, 5, 5]
        assert [model["in_step"] for model in models] == [True, False, None]
        assert all(len(model["sha256"]) == 64 for model in models)


def test_the_manifests_server_is_used(shell):
    with serve([row("a")]) as server:
        (shell.folder / "models.yaml").write_text(f"version: 1\nserver: {{url: '{server.url}'}}\nmodels: []\n")
        assert "names it" in shell("list").err
        assert not server.requests
        assert shell("list", "--allow-server", server.url).code == 0


def test_discovered_models_are_managed(shell):
    (shell.folder / "drop").mkdir()
    (shell.folder / "drop/found.onnx").write_bytes(b"x")
    (shell.folder / "models.yaml").write_text("version: 1\ndiscover:\n  - {glob: 'drop/*.onnx', engine: ONNX}\n")
    with serve([row("found")]) as server:
        assert " managed" in shell("list", "--url", server.url).out


def test_a_broken_manifest_is_only_in_the_way_where_it_was_named(shell):
    (shell.folder / "models.yaml").write_text("models: 3\n")
    with serve([row("a")]) as server:
        ran = shell("list", "--url", server.url)
        assert ran.code == 0
        assert "STATE" not in ran.out
        assert "models.yaml has" in ran.err
        assert shell("list", "--url", server.url, "-f", "models.yaml").code == 1
        ran = shell("list", "--url", server.url, "-f", "gone.yaml")
        assert (ran.code, ran.out) == (1, "")
        assert "gone.yaml:1:1: there is no such manifest" in ran.err


def test_globs_choose(shell):
    with serve([row("fraud_a"), row("fraud_b"), row("churn")]) as server:
        ran = shell("list", "--url", server.url, "--target", "fraud_*", "--exclude", "*_b", "--format", "json")
    assert [model["name"] for model in json.loads(ran.out)["models"]] == ["fraud_a"]


def test_json_gives_what_the_server_says_and_null_for_what_it_does_not(shell):
    with serve([{"name": "bare"}, row("full", imageId=7, description="x", outputType="str", creationDate=5)]) as server:
        document = json.loads(shell("list", "--url", server.url, "--format", "json").out)
    assert document["server"] == {"url": server.url, "domain": ""}
    bare, full = document["models"]
    assert {value for key, value in bare.items() if key != "name"} == {None}
    assert full == {
        "name": "full", "id": 1, "engine": "ONNX", "category": "Binomial", "output_type": "str", "description": "x",
        "image_id": 7, "creation_date": 5, "update_date": JANUARY, "state": None,
            "in_step": None, "sha256": None, "size": None,
    }  # fmt: skip


def test_an_empty_server_says_so(shell):
    with serve([]) as server:
        assert shell("list", "--url", server.url) == (0, "", f"No models on {server.url}\n")


def test_hostile_rows_stay_printable(shell):
    rows = [
        row("red\x1b[31m\nnext line"),
        row("lone\ud800"),
        row("a", engine="\x07" * 500, category={"not": "text"}, updateDate=10**30),
        row(" "),
    ]
    with serve(rows) as server:
        ran = shell("list", "--url", server.url)
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    assert "\x07" not in ran.out
    assert len(ran.out.splitlines()) == 5
    with serve(rows) as server:
        assert len(json.loads(shell("list", "--url", server.url, "--format", "json").out)["models"]) == 4


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_unless_a_name_is(shell, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    names = ["short", "a_name_of_middling_length", "a_name_so_long_that_it_takes_more_than_sixty_columns_on_its_own"]
    (shell.folder / "models.yaml").write_text("version: 1\nmodels: []\n")
    with serve([row(name, engine="CATBOOST", category="Multinomial") for name in names]) as server:
        lines = shell("list", "--url", server.url).out.splitlines()
    shown = {line.split()[0] for line in lines}
    assert shown >= set(names)
    assert all(columns(line) <= width or line in names for line in lines)
    assert all(
        "CATBOOST" in line for line in lines if line.split()[0] in names and columns(line) > columns(line.split()[0])
    )


def test_one_long_name_costs_the_others_nothing(shell, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    names = [f"model_{number:02}" for number in range(20)] + ["x" * 70]
    with serve([row(name) for name in names]) as server:
        lines = shell("list", "--url", server.url).out.splitlines()
    assert lines[0].split() == ["NAME", "ENGINE", "UPDATED", "CATEGORY"]
    assert lines[-2] == "x" * 70
    assert lines[-1].split() == ["ONNX", "2026-01-02T10:11:12Z", "Binomial"]


def test_a_terminal_of_sixty_columns_is_kept_to(shell):
    with serve([row(f"a_model_with_a_longer_name_{number}") for number in range(3)]) as server:
        keeper, terminal = pty.openpty()
        os.set_inheritable(terminal, True)
        import fcntl
        import struct
        import termios

        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        process = shell.start("list", "--url", server.url, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = b""
        try:
            while data := os.read(keeper, 4096):
                shown += data
        except OSError:  # Linux's way of saying that the other side has gone
            pass
        os.close(keeper)
        assert process.wait() == 0
    lines = re.sub("\x1b\\[[0-9;]*m", "", shown.decode()).split("\r\n")
    assert all(len(line) <= 60 for line in lines)
    assert sum("a_model_with_a_longer_name" in line and "2026-01-02" in line for line in lines) == 3


def test_ten_thousand_rows_take_no_time(shell):
    with serve([row(f"model_{number:05}") for number in range(10_000)]) as server:
        began = time.process_time()
        ran = shell("list", "--url", server.url)
        taken = time.process_time() - began
    assert len(ran.out.splitlines()) == 10_001
    assert taken < 2.0, "a second on a slow machine; quadratic work would take minutes"


def test_whoever_reads_may_leave(shell):
    with serve([row(f"model_{number:05}") for number in range(10_000)]) as server:
        process = shell.start("list", "--url", server.url)
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        process.wait()
    assert "Traceback" not in errors
    assert "Broken" not in errors


def test_no_server_and_a_refused_token_are_one_sentence(shell):
    ran = shell("list")
    assert (ran.code, ran.out) == (1, "")
    assert "no server is named" in ran.err
    with running(shell.folder / "srv") as address:
        ran = shell("list", "--url", address.url, "--token", "wrong-token")
    assert (ran.code, ran.out) == (1, "")
    assert "Token invalid or expired" in ran.err
    assert "wrong-token" not in ran.err
