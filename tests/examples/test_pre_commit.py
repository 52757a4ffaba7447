"""The hook that pre-commit finds in this repository does what its description says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
# Of https://pre-commit.com/#creating-new-hooks.
REQUIRED = {"id": str, "name": str, "entry": str, "language": str}
OPTIONAL = {"description": str, "files": str, "pass_filenames": bool, "minimum_pre_commit_version": str}


@pytest.fixture
def commit(checkout, tmp_path):
    """Run the hook as pre-commit does: at the top of the repository, its entry split into words, then its arguments, and no file names."""
    [hook] = HOOKS

    def run(*arguments):
        assert hook["pass_filenames"] is False
        program, *words = hook["entry"].split()
        return subprocess.run(
            [Path(sys.executable).with_name(program), *words, *arguments],
            cwd=checkout,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8", "PRE_COMMIT": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_manifest_of_hooks_has_the_keys_that_pre_commit_wants():
    for hook in HOOKS:
        assert hook.keys() >= REQUIRED.keys()
        for key, value in hook.items():
            assert isinstance(value, {**REQUIRED, **OPTIONAL}[key])
        assert hook["language"] == "python"  # the only one that installs what pyproject.toml describes
    assert [hook["id"] for hook in HOOKS] == ["mmsync-validate"]


@pytest.mark.parametrize(
    ("path", "is_meant"),
    [
        ("models.yaml", True),
        ("teams/fraud/models.yml", True),
        ("models/login_risk.cbm", True),
        ("models/login_odds.zip", True),
        ("models/domain_dga.onnx", True),
        ("README.md", False),
        ("old-models.yaml", False),
        ("onnx/notes.txt", False),
    ],
)
def test_it_runs_where_a_manifest_or_a_model_changes(path, is_meant):
    [hook] = HOOKS
    assert bool(re.search(hook["files"], path)) is is_meant


def test_a_valid_manifest_may_be_committed(commit):
    ran = commit()
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_broken_manifest_may_not_and_says_where(commit, checkout):
    manifest = checkout / "models.yaml"
    manifest.write_text(manifest.read_text().replace("description: Which", "descriptoin: Which"))
    ran = commit()
    assert ran.returncode == 1
    assert re.search(r"^models\.yaml:\d+:\d+: .*did you mean description", ran.stderr, re.MULTILINE)


def test_a_model_that_is_cut_off_may_not(commit, checkout):
    model = checkout / "models" / "domain_dga.onnx"
    model.write_bytes(model.read_bytes()[:-100])
    ran = commit()
    assert ran.returncode == 1
    assert "domain_dga.onnx" in ran.stderr


def test_another_manifest_is_named_by_an_argument(commit, checkout):
    (checkout / "fraud.yaml").write_text("version: 1\nmodels:\n  - name: m\n")
    ran = commit("--file", "fraud.yaml")
    assert ran.returncode == 1
    assert "fraud.yaml:3:" in ran.stderr
