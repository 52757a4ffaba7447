"""Runs the steps of a GitHub Actions workflow on this machine, as the runner would.

Known so far: the ``run:`` steps of composite actions, their ``env:``, and expressions whose value the test gives.
An expression it was given no value for is an error, so that a test cannot pass by running an empty string.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path

# What the runner's documentation lists for each value of `shell:`.
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"]}
EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


@dataclass(frozen=True)
class Step:
    """One ``run:`` step of a composite action."""

    name: str
    script: str
    env: dict[str, str]
    shell: str


@dataclass(frozen=True)
class Ran:
    """What a step left behind: exit status, its log, the job's summary and the outputs it set."""

    status: int
    log: str
    summary: str
    outputs: dict[str, str]


def load(path: Path) -> dict:
    """Read a workflow; YAML 1.1 reads its key ``on`` as True, which is put right."""
    workflow = yaml.safe_load(path.read_text())
    workflow["on"] = workflow.pop(True)
    return workflow


def load_action(path: Path) -> dict:
    """Read a composite action."""
    return yaml.safe_load(path.read_text())


def action_steps(action: dict, given: dict[str, str], context: dict[str, str]) -> list[Step]:
    """Return the ``run:`` steps of a composite action with these inputs, its defaults where one is not given."""
    unknown = given.keys() - action["inputs"].keys()
    assert not unknown, f"the action has no inputs {unknown}"
    values = {
        f"inputs.{name}": given.get(name, evaluate(str(described.get("default", "")), context))
        for name, described in action["inputs"].items()
    }
    values["inputs.token || env.MMSYNC_TOKEN"] = values["inputs.token"]
    steps = []
    for step in action["runs"]["steps"]:
        env = {name: evaluate(str(text), {**context, **values}) for name, text in step["env"].items()}
        steps.append(Step(step["name"], step["run"], env, step["shell"]))
    return steps


def called_inputs(called: dict, given: dict[str, object]) -> dict[str, str]:
    """Return the inputs of a reusable workflow as its expressions name them."""
    described = called["on"]["workflow_call"]["inputs"]
    unknown = given.keys() - described.keys()
    assert not unknown, f"the workflow has no inputs {unknown}"
    values = {name: given.get(name, each["default"]) for name, each in described.items()}
    return {
        f"inputs.{name}": str(value).lower() if isinstance(value, bool) else value for name, value in values.items()
    }


def evaluate(text: str, values: dict[str, str]) -> str:
    """Put values in the place of the expressions in ``text``."""
    return EXPRESSION.sub(lambda match: values[match[1]], text)


def run_step(
    step: Step, checkout: Path, home: Path, values: dict[str, str], path: str, runner: dict[str, str] | None = None
) -> Ran:
    """Run one step in ``checkout`` with an environment of its own, and files for summary and outputs under ``home``."""
    summary, outputs, script = (home / name for name in ("summary.md", "outputs", "step.sh"))
    for file in (summary, outputs):
        file.write_text("")
    script.write_text(evaluate(step.script, values))
    environment = {
        "PATH": path,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(outputs),
        **(runner or {}),
        **{name: evaluate(str(value), values) for name, value in step.env.items()},
    }
    done = subprocess.run(
        [*SHELLS[step.shell], str(script)],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, summary.read_text(), read_outputs(outputs.read_text()))


def read_outputs(text: str) -> dict[str, str]:
    """Read a file of step outputs: ``name=value`` lines, and ``name<<DELIMITER`` blocks up to that delimiter."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        block = re.fullmatch(r"([^=<]+)<<(.+)", line)
        if block:
            value: list[str] = []
            while (inner := next(lines)) != block[2]:
                value.append(inner)
            found[block[1]] = "\n".join(value)
        else:
            name, _, value_text = line.partition("=")
            found[name] = value_text
    return found
