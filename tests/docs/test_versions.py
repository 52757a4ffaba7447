"""The versions that tests and lint run on are pinned, so that nobody else's release turns them red."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
NAMED = [
    Requirement(text)
    for texts in (PYPROJECT["project"]["dependencies"], PYPROJECT["build-system"]["requires"], *EXTRAS.values())
    for text in texts
    if not text.startswith("mmsync[")
]
PINS = [
    Requirement(line)
    for line in (ROOT / "tests/constraints.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("named", NAMED, ids=str)
def test_what_the_project_names_has_a_lower_bound_and_is_pinned_within_its_range(named):
    assert any(bound.operator in (">=", "==") for bound in named.specifier)
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(named.name)]
    assert pins
    for pin in pins:
        [exact] = pin.specifier
        assert exact.operator == "=="
        assert exact.version in named.specifier


def test_the_command_of_the_readme_and_every_pip_of_ci_use_the_pins():
    commands = [
        line.strip()
        for page in ("README.md", ".github/workflows/ci.yml", ".github/workflows/release.yml")
        for line in (ROOT / page).read_text("utf-8").splitlines()
        if "[dev]" in line
    ]
    assert len(commands) == 4
    assert all("-c tests/constraints.txt" in command for command in commands)


def test_what_the_source_imports_from_outside_is_named():
    import ast
    import sys

    imported = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    imported -= {*sys.stdlib_module_names, "mmsync"}
    distributions = {"yaml": "pyyaml", "python_multipart": "python-multipart", "google": "protobuf"}
    named = {canonicalize_name(requirement.name) for requirement in NAMED}
    assert {canonicalize_name(distributions.get(name, name)) for name in imported} <= named
