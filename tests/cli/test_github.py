"""In GitHub Actions: the step's summary, its outputs, and annotations with their place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.applying import json_bytes
from support.fault_proxy import FaultProxy, status
from support.workflow_steps import read_outputs

NOTHING = {"changes": "0", "add": "0", "change": "0", "delete": "0"}


class Step:
    """The files a step writes to."""

    def __init__(self, folder):
        self._summary, self._output = folder / "summary.md", folder / "output"
        self.environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(self._summary),
            "GITHUB_OUTPUT": str(self._output),
        }

    @property
    def summary(self):
        return self._summary.read_text() if self._summary.exists() else ""

    @property
    def outputs(self):
        return read_outputs(self._output.read_text()) if self._output.exists() else {}


@pytest.fixture
def step(tmp_path, monkeypatch):
    made = Step(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def annotations(ran):
    return [line for line in ran.err.splitlines() if line.startswith("::")]


def two(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json  description: first\nb BIGML a.json")


def without_digest(outputs):
    assert re.fullmatch("[0-9a-f]{64}", outputs["digest"])
    return {name: value for name, value in outputs.items() if name != "digest"}


def test_the_summary_says_how_to_undo_what_a_backup_kept(desk, step):
    two(desk)
    assert desk("apply").code == 0
    assert "Undo:" not in step.summary
    desk.file("a.json", json_bytes("A"))
    ran = desk("apply", "--backup", "kept")
    (run,) = (desk.folder / "kept").glob("2*")
    assert f"\nUndo: mmsync apply -f kept/{run.name}/models.yaml\n" in ran.out
    assert f"\nUndo: `mmsync apply -f kept/{run.name}/models.yaml`\n" in step.summary


def test_elsewhere_nothing_is_written(desk, step, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS")
    two(desk)
    assert desk("plan").code == 0
    assert (step.summary, step.outputs) == ("", {})


def test_a_plan_leaves_its_report_and_its_counts(desk, step):
    two(desk)
    ran = desk("plan", "--format", "json")
    document = json.loads(ran.out)  # nothing for GitHub is on stdout
    assert step.outputs == {**NOTHING, "changes": "2", "add": "2", "digest": document["digest"]}
    assert step.summary.startswith("## mmsync plan: 2 to add")
    assert annotations(ran) == []


def test_no_changes_are_said_as_such(desk, step):
    two(desk)
    desk("apply")
    before = len(step.summary)
    assert desk("plan").code == 0
    assert without_digest(step.outputs) == NOTHING
    assert "No changes" in step.summary[before:]


def test_an_apply_leaves_its_report_and_what_it_set_out_to_do(desk, step):
    two(desk)
    assert desk("apply").code == 0
    assert without_digest(step.outputs) == {**NOTHING, "changes": "2", "add": "2"}
    assert step.summary.startswith("## mmsync apply: 2 added")


def test_an_apply_that_fails_for_one_model_annotates_its_line(desk, step):
    two(desk)
    with FaultProxy(desk.url) as proxy:
        proxy.on("save", status(500, {"code": 9000, "msg": "out of memory"}), name="b")
        ran = desk("apply", "--url", proxy.url)
    assert ran.code == 1
    assert without_digest(step.outputs) == {**NOTHING, "changes": "2", "add": "2"}
    assert "1 failed" in step.summary
    (line,) = annotations(ran)
    assert line.startswith("::error file=models.yaml,line=8,col=5,title=mmsync%3A apply/server::b: 9000: out of memory")


@pytest.mark.parametrize("words", [["plan"], ["apply"], ["validate"], ["plan", "--format", "json"]], ids=" ".join)
def test_a_fault_of_the_manifest_is_annotated_at_its_place_once(words, desk, step):
    desk.file(
        "models.yaml", b"version: 1\nmodels:\n  - name: a\n    engine: ONNX\n    file: gone.onnx\n    colour: red\n"
    )
    ran = desk(*words)
    assert ran.code == 1
    lines = annotations(ran)
    assert [re.match("::error file=models.yaml,line=(\\d+),col=\\d+,", line)[1] for line in lines] == ["5", "6"]
    assert step.outputs == {}


@pytest.mark.parametrize("words", [["plan"], ["apply"], ["plan", "--format", "json"]], ids=" ".join)
def test_a_blocked_change_is_annotated_at_its_place_once(words, desk, step):
    desk.file("a.json", b"{}")
    desk.manifest(f"a BIGML a.json  sha256: {'0' * 64}")
    ran = desk(*words)
    assert ran.code == 1
    (line,) = annotations(ran)
    assert line.startswith("::error file=models.yaml,line=4,col=5,title=mmsync%3A plan/pin::a: a.json holds 44136fa3")
    assert without_digest(step.outputs) == NOTHING


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_a_guard_is_annotated_once(form, desk, step):
    two(desk)
    desk("apply")
    desk.manifest()
    ran = desk("apply", "--prune", "--format", form)
    assert ran.code == 1
    (line,) = annotations(ran)
    assert line.startswith("::error title=mmsync%3A guard/empty::The manifest lists no models")
    assert without_digest(step.outputs) == {**NOTHING, "changes": "2", "delete": "2"}


def test_a_stale_plan_is_annotated_with_what_moved(desk, step):
    two(desk)
    desk("plan", "--out", "plan.json")
    desk.file("a.json", json_bytes("A"))
    ran = desk("apply", "plan.json")
    assert ran.code == 1
    assert [line.partition("::a:")[0] for line in annotations(ran) if "::a:" in line] == [
        "::error title=mmsync%3A plan/stale"
    ]


def test_a_name_cannot_forge_a_command(desk, step):
    desk.file("a.json", b"{}")
    desk.file("models.yaml", b'version: 1\nmodels:\n- {name: "::set-output name=x::1", engine: BIGML, file: a.json}\n')
    ran = desk("apply")
    assert ran.code == 0
    assert not [line for line in ran.out.splitlines() if line.lstrip("+~- ").startswith("::") and line.startswith("::")]


def test_a_summary_that_cannot_be_written_does_not_hide_what_became_of_an_apply(desk, step, monkeypatch, tmp_path):
    two(desk)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "missing" / "summary.md"))
    ran = desk("apply")
    assert ran.code == 0
    assert "Applied: 2 added" in ran.out
    assert "Warning: cannot write the step summary" in ran.err
    assert without_digest(step.outputs) == {**NOTHING, "changes": "2", "add": "2"}


def test_outputs_that_cannot_be_written_are_an_error_said_after_the_report(desk, step, monkeypatch, tmp_path):
    two(desk)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "missing" / "output"))
    ran = desk("apply")
    assert ran.code == 1
    assert "Applied: 2 added" in ran.out
    assert ran.err.startswith(f"Error: cannot write the step's outputs to {tmp_path}/missing/output: No such file")


@pytest.mark.parametrize("where", ["the step's folder", "another folder", "a link to it"])
def test_annotations_name_files_from_the_repositorys_root(where, desk, step, monkeypatch, tmp_path):
    repository = desk.folder
    desk.manifest("a MLSTATS gone.bin", name="team/models/models.yaml")
    if where == "a link to it":
        (tmp_path / "link").symlink_to(repository)
        repository = tmp_path / "link"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(repository))
    if where == "another folder":
        monkeypatch.chdir(desk.folder / "team")
        words = [["models/models.yaml"], ["./models/models.yaml"], ["models"], [str(desk.folder / "team/models")]]
    else:
        words = [["team/models/models.yaml"], ["./team/models"], [str(desk.folder / "team/models/models.yaml")]]
    for word in words:
        for command in ("validate", "plan"):
            [line] = annotations(desk(command, "-f", *word))
            assert line.startswith("::error file=team/models/models.yaml,line=6,"), (word, line)


def test_without_a_workspace_a_path_is_at_least_a_plain_one(desk, step):
    desk.manifest("a MLSTATS gone.bin")
    [line] = annotations(desk("validate", "-f", "./models.yaml"))
    assert line.startswith("::error file=models.yaml,")


@pytest.mark.parametrize("before", ["", "left=open", "closed=1\n"])
def test_what_an_earlier_step_left_open_is_ended_first(before, desk, step):
    two(desk)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        Path(step.environment[name]).write_text(before)
    assert desk("plan").code == 0
    outputs = step.outputs
    if before:
        name, _, value = before.strip().partition("=")
        assert outputs.pop(name) == value
        assert step.summary.startswith(before.strip() + "\n")
    assert outputs["changes"] == "2"
