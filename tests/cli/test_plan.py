"""``mmsync plan`` as its users meet it: what it names and why, what it refuses, and that it touches nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from support.applying import json_bytes, sha256
from support.commands import MMSYNC
from support.fault_proxy import FaultProxy, rewritten, status
from support.model_files import catboost, regression_onnx

MODEL_FILES = ("a.json", "b.cbm", "c.onnx")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


def seeded(desk, names, content=b'{"tag": 1}'):
    """Put models on the server outside mmsync."""
    for name in names.split():
        desk.view.put(name, content)


def three(desk):
    """A manifest of three models of three engines, applied."""
    desk.file("a.json", json_bytes("a"))
    desk.file("b.cbm", catboost())
    desk.file("c.onnx", regression_onnx())
    desk.manifest("a BIGML a.json  description: first\nb CATBOOST b.cbm\nc ONNX c.onnx  description: third")
    assert desk("apply").code == 0


# --- what it says -----------------------------------------------------------------------------------------------


def adds(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json  description: first")
    return ["plan"]


def nothing_to_do(desk):
    three(desk)
    return ["plan", "--detailed-exitcode"]


def everything_changed(desk):
    three(desk)
    desk.file("a.json", json_bytes("A"))
    desk.manifest(
        "a BIGML a.json  description: first\nb UNICODE b.cbm  inspect: false\nc ONNX c.onnx  description: new"
    )
    return ["plan", "--detailed-exitcode"]


def markdown(desk):
    everything_changed(desk)
    return ["plan", "--format", "markdown"]


def all_of_them(desk):
    three(desk)
    return ["plan", "--all"]


def targeted(desk):
    three(desk)
    return ["plan", "--target", "[ab]", "--exclude", "b", "--shard", "1/1"]


# --- what it refuses --------------------------------------------------------------------------------------------


def no_manifest(desk):
    return ["plan"]


def manifest_is_a_folder_without_any(desk):
    (desk.folder / "models").mkdir()
    return ["plan", "-f", "models"]


def manifest_not_yaml(desk):
    desk.file("models.yaml", b"\x89PNG\r\n")
    return ["plan"]


def manifest_faults(desk):
    desk.file("models.yaml", b"verison: 1\nmodels:\n  - name: a\n    engine: ONNX\n    file: gone.onnx\n  - name: a\n")
    return ["plan"]


def pin(desk):
    desk.file("a.json", b"{}")
    desk.manifest(f"a BIGML a.json  sha256: {'0' * 64}")
    return ["plan"]


def protected(desk):
    """One model protected, one held back by that, one of which it is lifted."""
    desk.file("a.json", json_bytes("a"))
    models = [f"{name} BIGML a.json  protect: true" for name in "abc"]
    desk.manifest("\n".join(models))
    assert desk("apply", "--jobs", "1").code == 0
    desk.file("c.json", json_bytes("C"))
    desk.manifest("\n".join([models[0], "b DT a.json  protect: true", "c DT c.json  protect: true"]))
    return ["plan", "--allow-protected", "c", "--all"]


def protected_in_json(desk):
    return [*protected(desk), "--format", "json"]


def protected_in_markdown(desk):
    return [*protected(desk), "--format", "markdown"]


def pin_in_json(desk):
    pin(desk)
    return ["plan", "--format", "json"]


def lfs_pointer(desk):
    desk.file("a.onnx", LFS.format("1" * 64, 1234).encode())
    desk.manifest("a ONNX a.onnx")
    return ["plan"]


def lfs_pointer_in_json(desk):
    return [*lfs_pointer(desk), "--format", "json"]


def empty_manifest_prune(desk):
    seeded(desk, "x y")
    desk.manifest()
    return ["plan", "--prune"]


def too_many_deletes(desk):
    seeded(desk, "m1 m2 m3")
    desk.file("a.json", b"{}")
    desk.manifest("a BIGML a.json")
    return ["plan", "--prune", "--max-delete", "2"]


def too_large_a_share(desk):
    seeded(desk, " ".join(f"m{n}" for n in range(10)))
    desk.file("a.json", b'{"tag": 1}')
    desk.manifest("\n".join(f"m{n} BIGML a.json" for n in range(6)))
    return ["plan", "--prune"]


def partial_prune(desk):
    seeded(desk, "x y")
    desk.file("a.json", b"{}")
    desk.manifest("a BIGML a.json")
    return ["plan", "--prune", "--target", "*"]


def orphans_are_kept(desk):
    seeded(desk, "x y other")
    desk.file("a.json", b"{}")
    desk.manifest("a BIGML a.json", scope='["a", "x", "y"]')
    return ["plan"]


def content_unknown(desk):
    seeded(desk, "a")
    desk.file("a.json", b'{"tag": 2}')
    desk.manifest("a BIGML a.json")
    return ["plan", "--verify", "never"]


def option_unknown(desk):
    return ["plan", "--tokn", "x"]


def extra_word(desk):
    return ["plan", "models.yaml"]


def shard_out_of_range(desk):
    return ["plan", "--shard", "3/2"]


def out_in_a_missing_folder(desk):
    desk.manifest()
    return ["plan", "--out", "plans/today.json"]


def out_is_a_folder(desk):
    desk.manifest()
    return ["plan", "--out", "."]


CASES = {
    adds: 0,
    nothing_to_do: 0,
    everything_changed: 2,
    markdown: 0,
    all_of_them: 0,
    targeted: 0,
    no_manifest: 1,
    manifest_is_a_folder_without_any: 1,
    manifest_not_yaml: 1,
    manifest_faults: 1,
    pin: 1,
    pin_in_json: 1,
    protected: 1,
    protected_in_json: 1,
    protected_in_markdown: 1,
    lfs_pointer: 0,
    lfs_pointer_in_json: 0,
    empty_manifest_prune: 1,
    too_many_deletes: 1,
    too_large_a_share: 1,
    partial_prune: 0,
    orphans_are_kept: 0,
    content_unknown: 0,
    option_unknown: 1,
    extra_word: 1,
    shard_out_of_range: 1,
    out_in_a_missing_folder: 1,
    out_is_a_folder: 1,
}


@pytest.mark.parametrize(("case", "code"), CASES.items(), ids=[case.__name__ for case in CASES])
def test_transcript(case, code, desk, is_golden):
    words = case(desk)
    before = desk.view.rows()
    text = desk.transcript(*words)
    assert text.endswith(f"--- exit {code}\n")
    assert "Traceback" not in text
    assert desk.view.rows() == before  # a plan writes nothing
    is_golden(f"plan/{case.__name__}", text)


def test_html_is_one_page_for_a_review(desk, is_golden):
    everything_changed(desk)
    seeded(desk, "orphan")
    ran = desk("plan", "--format", "html")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == desk("plan", "--format", "html").out
    digest = json.loads(desk("plan", "--format", "json").out)["digest"]
    assert ran.out.count(digest) == 2
    assert ran.out.isascii()
    shown = re.sub("(?s)<style>.*?</style>", "<style>STYLE</style>", ran.out.replace(digest, "DIGEST"))
    shown = re.sub("sha256-[A-Za-z0-9+/=]+", "sha256-HASH", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", shown))
    is_golden("plan/page", re.sub(r"(Made by mmsync )[0-9.]+\d", r"\1VERSION", shown))


def test_html_holds_what_is_wrong_and_says_it_to_a_person_too(desk):
    pin(desk)
    ran = desk("plan", "--format", "html")
    assert ran.code == 1
    assert "not the pinned" in ran.out
    assert "not the pinned" in ran.err


def test_names_the_server_lists_twice_are_held_back(desk, is_golden):
    seeded(desk, "a")
    desk.file("a.json", b"{}")
    desk.manifest("a BIGML a.json")
    with FaultProxy(desk.url) as proxy:
        proxy.on("list", rewritten(lambda rows: rows * 2))
        is_golden("plan/ambiguous", desk.transcript("plan", "--url", proxy.url, shown="plan"))


def test_a_server_that_fails_for_one_model_leaves_that_one_unknown(desk, is_golden):
    seeded(desk, "a b")
    desk.file("a.json", b'{"tag": 2}')
    desk.manifest("a BIGML a.json\nb BIGML a.json")
    with FaultProxy(desk.url) as proxy:
        proxy.on("bytes", status(500, {"code": 500, "msg": "disk gone"}), name="b")
        is_golden("plan/unreadable_content", desk.transcript("plan", "--url", proxy.url, shown="plan"))


# --- exactly what changed, and why ------------------------------------------------------------------------------


def entries(desk, *words):
    ran = desk("plan", "--format", "json", *words)
    return {change["name"]: change for change in json.loads(ran.out)["changes"]}


def test_one_byte_of_a_file_is_named_with_both_digests(desk):
    three(desk)
    old, new = regression_onnx(), regression_onnx(b"\0\0\0\1")
    assert sum(one != other for one, other in zip(old, new, strict=True)) == 1
    desk.file("c.onnx", new)
    (change,) = entries(desk).values()
    assert (change["name"], change["action"], change["reasons"]) == ("c", "change", ["content"])
    assert (change["before"]["sha256"], change["after"]["sha256"]) == (sha256(old), sha256(new))
    assert desk("plan").out.count("\n~ ") == 1


def test_an_engine_is_named(desk):
    three(desk)
    desk.manifest("a DT a.json  description: first\nb CATBOOST b.cbm\nc ONNX c.onnx  description: third")
    (change,) = entries(desk).values()
    assert (change["name"], change["reasons"]) == ("a", ["engine"])
    assert (change["before"]["engine"], change["after"]["engine"]) == ("BIGML", "DT")


def test_a_description_is_named_and_none_is_left_alone(desk):
    three(desk)
    desk.manifest("a BIGML a.json\nb CATBOOST b.cbm\nc ONNX c.onnx  description: other")
    (change,) = entries(desk).values()
    assert (change["name"], change["reasons"]) == ("c", ["description"])
    assert (change["before"]["description"], change["after"]["description"]) == ("third", "other")


@pytest.mark.parametrize("ledger", ["kept", "deleted"])
def test_a_model_replaced_by_other_hands_is_found(desk, ledger):
    three(desk)
    desk.view.put("a", json_bytes("b"))  # as many bytes
    if ledger == "deleted":
        shutil.rmtree(os.environ["MMSYNC_CACHE_DIR"])
    (change,) = entries(desk).values()
    assert (change["name"], change["reasons"], change["evidence"]) == ("a", ["content"], "download")


def test_detailed_exitcode_is_2_with_changes_and_0_without(desk):
    adds(desk)
    assert desk("plan").code == 0
    assert desk("plan", "--detailed-exitcode").code == 2
    desk("apply")
    assert desk("plan", "--detailed-exitcode").code == 0
    pin(desk)
    assert desk("plan", "--detailed-exitcode").code == 1


def test_json_has_the_agreed_keys_and_the_same_bytes_every_time(desk):
    everything_changed(desk)
    first = desk("plan", "--format", "json", "--all").out
    assert desk("plan", "--format", "json", "--all").out == first
    document = json.loads(first)
    assert list(document) == [
        "format_version",
        "mmsync_version",
        "server",
        "manifests",
        "digest",
        "summary",
        "changes",
        "diagnostics",
        "options",
    ]
    assert document["summary"] == {
        "add": 0,
        "change": 3,
        "delete": 0,
        "unchanged": 0,
        "unmanaged": 0,
        "orphans": 0,
        "blocked": 0,
        "unknown": 0,
        "upload_bytes": len(json_bytes("A")) + len(catboost()),
    }
    assert list(document["changes"][0]) == [
        "name",
        "action",
        "reasons",
        "before",
        "after",
        "evidence",
        "source",
        "signatures",
        "renamed_from",
    ]


def test_a_shard_of_thousands_of_digits_is_a_mistake_like_any_other(desk):
    desk.manifest()
    ran = desk("plan", "--shard", "1/" + "9" * 5000)
    assert ran.code == 1
    assert ran.err.startswith("Error: Invalid value for '--shard'")


def test_shards_are_disjoint_and_cover_all(desk):
    desk.file("a.json", b"{}")
    desk.manifest("\n".join(f"m{n} BIGML a.json" for n in range(12)))
    shards = [set(entries(desk, "--shard", f"{n}/3")) for n in (1, 2, 3)]
    assert sorted(name for shard in shards for name in shard) == sorted(f"m{n}" for n in range(12))


# --- --out ------------------------------------------------------------------------------------------------------


def test_out_is_written_whole_and_through_a_link(desk):
    adds(desk)
    (desk.folder / "real.json").write_text('{"format_version": "0"}')
    (desk.folder / "link.json").symlink_to("real.json")
    ran = desk("plan", "--out", "link.json", "--format", "json")
    assert (desk.folder / "link.json").is_symlink()
    assert (desk.folder / "real.json").read_text() == ran.out
    assert sorted(path.name for path in desk.folder.iterdir()) == ["a.json", "link.json", "models.yaml", "real.json"]


def test_out_into_a_pipe_is_written_there_and_the_pipe_stays(desk):
    adds(desk)
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert desk("plan", "--out", "pipe").code == 0
        assert json.loads(reader.stdout.read())["summary"]["add"] == 1
    assert pipe.is_fifo()


def folder_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["models.yaml", "a.json", "notes.txt", "to-the-model", "other.json"])
def test_out_leaves_every_file_alone_that_is_no_plan(desk, name):
    adds(desk)
    desk.file("notes.txt", b"mine")
    desk.file("other.json", b'["format_version"]')
    (desk.folder / "to-the-model").symlink_to("a.json")
    before = folder_bytes(desk.folder)
    with FaultProxy(desk.url) as proxy:
        ran = desk("plan", "--out", name, "--url", proxy.url)
        assert not proxy.exchanges
    assert (ran.code, ran.out) == (1, "")
    assert f"--out {name}" in ran.err
    assert "give another name, or remove it" in ran.err
    assert folder_bytes(desk.folder) == before


@pytest.mark.parametrize("name", ["a.json", "hard-link", "empty.json"])
def test_out_leaves_what_the_plan_is_made_from_alone_even_if_it_could_be_a_plan(desk, name):
    model = desk.file("a.json", b'{"format_version": "1"}')
    (desk.folder / "hard-link").hardlink_to(model)
    desk.file("empty.json", b"")
    desk.manifest("a BIGML a.json\nb BIGML empty.json")
    before = folder_bytes(desk.folder)
    ran = desk("plan", "--out", name)
    assert (ran.code, ran.out) == (1, "")
    assert f"--out {name} is a listed model's file" in ran.err
    assert folder_bytes(desk.folder) == before


@pytest.mark.parametrize("content", [b"", b'{"format_version": "0"}'])
def test_out_replaces_an_empty_file_and_an_older_plan(desk, content):
    adds(desk)
    desk.file("plan.json", content)
    assert desk("plan", "--out", "plan.json").code == 0
    assert desk("apply", "plan.json").code == 0


# --- an embedded server -----------------------------------------------------------------------------------------


def test_a_plan_for_a_folder_that_is_not_there_adds_everything_and_leaves_nothing_behind(desk, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    adds(desk)
    before = folder_bytes(desk.folder)
    ran = desk("plan", "--url", "local:missing/deep", "--out", "plan.json", "--detailed-exitcode")
    assert ran.code == 2, ran.err
    document = json.loads((desk.folder / "plan.json").read_text())
    assert [change["action"] for change in document["changes"]] == ["add"]
    assert document["server"]["url"] == f"local:{desk.folder.resolve() / 'missing/deep'}"
    (desk.folder / "plan.json").rename(tmp_path / "plan.json")
    assert folder_bytes(desk.folder) == before
    assert not (desk.folder / "missing").exists()
    assert not list(temporary.iterdir())
    assert (
        desk("apply", tmp_path / "plan.json", "--url", "local:missing/deep").code == 0
    )  # the very plan: the server's name is the same
    assert desk("plan", "--url", "local:missing/deep", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("command", ["list", "pull --all --to there", "import --to there"])
def test_reading_from_a_folder_that_is_not_there_is_refused(desk, command):
    ran = desk(*command.split(), "--url", "local:typo")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: local:typo: there is no such folder\n")
    assert not list(desk.folder.iterdir())


def test_nothing_is_left_in_a_folder_of_other_files(desk):
    three(desk)
    before = folder_bytes(desk.folder)
    assert "Plan: 3 to add" in desk("plan", "--url", "local:.").out
    for command in ("list", "check", "pull --all --to there", "import --to there"):
        ran = desk(*command.split(), "--url", "local:.")
        assert ran.code == 1, command
        assert "that folder is no Model Manager's" in ran.out + ran.err
    assert folder_bytes(desk.folder) == before


# --- nothing to do costs next to nothing ------------------------------------------------------------------------


def settled(desk):
    """Three models in place, their files old enough for their stat to be trusted (git's racy-mtime rule, 2 s)."""
    three(desk)
    newest = max((desk.folder / name).stat().st_ctime for name in MODEL_FILES)
    time.sleep(max(0.0, newest + 2.1 - time.time()))  # ctime cannot be set, only waited for
    desk("plan")


# Run by the interpreter before anything of mmsync: every open of the process, by anybody, goes to the file named.
SPY = """
import os, sys
log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def spy(event, args):
    if event == "open" and args[0] is not None:
        os.write(log, f"{args[0]}\\n".encode())
sys.addaudithook(spy)
"""


def test_a_plan_with_nothing_to_do_is_one_request_and_opens_no_model_file(desk, monkeypatch):
    settled(desk)
    spy = desk.file("spy/sitecustomize.py", SPY.encode())
    log = desk.folder / "opened"
    monkeypatch.setenv("OPENED", str(log))
    monkeypatch.setenv("PYTHONPATH", str(spy.parent))
    with FaultProxy(desk.url) as proxy:
        desk("plan", "--url", proxy.url)  # another address is another server to the ledger
        proxy.clear()
        with desk.start("plan", "--url", proxy.url) as process:
            out, err = process.communicate(timeout=60)
        assert "No changes. The server holds all 3 models as listed." in out, err
        assert [(each.method, each.path) for each in proxy.exchanges] == [("GET", "/models")]
    opened = log.read_text()
    assert "models.yaml" in opened  # the spy saw this process
    for name in MODEL_FILES:
        assert name not in opened


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_kernel_sees_no_model_file_opened(desk, tmp_path):
    settled(desk)
    log = tmp_path / "strace"
    command = ["strace", "-f", "-e", "trace=open,openat,openat2", "-o", str(log), sys.executable, MMSYNC, "plan"]
    done = subprocess.run(command, cwd=desk.folder, capture_output=True, text=True, timeout=60, check=False)
    if not log.exists() or "models.yaml" not in log.read_text():
        pytest.skip(f"strace may not trace here: {done.stderr[-200:]}")
    assert "No changes." in done.stdout
    for name in MODEL_FILES:
        assert f'{name}"' not in log.read_text()


def test_prune_never_takes_a_name_for_a_pattern(desk):
    desk.file("a.json", json_bytes("a"))
    for name in ("fraud[1]", "fraud1", "other"):
        desk.view.put(name, json_bytes(name))
    desk.manifest("kept BIGML a.json", scope='["fraud[1]", "kept"]')
    ran = desk("apply", "-y", "--prune")
    assert ran.code == 0
    assert desk.view.names() == ["fraud1", "kept", "other"]


def test_a_target_that_is_a_name_is_no_pattern(desk):
    for name in ("a", "b"):
        desk.file(f"{name}.json", json_bytes(name))
    desk.manifest("m1 BIGML a.json\n'm[1]' BIGML b.json")
    assert desk("apply", "-y", "--target", "m[1]").code == 0
    assert desk.view.names() == ["m[1]"]


def test_what_a_pattern_owns_is_shown_before_it_is_deleted(desk):
    for number in range(3):
        desk.view.put(f"fraud{number}", json_bytes(number))
    desk.manifest(scope='["fraud[0-9]"]')
    ran = desk("plan", "--prune", "--allow-empty")
    assert "Through the pattern fraud[0-9] of scope this plan deletes fraud0, fraud1, fraud2" in " ".join(
        ran.out.split()
    )


def test_prune_without_a_scope_says_that_nothing_can_ever_be_deleted(desk):
    desk.view.put("a", json_bytes(1))
    desk.file("models.yaml", b"version: 1\nmodels: []\n")
    for words in (["plan", "--prune"], ["apply", "-y", "--prune"]):
        ran = desk(*words)
        assert ran.code == 0
        assert "Without scope: in the manifest nothing can ever be deleted" in " ".join((ran.out + ran.err).split())
        assert "outside the scope" not in ran.out
    assert desk.view.names() == ["a"]


def test_what_is_sent_without_a_look_into_it_is_said(desk):
    desk.file("a.bin", b"whatever it is")
    desk.file("b.json", b"{")
    desk.file("c.json", json_bytes("c"))
    desk.manifest("a MLSTATS a.bin\nb BIGML b.json  inspect: false\nc BIGML c.json")
    told = "Sent as they are, without a check that the files are whole (mmsync knows no format of MLSTATS; inspect: false says so): a, b"
    assert told in " ".join(desk("plan").out.split())
    assert "2 models were not looked into" in desk("validate").out
    desk.manifest("c BIGML c.json")
    assert "Sent as they are" not in desk("plan").out
    assert "not looked into" not in desk("validate").out


def test_guards_that_a_change_of_the_manifest_lifts_are_said_first(desk):
    for name in ("a", "b"):
        desk.file(f"{name}.json", json_bytes(name))
    pin = sha256(json_bytes("a"))
    desk.manifest(f"a BIGML a.json  sha256: {pin}\nb BIGML b.json", scope='["a*", "b*"]')
    assert desk("apply", "-y").code == 0
    assert "Since the manifest was last applied" not in desk("plan").out
    desk.file("a.json", json_bytes("another"))
    desk.manifest(
        "a BIGML a.json\nb BIGML b.json  allow_signature_change: true  inspect: false\nnew BIGML a.json", scope='["*"]'
    )
    said = [
        "the scope is another: with * and without a*, b*",
        "the pin (sha256) is gone or another for a",
        "allow_signature_change is set for b",
        "inspect: false is set for b",
    ]
    ran = desk("plan")
    text = " ".join(ran.out.split())
    assert all(f"Since the manifest was last applied, {one}" in text for one in said)
    assert text.index("Since the manifest") < text.index("~ a")
    markdown = desk("plan", "--format", "markdown").out
    assert markdown.index("Since the manifest") < markdown.index("**`a`**")
    document = json.loads(desk("plan", "--format", "json").out)
    assert [note["code"] for note in document["diagnostics"][:4]] == ["guard/changed"] * 4
    assert desk("apply", "-y").code == 0
    assert "Since the manifest was last applied" not in desk("plan").out


def test_guards_of_another_manifest_or_server_are_not_compared(desk, tmp_path):
    desk.file("a.json", json_bytes("a"))
    desk.file("other/a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json", scope='["a*"]')
    assert desk("apply", "-y").code == 0
    desk.manifest("a BIGML a.json", scope='["*"]', name="other/models.yaml")
    assert "Since the manifest" not in desk("plan", "-f", "other/models.yaml").out
    desk.manifest("a BIGML a.json", scope='["*"]')
    assert "Since the manifest" not in desk("plan", "--url", "local:elsewhere").out
    assert "Since the manifest" in desk("plan").out


def test_the_first_scope_is_not_called_another(desk):
    desk.file("a.json", json_bytes("a"))
    desk.file("models.yaml", b"models:\n  - {name: a, engine: BIGML, file: a.json}\n")
    assert desk("apply", "-y").code == 0
    desk.manifest("a BIGML a.json", scope='["a*"]')
    assert "Since the manifest was last applied, a scope is given: with a*" in " ".join(desk("plan").out.split())


# --- renames and deletions --------------------------------------------------------------------------------------


def test_a_rename_is_said_with_what_it_is_to_a_server(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest('fraud_old BIGML a.json  description: "Card fraud"\nkept BIGML a.json')
    assert desk("apply", "--yes").code == 0
    desk.manifest("fraud_new BIGML a.json\nkept BIGML a.json")
    shown = " ".join(desk("plan").out.split())
    assert "renamed from fraud_old (the same content; a server renames nothing: the new name is added" in shown
    assert "1 orphan, inside the scope but in no manifest; kept unless --prune is given: fraud_old" in shown
    changes = {
        change["name"]: change for change in json.loads(desk("plan", "--format", "json", "--prune").out)["changes"]
    }
    assert changes["fraud_new"]["renamed_from"] == "fraud_old"
    assert changes["fraud_old"]["renamed_from"] is None
    assert (changes["fraud_old"]["action"], changes["fraud_old"]["before"]["size"]) == ("delete", len(json_bytes("a")))
    assert "renamed from `fraud_old` (the same content" in desk("plan", "--format", "markdown").out
    digest = sha256(json_bytes("a"))[:12]
    pruned = desk("plan", "--prune").out
    assert f"- fraud_old  BIGML\n    content      {digest} (" in pruned
    assert '    description  "Card fraud"\n' in pruned
    # Without the ledger it is not known, and the digest is the same.
    saved = json.loads(desk("plan", "--format", "json", "--prune").out)["digest"]
    desk.environment.setenv("MMSYNC_CACHE_DIR", str(desk.folder / "another"))
    assert "renamed from" not in desk("plan", "--verify", "never").out
    assert json.loads(desk("plan", "--format", "json", "--prune").out)["digest"] == saved


def test_a_rename_is_said_without_a_scope_too(desk):
    desk.file("a.json", json_bytes("a"))
    desk.file("models.yaml", b"version: 1\nmodels: [{name: fraud_old, engine: BIGML, file: a.json}]\n")
    assert desk("apply", "--yes").code == 0
    desk.file("models.yaml", b"version: 1\nmodels: [{name: fraud_new, engine: BIGML, file: a.json}]\n")
    shown = " ".join(desk("plan").out.split())
    assert "renamed from fraud_old (the same content; a server renames nothing: the new name is added" in shown
    assert "until --prune deletes it, which takes a scope: that has its name)" in shown
    assert "1 other model on the server left alone." in shown
    assert "scope left alone" not in shown
    (added,) = json.loads(desk("plan", "--format", "json").out)["changes"]
    assert added["renamed_from"] == "fraud_old"


def test_a_ledger_that_never_saw_an_apply_cannot_tell_what_was_protected(desk):
    for name in ("a", "b", "c"):
        desk.file(f"{name}.json", json_bytes(name))
    desk.manifest("a BIGML a.json  protect: true\nb BIGML b.json\nc BIGML c.json")
    assert desk("apply", "--yes").code == 0
    desk.manifest("b BIGML b.json")
    assert "plan/new-ledger" not in desk("plan", "--prune", "--max-delete-percent", "100").out
    desk.environment.setenv("MMSYNC_CACHE_DIR", str(desk.folder / "another"))
    words = ("--prune", "--max-delete-percent", "100")
    told = "The ledger on this machine knows of no complete apply to this server, so that it cannot tell whether a model to be deleted was protected: a, c"
    assert told in " ".join(desk("plan", *words).out.split())
    assert told in [each["summary"] for each in json.loads(desk("plan", "--format", "json", *words).out)["diagnostics"]]
    assert "plan/new-ledger" not in desk("plan").out
    assert desk("apply", "--yes", *words).code == 0
    assert desk.view.names() == ["b"]
    desk.manifest("c BIGML c.json")
    assert desk("apply", "--yes").code == 0
    assert "plan/new-ledger" not in desk("plan", "--prune").out


def test_an_engine_in_another_case_is_the_engine_and_said(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a bigml a.json")
    ran = desk("apply", "--yes")
    assert ran.code == 0
    assert "the engine bigml is spelt BIGML (write BIGML; it is read so)" in " ".join((ran.out + ran.err).split())
    assert desk("plan").out.count("No changes.") == 1


def test_keys_of_the_readers_own_alter_neither_plan_nor_digest(desk):
    three(desk)
    desk.file("a.json", json_bytes("A"))
    plain = desk("plan", "--format", "json").out
    path = desk.folder / "models.yaml"
    text = path.read_text("utf-8").rstrip("\n") + "\n    x-owner: [ada]\nx-notes: {models: [1, ~], scope: []}\n"
    path.write_text(text, "utf-8")
    assert desk("plan", "--format", "json").out == plain
    assert json.loads(plain)["summary"]["change"] == 1
