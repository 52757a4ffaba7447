from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from mmsync.manifest import read_manifest
from mmsync.server import running
from support.clients import client_of, legacy_of
from support.commands import Shell, names
from support.model_files import catboost, mojo, regression_onnx
from support.wire import Wire, answer

MODELS = {
    "fraud_score": ("ONNX", regression_onnx(), "Card fraud.\n\nTrained weekly: every Monday."),
    "fraud_risk": ("CATBOOST", catboost(), None),
    "odds": ("H2O", mojo(), ""),
    "yes": ("MLSTATS", b"named like a boolean", "no"),
    "1e5": ("MLSTATS", b"named like a number", "  spaces  "),
    "MY FIRST MODEL": ("MLSTATS", b"spaces", "# not a comment: \"quoted\" 'twice' \\"),
    "Same": ("MLSTATS", b"upper", "tab\there"),
    "same": ("MLSTATS", b"lower", "日本 😀"),
    "../escaped": ("MLSTATS", b"path", "line\r\nend\x1b[31m"),
    "- a: [b]": ("MLSTATS", b"yaml", "\u2028\u0085"),
}


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    return Shell(tmp_path, capsys, monkeypatch)


def fill(client, folder, models):
    for name, (engine, content, description) in models.items():
        (folder / "upload").write_bytes(content)
        client.add_model(name, engine, folder / "upload", description=description)


@pytest.fixture
def server(tmp_path, monkeypatch):
    with running(tmp_path / "srv") as address, client_of(address.url, address.token) as client:
        monkeypatch.setenv("MMSYNC_URL", address.url)
        monkeypatch.setenv("MMSYNC_TOKEN", address.token)
        fill(client, tmp_path, MODELS)
        yield client


def plan(shell, *args):
    ran = shell("plan", "--format", "json", "--all", "--detailed-exitcode", *args)
    return ran.code, json.loads(ran.out)


def test_a_plan_right_afterwards_has_no_changes_and_asks_the_ledger(shell, server):
    ran = shell("import", "--to", "here")
    assert (ran.code, ran.out) == (0, f"Wrote here/models.yaml: {len(MODELS)} models, their files in here/models.\n")
    assert ran.err == "Next: mmsync plan -f here/models.yaml\n"
    code, document = plan(shell, "-f", "here/models.yaml")
    assert (code, document["summary"]["unchanged"], document["diagnostics"]) == (0, len(MODELS), [])
    assert {change["evidence"] for change in document["changes"]} == {"ledger"}
    assert shell("validate", "-f", "here/models.yaml").code == 0


def test_what_is_written_is_what_the_server_holds(shell, server):
    shell("import")
    found = read_manifest(["models.yaml"])
    assert {model.name: (model.engine, model.description or None) for model in found.models} == {
        name: (engine, description or None) for name, (engine, _, description) in MODELS.items()
    }
    for model in found.models:
        assert (shell.folder / model.path).read_bytes() == MODELS[model.name][1]
    assert found.scope == ()
    assert found.server.url == server.url
    assert set(names(shell.folder)) == {"srv", "upload", "models", "models.yaml", "models.schema.json"}


def test_the_manifest_holds_with_another_ledger_and_applies_nothing(shell, server, monkeypatch):
    shell("import")
    monkeypatch.setenv("MMSYNC_CACHE_DIR", str(shell.folder / "another"))
    assert plan(shell)[0] == 0
    assert shell("apply", "--detailed-exitcode").code == 0


def test_the_same_server_gives_the_same_manifest(shell, server):
    shell("import", "--to", "one")
    shell("import", "--to", "two")
    assert (shell.folder / "one/models.yaml").read_bytes() == (shell.folder / "two/models.yaml").read_bytes()


def test_globs_choose(shell, server):
    assert shell("import", "--target", "fraud_*").code == 0
    assert [model.name for model in read_manifest(["models.yaml"]).models] == ["fraud_risk", "fraud_score"]
    assert '# scope: ["fraud_*"]\n' in (shell.folder / "models.yaml").read_text()


def test_an_existing_manifest_is_only_replaced_by_force(shell, server):
    (shell.folder / "models.yaml").write_text("mine")
    ran = shell("import")
    assert (ran.code, ran.out) == (1, "")
    assert "models.yaml is there already; nothing was written" in ran.err
    assert (shell.folder / "models.yaml").read_text() == "mine"
    assert not (shell.folder / "models").exists()
    assert shell("import", "--force").code == 0
    assert plan(shell)[0] == 0


def test_a_model_file_of_another_content_stops_it_before_the_manifest(shell, server):
    (shell.folder / "models").mkdir()
    (shell.folder / "models/odds.zip").write_bytes(b"mine")
    ran = shell("import")
    assert (ran.code, ran.out) == (1, "")
    assert "Error: odds: models/odds.zip: another file is there" in ran.err
    assert f"1 of {len(MODELS)} files could not be fetched; no manifest was written" in ran.err
    assert not (shell.folder / "models.yaml").exists()
    assert (shell.folder / "models/odds.zip").read_bytes() == b"mine"
    assert shell("import", "--force").code == 0
    assert (shell.folder / "models/odds.zip").read_bytes() == MODELS["odds"][1]


def test_a_link_out_of_the_folder_is_not_followed(shell, server):
    (shell.folder / "elsewhere").mkdir()
    (shell.folder / "here").mkdir()
    (shell.folder / "here/models").symlink_to("../elsewhere")
    ran = shell("import", "--to", "here")
    assert ran.code == 1
    assert "is a link that leaves here" in ran.err
    assert names(shell.folder / "elsewhere") == []


MINE = """# Ours.
version: 1
models:
- file: mine/odds.zip   # renamed
  name: odds
  engine: H2O

# The end.
"""


def test_what_is_not_listed_is_merged_into_a_manifest_and_the_rest_stays(shell, server):
    (shell.folder / "models.yaml").write_text(MINE)
    (shell.folder / "mine").mkdir()
    (shell.folder / "mine/odds.zip").write_bytes(MODELS["odds"][1])
    ran = shell("import", "--merge", "--target", "fraud_*", "--target", "odds")
    assert ran.code == 0, ran.err
    assert ran.out == (
        "+ fraud_risk  CATBOOST  models/fraud_risk.cbm\n+ fraud_score  ONNX  models/fraud_score.onnx\n"
        "models.yaml: 2 models added.\n"
    )
    text = (shell.folder / "models.yaml").read_text()
    added = (
        "- file: models/fraud_risk.cbm\n  name: fraud_risk\n  engine: CATBOOST\n"
        "- file: models/fraud_score.onnx\n  name: fraud_score\n  engine: ONNX\n"
        "  description: |-\n    Card fraud.\n\n    Trained weekly: every Monday.\n"
    )
    head, tail = MINE.split("\n\n")
    assert text == f"{head}\n{added}\n{tail}"
    assert plan(shell)[0] == 0
    assert names(shell.folder / "models") == ["fraud_risk.cbm", "fraud_score.onnx"]
    again = shell("import", "--merge", "--target", "fraud_*")
    assert (again.code, again.out) == (0, "models.yaml: 0 models added.\n")


def test_a_merge_never_writes_over_the_file_of_another_model(shell, server):
    (shell.folder / "models").mkdir()
    (shell.folder / "models/odds.zip").write_bytes(b"mine")
    (shell.folder / "models.yaml").write_text(
        "version: 1\nmodels:\n  - {name: other, engine: MUA, file: models/odds.zip}\n"
    )
    ran = shell("import", "--merge", "--force", "--target", "odds")
    assert (ran.code, ran.out) == (0, "models.yaml: 0 models added.\n")
    assert ran.err == "Skipped odds, models/odds.zip: models.yaml:3 lists its file as other\n"
    assert (shell.folder / "models/odds.zip").read_bytes() == b"mine"


def test_a_merge_into_a_broken_manifest_asks_no_server_for_anything(shell, monkeypatch):
    monkeypatch.setenv("MMSYNC_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MMSYNC_TOKEN", "t")
    (shell.folder / "models.yaml").write_text("version: 1\nmodels:\n")
    ran = shell("import", "--merge")
    assert ran.code == 1
    assert "models.yaml:2" in ran.err
    assert "127.0.0.1" not in ran.err


def test_without_files_only_the_manifest_is_written(shell, server):
    assert shell("import", "--no-files", "--no-schema", "--to", "here").code == 0
    assert names(shell.folder / "here") == ["models.yaml"]
    assert len(read_manifest(["here/models.yaml"], check_files=False).models) == len(MODELS)


def test_an_empty_server_gives_an_empty_manifest(shell):
    (shell.folder / "srv").mkdir()
    assert shell("import", "--url", "local:srv").out == "Wrote models.yaml: 0 models, their files in models.\n"
    assert read_manifest(["models.yaml"]).models == ()


def test_a_local_server_is_named_on_the_command_line_not_in_the_manifest(shell):
    with running(shell.folder / "srv") as address, client_of(address.url, address.token) as client:
        fill(client, shell.folder, {"odds": MODELS["odds"]})
    ran = shell("import", "--url", "local:srv")
    assert ran.err == "Next: mmsync plan -f models.yaml --url local:srv\n"
    assert "\nserver:" not in (shell.folder / "models.yaml").read_text()
    assert plan(shell, "--url", "local:srv")[1]["changes"][0]["evidence"] == "ledger"


def test_an_older_server_is_imported_with_its_domain(shell, monkeypatch):
    with running(shell.folder / "srv", generation="legacy") as address:
        monkeypatch.setenv("MMSYNC_TOKEN", address.token)
        with legacy_of(address.url, "team", address.token) as client:
            fill(client, shell.folder, {"odds": MODELS["odds"]})
        assert shell("import", "--url", address.url, "--domain", "team").code == 0
        assert read_manifest(["models.yaml"]).server.domain == "team"
        monkeypatch.setenv("MMSYNC_ALLOWED_SERVERS", address.url)
        assert plan(shell)[0] == 0


def test_the_profile_is_named_and_the_token_nowhere(shell, server, monkeypatch):
    token, url = os.environ["MMSYNC_TOKEN"], os.environ["MMSYNC_URL"]
    monkeypatch.delenv("MMSYNC_TOKEN")
    monkeypatch.delenv("MMSYNC_URL")
    (Path(os.environ["HOME"]) / "modelmanager.ini").write_text(f"[prod]\nurl = {url}\ntoken = {token}\n")
    ran = shell("import", "--profile", "prod")
    assert ran.code == 0
    text = (shell.folder / "models.yaml").read_text()
    assert "server:\n  profile: prod\n" in text
    assert token not in text + ran.out + ran.err
    assert plan(shell)[0] == 0


def listed(*rows):
    """A server whose list is this, and whose images hold what their model is called."""

    def reply(request):
        if request.target == "/models":
            return answer(body=list(rows))
        return answer(body={"id": 1, "image": {"id": 1, "size": 1, "image": "bQ=="}})

    return Wire(reply)


def test_what_no_manifest_can_say_is_left_out_and_told(shell):
    good = {"id": 1, "name": "good", "engine": "MLSTATS", "imageId": 1, "description": "lone \ud800"}
    rows = [{**good, "name": name} for name in ("good", "bell\x07", " edge ", "twice", "twice", "..")]
    rows += [{"id": 2, "name": "no_engine"}]
    with listed(*rows) as server:
        ran = shell("import", "--url", server.url, "--token", "t")
    assert ran.code == 0
    assert [model.name for model in read_manifest(["models.yaml"]).models] == ["good"]
    said = " ".join(ran.err.split())
    for words in (
        "bell\\x07: the name holds a control",
        "' edge ' starts or ends with a space",
        "twice: the server lists 2 models",
        "no_engine: the server does not say its engine",
        "good: its description is left out",
    ):
        assert words in said
    assert "\x07" not in ran.err


def test_a_model_replaced_meanwhile_is_not_recorded_as_it_was_listed(shell):
    with listed({"id": 1, "name": "m", "engine": "MLSTATS", "imageId": 7}) as server:
        ran = shell("import", "--url", server.url, "--token", "t")
    assert ran.code == 1
    assert "it was replaced on the server meanwhile" in ran.err
    assert not (shell.folder / "models.yaml").exists()


def test_interrupted_midway_it_leaves_no_manifest_and_goes_on_where_it_was(shell, server):
    reached = threading.Event()

    def reply(request):
        if request.target == "/models":
            return answer(body=server.get_models())
        if "odds" in request.target and "yes" not in request.target:

            def stall(connection):
                reached.set()
                connection.recv(1)

            return stall
        import requests

        there = requests.get(
            server.url + request.target, headers={"standAloneToken": os.environ["MMSYNC_TOKEN"]}, timeout=30
        )
        return answer(raw=there.content)

    with Wire(reply) as between:
        process = shell.start("import", "--url", between.url, "--to", "here", "--jobs", "1")
        assert reached.wait(30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    kept = names(shell.folder / "here/models")
    assert kept
    assert not any(name.startswith(".") for name in kept)
    assert names(shell.folder / "here") == ["models"]
    assert shell("import", "--to", "here").code == 0
    assert plan(shell, "-f", "here/models.yaml")[0] == 0


def test_killed_at_any_moment_there_is_a_whole_manifest_or_none(shell, server):
    for pause in range(8):
        process = shell.start("import", "--to", f"at{pause}", stderr=subprocess.DEVNULL)
        try:
            process.communicate(timeout=0.15 + pause * 0.1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        target = shell.folder / f"at{pause}/models.yaml"
        if target.exists():
            assert len(read_manifest([str(target)]).models) == len(MODELS)
