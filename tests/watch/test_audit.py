"""The audit record of a watcher: what it does is recorded, and without a record it does nothing until there is one."""

from __future__ import annotations

import json

from support.watching import json_model, sha256, write_manifest


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_reconcile_that_changes_something_is_recorded_and_a_rotated_file_is_begun_anew(
    watch, server, root, tmp_path
):
    path = tmp_path / "audit.jsonl"
    (root / "m.json").write_bytes(json_model(1))
    write_manifest(root, {"m": "m.json"})
    process = watch("--audit", str(path))
    process.seen("model_added", model="m")
    process.until(lambda: len(lines(path)) == 3, "the record of the add")
    path.rename(tmp_path / "audit.jsonl.1")
    (root / "m.json").write_bytes(json_model(2))
    process.seen("model_changed", model="m")
    start, change, verified = lines(path)
    assert (start["event"], start["summary"]) == ("start", {"add": 0, "change": 1, "delete": 0})
    assert (change["event"], change["outcome"], change["name"]) == ("change", "applied", "m")
    assert (verified["event"], verified["outcome"]) == ("read-back", "verified")
    assert verified["before"]["sha256"] == sha256(json_model(1))
    assert verified["after"]["sha256"] == sha256(json_model(2))
    assert len(lines(tmp_path / "audit.jsonl.1")) == 3


def test_a_record_that_cannot_be_written_is_a_condition_until_it_can(watch, server, root, tmp_path):
    path = tmp_path / "audit.jsonl"
    write_manifest(root, {})
    process = watch("--audit", str(path), interval="1")
    process.seen("reconciled")
    path.unlink()
    path.mkdir()
    (root / "m.json").write_bytes(json_model(1))
    write_manifest(root, {"m": "m.json"})
    failed = process.seen("disk_failed", code="audit")
    assert "cannot open the audit record" in failed["message"]
    assert server.names() == []
    path.rmdir()
    process.seen("model_added", model="m")
    process.seen("disk_recovered")
    assert [line["event"] for line in lines(path)] == ["start", "change", "read-back"]


def test_a_listed_models_file_is_no_place_for_it(watch, server, root):
    """The manifest is read once the watcher runs, and may come to list the file at any time."""
    for name in ("m", "other"):
        (root / f"{name}.json").write_bytes(json_model(1))
    write_manifest(root, {"m": "m.json", "other": "other.json"})
    process = watch("--audit", str(root / "m.json"))
    failed = process.seen("disk_failed", code="audit")
    assert f"the audit record {root / 'm.json'} is a listed model's file; it was left as it is" in failed["message"]
    assert (root / "m.json").read_bytes() == json_model(1)
    assert server.names() == []
    write_manifest(root, {"other": "other.json"})
    (root / "m.json").unlink()
    process.seen("model_added", model="other")
    process.seen("disk_recovered")
    assert [line["event"] for line in lines(root / "m.json")] == ["start", "change", "read-back"]


def test_a_record_that_fails_amid_a_reconcile_is_told_and_the_rest_is_done_once_it_can_be(
    watch, server, root, tmp_path
):
    path = tmp_path / "audit.jsonl"
    models = {f"m{number}": f"m{number}.json" for number in range(6)}
    for number, file in enumerate(models.values()):
        (root / file).write_bytes(json_model(number))
    write_manifest(root, models)
    # The third line of the process finds its file removed.
    patch = f"""
import mmsync.apply.audit as audit
append, count = audit._Appender.append, 0
def removing(self, lines):
    global count
    count += 1
    if count == 3:
        __import__("os").unlink({str(path)!r})
    append(self, lines)
audit._Appender.append = removing
"""
    process = watch("--audit", str(path), "--jobs", "1", patch=patch)
    failed = process.seen("disk_failed", code="audit")
    assert "it was removed meanwhile" in failed["message"]
    process.seen("disk_recovered")
    process.until(lambda: len(server.names()) == 6, "all models")
    # The two of which the lines were lost stand in the log; the others are recorded in the new file.
    assert [line["event"] for line in lines(path)].count("change") == 4
    assert len(process.of("model_added")) == 6
    assert not process.of("model_failed")
