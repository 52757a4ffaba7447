"""The workflows people copy do what they say: the steps behind them run here, against a Model Manager and GitHub."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from mmsync import __version__
from mmsync.ci.header import read_header
from mmsync.client import create_client_from_token
from mmsync.server import running
from support import workflow_steps
from support.github_stand_in import JOB_TOKEN, REPOSITORY, GitHubStandIn

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "github"
OURS = ROOT / ".github" / "workflows"
ACTION = ROOT / ".github" / "actions" / "mmsync" / "action.yml"
COPIED = sorted(path for path in EXAMPLES.glob("*.yml") if path.name != "gitlab-ci.yml")
CALLED = [OURS / "plan.yml", OURS / "apply.yml", OURS / "drift.yml"]
OWN = [OURS / "ci.yml", OURS / "release.yml"]
WORKFLOWS = [*COPIED, *CALLED, OURS / "attest.yml", *OWN]
TOKEN = "token-of-the-workflow-test"
NAMES = ["domain_dga", "login_odds", "login_profile", "login_risk"]
PINNED = re.compile(r"uses: (?P<action>[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")
HEAD, MERGE = "a" * 40, "c" * 40
OWN_ACTION = "$/.github/actions/mmsync"
# What each job of a release may write.
RELEASING = {
    "image": {"packages", "id-token", "attestations"},
    "attest": {"id-token", "attestations"},
    "pypi": {"id-token"},
    "release": {"contents"},
}
CHECKSUMS = "inputs.checksums && format('{0}/mmsync/models.sha256', runner.temp) || ''"


@pytest.fixture
def home(tmp_path):
    """A home folder, and a runner's temporary folder where mmsync is installed already."""
    folder = tmp_path / "home"
    installed = folder / "temp" / "mmsync-venv" / "bin"
    installed.mkdir(parents=True)
    (installed / "mmsync").symlink_to(Path(sys.executable).with_name("mmsync"))
    return folder


@pytest.fixture
def server(tmp_path):
    with running(tmp_path / "server", token=TOKEN) as address:
        yield address


@pytest.fixture
def github():
    made = GitHubStandIn()
    made.pull(17, HEAD)
    yield made
    made.close()


@pytest.fixture
def run(checkout, home, server, github):
    """Run a workflow that people copy: the jobs of the one it calls, until one fails; return the last of mmsync."""
    numbers = iter(range(1, 99))

    def run_workflow(name, *, token=TOKEN, matrix=(0, 1)):
        job, *_ = workflow_steps.load(EXAMPLES / name)["jobs"].values()
        called = workflow_steps.load(OURS / job["uses"].partition("@")[0].rpartition("/")[2])
        pull_request = {"number": 17, "head": {"sha": HEAD, "repo": {"full_name": REPOSITORY}}}
        event = home / "event.json"
        event.write_text(json.dumps({"pull_request": pull_request} if name in ("plan.yml", "shards.yml") else {}))
        runner = {
            "RUNNER_TEMP": str(home / "temp"),
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(next(numbers)),
            "GITHUB_SHA": MERGE,
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
        }
        context = {
            "vars.MMSYNC_URL": server.url,
            "secrets.MMSYNC_TOKEN": token,
            "secrets.MMSYNC_PROFILES": "",
            "github.token": JOB_TOKEN,
            "github.action_path": str(ACTION.parent),
            "runner.temp": str(home / "temp"),
            "strategy.job-index": str(matrix[0]),
            "strategy.job-total": str(matrix[1]),
        }
        given = {
            key: workflow_steps.evaluate(value, context) if isinstance(value, str) else value
            for key, value in job["with"].items()
        }
        context |= workflow_steps.called_inputs(called, given)
        context[CHECKSUMS] = str(home / "temp/mmsync/models.sha256") if given.get("checksums") else ""
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin:/usr/bin:/bin"])
        for step in [step for each in called["jobs"].values() for step in each["steps"]]:
            if step.get("uses") != OWN_ACTION or "cancelled()" in step.get("if", ""):
                continue
            inputs = {key: workflow_steps.evaluate(str(value), context) for key, value in step["with"].items()}
            for part in workflow_steps.action_steps(workflow_steps.load_action(ACTION), inputs, context):
                ran = workflow_steps.run_step(part, checkout, home, context, path, runner)
                assert token not in ran.log + ran.summary + json.dumps(ran.outputs)
                if ran.status:
                    return ran
            if ran.outputs.get("has-changes") == "false":
                return ran  # as the job that follows has it
        return ran

    return run_workflow


@pytest.fixture
def held(server):
    """Ask the server which model has which image."""

    def ask():
        with create_client_from_token(server.url, TOKEN) as client:
            return {model["name"]: model["imageId"] for model in client.get_models()}

    return ask


def test_planning_finds_the_changes_and_makes_none(run, held, github):
    ran = run("plan.yml")
    assert ran.status == 0, ran.log
    plan = json.loads(Path(ran.outputs["plan-file"]).read_text())
    assert [(change["name"], change["action"]) for change in plan["changes"]] == [(name, "add") for name in NAMES]
    (comment,) = github.bodies(17)
    for text in (ran.log, ran.summary, comment):
        assert all(name in text for name in NAMES)
    assert (ran.outputs["changes"], ran.outputs["has-changes"]) == ("4", "true")
    assert ran.outputs["digest"] == plan["digest"] == read_header(comment).digest
    assert held() == {}


def test_a_merge_applies_what_was_reviewed_and_nothing_again(run, held, github):
    assert run("plan.yml").status == 0
    github.pull(17, HEAD, merge=MERGE)
    first = run("apply.yml")
    assert first.status == 0, first.log
    assert all(name in first.summary for name in NAMES)
    before = held()
    assert sorted(before) == NAMES
    assert read_header(github.bodies(17)[0]).state == "applied"
    again = run("apply.yml")
    assert again.status == 0, again.log
    assert again.outputs["changes"] == "0"
    assert held() == before


def test_a_merge_without_a_review_is_refused_and_a_repair_is_not(run, held, github):
    github.pull(17, HEAD, merge=MERGE)
    ran = run("apply.yml")
    assert (ran.status, ran.outputs["failure-reason"]) == (1, "no-plan")
    assert held() == {}
    ran = run("repair.yml")
    assert ran.status == 0, ran.log
    assert sorted(held()) == NAMES


def test_what_was_applied_is_listed_for_an_attestation(run, held, github, home, checkout):
    assert run("plan.yml").status == 0
    github.pull(17, HEAD, merge=MERGE)
    ran = run("attest.yml")
    assert ran.status == 0, ran.log
    listed = dict(reversed(line.split("  ")) for line in (home / "temp/mmsync/models.sha256").read_text().splitlines())
    assert sorted(listed) == sorted(held()) == NAMES
    entries = yaml.safe_load((checkout / "models.yaml").read_text())["models"]
    files = {entry["name"]: (checkout / entry["file"]).read_bytes() for entry in entries}
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_what_attests_gets_what_the_apply_kept():
    apply, attest = (workflow_steps.load(OURS / name) for name in ("apply.yml", "attest.yml"))
    (keep,) = (step for step in apply["jobs"]["apply"]["steps"] if step.get("id") == "checksums")
    *_, signs = attest["jobs"]["attest"]["steps"]
    assert signs["with"]["subject-checksums"] == keep["with"]["path"]
    assert apply["on"]["workflow_call"]["outputs"]["checksums"]["value"] == "${{ jobs.apply.outputs.checksums }}"
    assert apply["jobs"]["apply"]["outputs"]["checksums"] == "${{ steps.checksums.outputs.artifact-id }}"
    assert not any("uses: $/" in line for line in (OURS / "attest.yml").read_text().splitlines())


def test_drift_opens_an_issue_and_closes_it(run, github):
    assert run("drift.yml").status == 0
    (issue,) = github.issues.values()
    assert all(name in issue["body"] for name in NAMES)
    assert run("repair.yml").status == 0
    assert run("drift.yml").status == 0
    assert issue["state"] == "closed"


def test_an_edit_is_planned_by_name_and_reason_and_then_applied(run, held, checkout, github):
    assert run("repair.yml").status == 0
    before = held()
    manifest = checkout / "models.yaml"
    manifest.write_text(manifest.read_text().replace("Is this login an intruder's? CatBoost.", "Intruder or not?"))
    ran = run("plan.yml")
    [change] = json.loads(Path(ran.outputs["plan-file"]).read_text())["changes"]
    assert (change["name"], change["action"], change["reasons"]) == ("login_risk", "change", ["description"])
    github.pull(17, HEAD, merge=MERGE)
    ran = run("apply.yml")
    assert (ran.status, ran.outputs["changes"]) == (0, "1")
    assert held() == before  # a description uploads nothing


def test_every_job_of_a_fleet_plans_a_part_of_its_own(run, github):
    parts = []
    for index in range(4):
        ran = run("shards.yml", matrix=(index, 4))
        assert ran.status == 0, ran.log
        parts += [change["name"] for change in json.loads(Path(ran.outputs["plan-file"]).read_text())["changes"]]
    assert sorted(parts) == NAMES
    assert len({read_header(body).key for body in github.bodies(17)}) == 4


@pytest.mark.parametrize("path", CALLED, ids=lambda path: path.name)
def test_the_jobs_of_a_fleet_share_neither_turn_nor_ledger(path):
    shard = ("${{ inputs.shard-index }}", "${{ inputs.shard-count }}", "${{ inputs.environment }}")
    jobs = workflow_steps.load(path)["jobs"].values()
    caches = [step["with"] for job in jobs for step in job["steps"] if "actions/cache" in step.get("uses", "")]
    assert caches
    for text in [job["concurrency"]["group"] for job in jobs] + [cache["key"] for cache in caches]:
        assert all(part in text for part in shard)
    for cache in caches:
        first, *_ = cache["restore-keys"].splitlines()
        assert cache["key"].startswith(first)
        assert all(part in first for part in shard)


@pytest.mark.parametrize("name", ["plan.yml", "repair.yml", "drift.yml"])
def test_a_broken_manifest_fails_the_job_and_is_marked_in_the_file(run, held, checkout, name):
    manifest = checkout / "models.yaml"
    manifest.write_text(manifest.read_text().replace("description: Which", "descriptoin: Which"))
    line = 1 + manifest.read_text().splitlines().index(
        "    descriptoin: Which of four habits does this login follow? k-means."
    )
    ran = run(name)
    assert ran.status == 1
    assert f"::error file=models.yaml,line={line}," in ran.log
    assert "Traceback" not in ran.log
    assert held() == {}


@pytest.mark.parametrize("name", ["plan.yml", "repair.yml", "drift.yml"])
def test_a_wrong_token_fails_the_job(run, name):
    ran = run(name, token="not-the-token-of-the-test")
    assert ran.status == 1
    assert "Traceback" not in ran.log


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.name)
def test_what_people_copy_is_short_and_calls_what_is_there(path):
    assert sum(not line.lstrip().startswith("#") for line in path.read_text().splitlines()) <= 15
    for job in workflow_steps.load(path)["jobs"].values():
        called = workflow_steps.load(OURS / job["uses"].partition("@")[0].rpartition("/")[2])
        assert workflow_steps.called_inputs(called, job["with"])
        assert job.get("secrets", {}).keys() <= called["on"]["workflow_call"].get("secrets", {}).keys()
        asked = {scope for each in called["jobs"].values() for scope in each["permissions"].items()}
        assert asked == set(job["permissions"].items())


@pytest.mark.parametrize("path", CALLED, ids=lambda path: path.name)
def test_the_action_is_of_the_same_commit_and_has_the_inputs_it_is_given(path):
    inputs = workflow_steps.load_action(ACTION)["inputs"]
    steps = [step for job in workflow_steps.load(path)["jobs"].values() for step in job["steps"]]
    own = [step for step in steps if "mmsync" in step.get("uses", "")]
    assert own
    assert {step["uses"] for step in own} == {OWN_ACTION}
    assert all(step["with"].keys() <= inputs.keys() for step in own)


def test_the_action_tells_every_output_of_the_command():
    outputs = workflow_steps.load_action(ACTION)["outputs"]
    text = (ROOT / "tests" / "docs" / "help" / "ci.txt").read_text().partition("follow:\n")[2].partition("\n\n")[0]
    assert outputs.keys() == {line.split()[0] for line in text.splitlines()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_the_version_beside_it(path):
    lines = [line for line in path.read_text().splitlines() if "uses:" in line and OWN_ACTION not in line]
    assert lines
    assert [line for line in lines if not PINNED.search(line)] == []


def test_every_workflow_pins_an_action_to_the_same_commit():
    pins = {match.groups() for path in WORKFLOWS for match in PINNED.finditer(path.read_text())}
    assert len({action for action, _, _ in pins}) == len(pins)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_do_only_what_it_says(path):
    workflow = workflow_steps.load(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        granted = {scope for scope, right in job["permissions"].items() if right != "read"}
        rights = [{"issues"}] if "drift" in path.name else [{"pull-requests"}]
        rights += [{"attestations", "id-token"}] if "attest" in path.name else []  # never with another in one job
        if path in OWN:
            rights = list(RELEASING.values()) if path.name == "release.yml" else [set()]
        assert any(granted <= right for right in rights)
        assert "uses" in job or job["timeout-minutes"] <= 60
    assert "pull_request_target" not in workflow["on"]


@pytest.mark.parametrize("path", [*CALLED, OURS / "attest.yml", *OWN, ACTION], ids=lambda path: path.name)
def test_no_text_from_outside_stands_in_a_script(path):
    if path == ACTION:
        steps = workflow_steps.load_action(path)["runs"]["steps"]
    else:
        steps = [step for job in workflow_steps.load(path)["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_a_release_publishes_what_was_tested_and_each_job_may_write_one_place():
    release = workflow_steps.load(OURS / "release.yml")
    assert release["on"] == {"push": {"tags": ["v*"]}}
    jobs = release["jobs"]
    written = {
        name: {scope for scope, right in job["permissions"].items() if right == "write"} for name, job in jobs.items()
    }
    assert {name: scopes for name, scopes in written.items() if scopes} == RELEASING

    def before(name):
        needs = jobs[name].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(before, direct))

    assert all({"build", "tests", "everything"} <= before(name) for name in RELEASING)
    assert jobs["pypi"]["environment"]["name"] == "pypi"
    assert "PUBLISH_TO_PYPI" in jobs["pypi"]["if"]
    assert not [
        name for name, job in jobs.items() if name != "pypi" and ("environment" in job or "secrets." in str(job))
    ]
    builds = [step["run"] for job in jobs.values() for step in job["steps"] if "-m build" in step.get("run", "")]
    assert len(builds) == 1


def test_continuous_integration_tests_one_wheel_on_every_python_that_is_named():
    jobs = workflow_steps.load(OURS / "ci.yml")["jobs"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [each.rpartition(" :: ")[2] for each in project["classifiers"] if " :: Python :: 3." in each]
    assert jobs["tests"]["strategy"]["matrix"]["python-version"] == named
    released = workflow_steps.load(OURS / "release.yml")["jobs"]["tests"]
    assert released["strategy"]["matrix"]["python-version"] == named
    assert sum("-m build" in step.get("run", "") for job in jobs.values() for step in job["steps"]) == 1
    rooms = [room for each in jobs["portable"]["strategy"]["matrix"]["include"] for room in each["rooms"].split()]
    assert [room for room in rooms if not (ROOT / room).is_dir()] == []


def test_all_that_must_pass_is_asked_for():
    jobs = workflow_steps.load(OURS / "ci.yml")["jobs"]
    needed = jobs["passed"]["needs"]
    # A wheel that cannot be built fails the tests; the others are no condition of a merge, as is said beside them.
    assert set(needed) == jobs.keys() - {"passed", "versions", "wheel", "portable"}
    [step] = jobs["passed"]["steps"]
    assert step["run"].count("success") == len(needed)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_waits_for_ever_nor_runs_beside_itself(path):
    workflow = workflow_steps.load(path)
    assert workflow["concurrency"]["group"]
    assert all("name" in job and job["timeout-minutes"] <= 20 for job in workflow["jobs"].values())
    assert all(re.search(r"-\d", job["runs-on"]) or "matrix" in job["runs-on"] for job in workflow["jobs"].values())


def test_dependabot_keeps_all_that_is_pinned():
    settings = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    kept = {
        (each["package-ecosystem"], folder)
        for each in settings["updates"]
        for folder in each.get("directories", [each.get("directory")])
    }
    assert kept == {
        *(("github-actions", folder) for folder in ("/", "/.github/actions/mmsync", "/examples/github")),
        ("pip", "/.github/tools"),
        ("docker", "/examples/deploy"),
    }
    assert all(each["cooldown"]["default-days"] >= 7 and each["groups"] for each in settings["updates"])
    tools = (ROOT / ".github" / "tools" / "requirements.txt").read_text().splitlines()
    assert [line for line in tools if not line.startswith("#") and "==" not in line] == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck here")
def test_shellcheck_finds_nothing_in_a_script_of_a_workflow():
    paths = [*COPIED, *CALLED, *OWN, ACTION]
    ran = subprocess.run(
        [sys.executable, ROOT / ".github/tools/run_blocks.py", *paths], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "")


def test_applies_wait_for_one_another_and_for_the_environment():
    apply = workflow_steps.load(OURS / "apply.yml")["jobs"]["apply"]
    assert apply["concurrency"]["cancel-in-progress"] is False
    assert apply["environment"] == "${{ inputs.environment }}"
    assert apply["needs"] == "check"


def test_the_examples_call_this_version():
    for path in COPIED:
        assert set(re.findall(r"# v([\d.]+)$", path.read_text(), re.MULTILINE)) == {__version__}


def test_what_is_for_gitlab_is_yaml():
    jobs = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())
    assert jobs["apply"]["needs"] == ["plan"]
