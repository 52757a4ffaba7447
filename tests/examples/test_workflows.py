"""The workflows people copy do what they say: their steps run here, against the embedded server."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from mmsync import __version__
from mmsync.client import create_client_from_token
from mmsync.server import running
from support import workflow_steps

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "github"
PLAN, APPLY = EXAMPLES / "plan.yml", EXAMPLES / "apply.yml"
WORKFLOWS = [PLAN, APPLY, ROOT / ".github" / "workflows" / "ci.yml"]
TOKEN = "token-of-the-workflow-test"
NAMES = ["domain_dga", "login_odds", "login_profile", "login_risk"]
PINNED = re.compile(r"uses: (?P<action>[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")

# Stands in for GitHub's client: lists the comments kept in a file, as its --jq would, and notes what it was told to do.
GH = """#!/bin/bash
set -eu
[[ $GH_TOKEN == the-job-token ]]
case " $* " in
  *" --method "*) echo "$*" >> "$HOME/gh.log"; cp plan.md "$HOME/gh.comment"; echo 4711 > "$HOME/gh.ids" ;;
  *) cat "$HOME/gh.ids" 2>/dev/null || true ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A repository as a user would keep it: models.yaml at the top, the models beside it."""
    top = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples" / "quickstart", top)
    return top


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def server(tmp_path):
    with running(tmp_path / "server", token=TOKEN) as address:
        yield address


@pytest.fixture
def run(checkout, home, server):
    """Run the steps of a job until one fails; return the last. Installing is left out: mmsync is here already."""

    def run_job(workflow, job, *, token=TOKEN):
        values = {
            "vars.MMSYNC_URL": server.url,
            "secrets.MMSYNC_TOKEN": token,
            "github.token": "the-job-token",
            "github.repository": "acme/models",
            "github.event.pull_request.number": "17",
        }
        path = os.pathsep.join([str(home), str(Path(sys.executable).parent), "/usr/local/bin:/usr/bin:/bin"])
        steps = workflow_steps.run_steps(workflow_steps.load(workflow), job)
        steps = [step for step in steps if not step.script.startswith("python -m pip install")]
        assert steps
        for step in steps:
            ran = workflow_steps.run_step(step, checkout, home, values, path)
            assert token not in ran.log + ran.summary + json.dumps(ran.outputs)
            if ran.status:
                break
        return ran

    return run_job


@pytest.fixture
def held(server):
    """Ask the server which model has which image."""

    def ask():
        with create_client_from_token(server.url, TOKEN) as client:
            return {model["name"]: model["imageId"] for model in client.get_models()}

    return ask


def test_planning_finds_the_changes_and_makes_none(run, held, checkout):
    ran = run(PLAN, "plan")
    assert ran.status == 0, ran.log
    plan = json.loads((checkout / "plan.json").read_text())
    assert [(change["name"], change["action"]) for change in plan["changes"]] == [(name, "add") for name in NAMES]
    for text in (ran.log, ran.summary, (checkout / "plan.md").read_text()):
        assert all(name in text for name in NAMES)
    assert (ran.outputs["changes"], ran.outputs["add"]) == ("4", "4")
    assert ran.outputs["digest"] == plan["digest"]
    assert held() == {}


def test_applying_makes_the_changes_and_applying_again_nothing(run, held):
    first = run(APPLY, "apply")
    assert first.status == 0, first.log
    assert all(name in first.summary for name in NAMES)
    before = held()
    assert sorted(before) == NAMES
    again = run(APPLY, "apply")
    assert again.status == 0, again.log
    assert again.outputs["changes"] == "0"
    assert held() == before


def test_planning_after_applying_finds_nothing_even_without_the_ledger(run, home):
    assert run(APPLY, "apply").status == 0
    shutil.rmtree(home)
    home.mkdir()
    ran = run(PLAN, "plan")
    assert ran.status == 0, ran.log
    assert ran.outputs["changes"] == "0"


def test_an_edit_is_planned_by_name_and_reason_and_then_applied(run, held, checkout):
    assert run(APPLY, "apply").status == 0
    before = held()
    manifest = checkout / "models.yaml"
    manifest.write_text(manifest.read_text().replace("Is this login an intruder's? CatBoost.", "Intruder or not?"))
    assert run(PLAN, "plan").status == 0
    [change] = json.loads((checkout / "plan.json").read_text())["changes"]
    assert (change["name"], change["action"], change["reasons"]) == ("login_risk", "change", ["description"])
    ran = run(APPLY, "apply")
    assert (ran.status, ran.outputs["change"]) == (0, "1")
    assert held() == before  # a description uploads nothing


@pytest.mark.parametrize(("workflow", "job"), [(PLAN, "plan"), (APPLY, "apply")])
def test_a_broken_manifest_fails_the_job_and_is_marked_in_the_file(run, held, checkout, workflow, job):
    manifest = checkout / "models.yaml"
    manifest.write_text(manifest.read_text().replace("description: Which", "descriptoin: Which"))
    line = 1 + manifest.read_text().splitlines().index(
        "    descriptoin: Which of four habits does this login follow? k-means."
    )
    ran = run(workflow, job)
    assert ran.status == 1
    assert f"::error file=models.yaml,line={line}," in ran.log
    assert "Traceback" not in ran.log
    assert held() == {}


@pytest.mark.parametrize(("workflow", "job"), [(PLAN, "plan"), (APPLY, "apply")])
def test_a_wrong_token_fails_the_job(run, workflow, job):
    ran = run(workflow, job, token="not-the-token-of-the-test")
    assert ran.status == 1
    assert "Traceback" not in ran.log


def test_the_comment_is_written_once_and_then_kept_up_to_date(run, home):
    gh = home / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    shown = []
    for _ in range(2):
        assert run(PLAN, "plan").status == 0
        ran = run(PLAN, "comment")
        assert ran.status == 0, ran.log
        shown.append((home / "gh.comment").read_text())
        assert run(APPLY, "apply").status == 0
    posted, patched = (home / "gh.log").read_text().splitlines()
    assert posted == "api --silent --method POST repos/acme/models/issues/17/comments --field body=@plan.md"
    assert patched == "api --silent --method PATCH repos/acme/models/issues/comments/4711 --field body=@plan.md"
    assert "domain_dga" in shown[0]
    assert "No changes" in shown[1]
    heading = re.search(r'startswith\("(.+?)"\)', PLAN.read_text())[1]
    assert all(comment.startswith(heading) for comment in shown)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_the_version_beside_it(path):
    lines = [line for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not PINNED.search(line)] == []


def test_every_workflow_pins_an_action_to_the_same_commit():
    pins = {match.groups() for path in WORKFLOWS for match in PINNED.finditer(path.read_text())}
    assert len({action for action, _, _ in pins}) == len(pins)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_do_only_what_it_says(path):
    workflow = workflow_steps.load(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        granted = {scope for scope, right in job["permissions"].items() if right != "read"}
        assert granted == ({"pull-requests"} if name == "comment" else set())
        assert job["timeout-minutes"] <= 60
    assert "pull_request_target" not in workflow["on"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_text_from_outside_stands_in_a_script(path):
    workflow = workflow_steps.load(path)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_applies_wait_for_one_another_and_need_the_environment():
    workflow = workflow_steps.load(APPLY)
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert "${{" not in workflow["concurrency"]["group"]
    assert workflow["jobs"]["apply"]["environment"] == "models"


@pytest.mark.parametrize("path", [PLAN, APPLY], ids=lambda path: path.name)
def test_the_examples_install_this_version(path):
    assert re.findall(r"mmsync==([\w.]+)", path.read_text()) == [__version__]
