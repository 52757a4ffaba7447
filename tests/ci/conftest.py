"""GitHub and a Model Manager on loopback, and a job between them."""

from __future__ import annotations

import pytest

from support.applying import json_bytes
from support.github_job import Job
from support.github_stand_in import GitHubStandIn


@pytest.fixture
def github():
    made = GitHubStandIn()
    yield made
    made.close()


@pytest.fixture
def job(desk, github, tmp_path, monkeypatch):
    folder = tmp_path / "runner"
    folder.mkdir()
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json\nb BIGML a.json")
    return Job(desk, github, folder, monkeypatch)
