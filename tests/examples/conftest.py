"""The quickstart as a repository, and a server for its models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.watching_fixtures import viewed_server  # noqa: F401  # pytest finds fixtures by name


@pytest.fixture
def checkout(tmp_path):
    """A repository as a user would keep it: models.yaml at the top, the models beside it."""
    top = tmp_path / "checkout"
    shutil.copytree(Path(__file__).parents[2] / "examples" / "quickstart", top)
    return top
