"""The page of ``mmsync ci`` names every option, variable, input and output, and shows workflows as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mmsync import help as pages
from mmsync.cli.ci import ci

ROOT = Path(__file__).parents[2]
TEXT = pages.page("ci")
CODES = set(re.findall(r"`([^`\n]+)`", TEXT))
WORKFLOWS = ["plan", "apply", "drift", "attest"]


def read(path):
    # The key `on` is true to YAML 1.1.
    return {str(key): value for key, value in yaml.safe_load((ROOT / path).read_text("utf-8")).items()}


@pytest.mark.parametrize("name", sorted(ci.commands))
def test_every_option_and_variable_of_a_command_is_named(name):
    command = ci.commands[name]
    assert f"mmsync ci {name}" in CODES
    for param in command.params:
        words = [word for word in (*param.opts, *param.secondary_opts) if word.startswith("--")]
        variables = [param.envvar] if isinstance(param.envvar, str) else param.envvar or []
        words += [variable for variable in variables if variable.startswith("MMSYNC_CI")]
        assert [word for word in words if word not in CODES] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_input_output_and_secret_of_a_workflow_is_named(name):
    called = read(f".github/workflows/{name}.yml")["True"]["workflow_call"]
    named = set(called["inputs"]) | set(called.get("outputs", ())) | set(called.get("secrets", ()))
    assert {word for word in named if word not in CODES} == set()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_do_what_the_page_says(name):
    jobs = read(f".github/workflows/{name}.yml")["jobs"]
    needed = {f"{scope}: {right}" for job in jobs.values() for scope, right in job["permissions"].items()}
    [row] = re.findall(rf"^\| `{name}\.yml` \| [^|]+ \| (.*) \|$", TEXT, re.MULTILINE)
    assert set(re.findall(r"`([^`]+)`", row)) == needed


def test_every_input_and_output_of_the_action_is_named():
    action = read(".github/actions/mmsync/action.yml")
    assert {word for word in (*action["inputs"], *action["outputs"]) if word not in CODES} == set()


def test_the_workflow_and_the_jobs_it_shows_are_those_of_the_examples():
    shown = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)]
    workflow, gitlab, hooks = shown
    example = yaml.safe_load((ROOT / "examples/github/plan.yml").read_text("utf-8"))
    example["jobs"]["plan"]["uses"] = re.sub("@0+$", "@COMMIT", example["jobs"]["plan"]["uses"])
    assert workflow == example
    pipeline = read("examples/github/gitlab-ci.yml")
    assert {name: job["script"] for name, job in gitlab.items()} == {name: pipeline[name]["script"] for name in gitlab}
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hooks["repos"][0]["hooks"] == [{"id": hook["id"]}]
