"""``apply --checksums``: what the server holds, as coreutils' own sha256sum checks it."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from mmsync.report.checksums import checksum_line
from support.applying import json_bytes, sha256
from support.fault_proxy import FaultProxy, status


def four(desk):
    for name in "abcd":
        desk.file(f"{name}.json", json_bytes(name))
    desk.manifest("\n".join(f"{name} BIGML {name}.json" for name in "abcd"))


def held(path):
    """The names and digests that a list of checksums without escapes says."""
    return {line[66:]: line[:64] for line in path.read_text().splitlines()}


def test_what_was_sent_and_what_was_there_are_both_in_it(desk):
    four(desk)
    assert desk("apply", "--target", "[ab]").code == 0
    ran = desk("apply", "--checksums", "models.sha256")
    assert ran.code == 0, ran.err
    assert held(desk.folder / "models.sha256") == desk.view.digests()
    assert "leaves out" not in ran.err
    text = (desk.folder / "models.sha256").read_text()
    assert text.splitlines() == sorted(text.splitlines(), key=lambda line: line[66:])
    desk.environment.setenv("MMSYNC_CHECKSUMS", "again.sha256")
    assert desk("apply").code == 0, "nothing to change"
    assert (desk.folder / "again.sha256").read_text() == text


def test_sha256sum_checks_it_against_files_of_these_names(desk, tmp_path):
    names = ["plain", "MY FIRST MODEL", "back\\slash", "new\\nline", "*star", "ü 模型", "-dash", " space"]
    desk.file("a.json", json_bytes("a"))
    models = [{"name": name, "engine": "BIGML", "file": "a.json"} for name in names if name == name.strip()]
    desk.file("models.yaml", json.dumps({"version": 1, "models": models}).encode())
    ran = desk("apply", "--checksums", "models.sha256")
    assert ran.code == 0, ran.err
    folder = tmp_path / "there"
    folder.mkdir()
    for model in models:
        (folder / model["name"]).write_bytes(json_bytes("a"))
    command = ["sha256sum", "--check", "--strict", "--quiet", "--", desk.folder / "models.sha256"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (folder / "back\\slash").write_bytes(b"other")
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1


def test_a_line_is_what_sha256sum_writes(tmp_path):
    for name in ("plain", "two words", "back\\slash", "line\nend", "ret\rurn\\"):
        (tmp_path / name).write_bytes(b"content")
        done = subprocess.run(["sha256sum", "--", name], cwd=tmp_path, capture_output=True, text=True, check=True)
        version = subprocess.run(["sha256sum", "--version"], capture_output=True, text=True, check=True).stdout
        if "\r" in name and not re.search(r"coreutils\) (9|\d\d)", version):
            continue  # older ones write a carriage return as it is
        assert checksum_line(sha256(b"content"), name) == done.stdout


def test_what_is_not_certain_is_left_out_and_named(desk):
    four(desk)
    desk.view.put("a", json_bytes("A"))  # of the same size: only its bytes would tell
    desk.manifest(f"a BIGML a.json\nb BIGML b.json  sha256: {'0' * 64}\nc BIGML c.json\nd BIGML d.json")
    with FaultProxy(desk.url) as proxy:
        proxy.on("save", status(500, {"code": 9000, "msg": "out of memory"}), name="d")
        ran = desk("apply", "--url", proxy.url, "--verify", "never", "--checksums", "models.sha256")
    assert ran.code == 1
    assert held(desk.folder / "models.sha256") == {"c": desk.view.digest("c")}
    why = "Warning: models.sha256 leaves out 3 models of which the server's content is not certain: a, b, d"
    assert why in ran.err.splitlines()


def test_a_description_that_is_verified_says_nothing_of_the_content_below_it(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json  description: second")
    desk.view.put("a", json_bytes("A"))
    ran = desk("apply", "--verify", "never", "--checksums", "models.sha256")
    assert ran.code == 0, ran.err
    assert desk.view.detail("a")["description"] == "second"
    assert (desk.folder / "models.sha256").read_text() == ""
    assert "leaves out 1 model of which the server's content is not certain: a" in ran.err
    desk.manifest("a BIGML a.json  description: third")
    assert desk("apply", "--checksums", "models.sha256").code == 0
    assert held(desk.folder / "models.sha256") == {"a": sha256(json_bytes("a"))}


def test_what_could_not_be_read_back_is_not_certain(desk):
    four(desk)
    with FaultProxy(desk.url) as proxy:
        proxy.on("list", status(500, {"code": 9000, "msg": "out of memory"}), skip=1)
        ran = desk("apply", "--url", proxy.url, "--checksums", "models.sha256")
    assert "leaves out 4 models" in ran.err
    assert (desk.folder / "models.sha256").read_text() == ""


def test_deletes_have_no_line_and_a_shard_only_its_own(desk):
    four(desk)
    assert desk("apply").code == 0
    desk.manifest("a BIGML a.json\nb BIGML b.json\nc BIGML c.json")
    assert desk("apply", "--prune", "--checksums", "models.sha256").code == 0
    assert held(desk.folder / "models.sha256") == desk.view.digests()
    parts = []
    for index in range(2):
        assert desk("apply", "--shard", f"{index + 1}/2", "--checksums", "part.sha256").code == 0
        parts += held(desk.folder / "part.sha256")
    assert sorted(parts) == ["a", "b", "c"]


def a_folder(desk):
    (desk.folder / "models.sha256").mkdir()


def something_else(desk):
    desk.file("models.sha256", b"\x08onnx")


def a_pipe(desk):
    import os

    os.mkfifo(desk.folder / "models.sha256")


@pytest.mark.parametrize("case", [a_folder, something_else, a_pipe])
def test_what_holds_something_else_is_left_as_it_is_and_nothing_is_applied(case, desk):
    four(desk)
    case(desk)
    ran = desk("apply", "--checksums", "models.sha256")
    assert ran.code == 1
    assert "holds no checksums; it was left as it is" in ran.err
    assert desk.view.names() == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a.json", "--checksums a.json is a listed model's file; it was left as it is"),
        ("models.yaml", "--checksums models.yaml is a manifest; it was left as it is"),
        ("gone/models.sha256", "--checksums gone/models.sha256: there is no such folder"),
        ("", "--checksums is empty: give it a value, or leave it out"),
        ("audit.jsonl", "--audit and --checksums name one file: give each its own"),
    ],
)
def test_a_place_where_it_cannot_be_is_said_before_anything_is_applied(path, why, desk):
    four(desk)
    ran = desk("apply", "--audit", "audit.jsonl", "--checksums", path)
    assert (ran.code, ran.err.splitlines()[0]) == (1, f"Error: {why}")
    assert desk.view.names() == []


def test_it_is_written_through_a_link_and_leaves_nothing_beside_it(desk):
    four(desk)
    desk.file("real.sha256", b"")
    (desk.folder / "link.sha256").symlink_to("real.sha256")
    before = sorted(entry.name for entry in desk.folder.iterdir())
    assert desk("apply", "--checksums", "link.sha256").code == 0
    assert (desk.folder / "link.sha256").is_symlink()
    assert held(desk.folder / "real.sha256") == desk.view.digests()
    assert sorted(entry.name for entry in desk.folder.iterdir()) == before


def test_a_run_that_is_refused_writes_none(desk):
    four(desk)
    assert desk("apply", "--expect", "0" * 64, "--checksums", "models.sha256").code == 1
    assert not (desk.folder / "models.sha256").exists()
