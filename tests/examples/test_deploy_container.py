"""The container image: what its Dockerfile promises stands in it, and mmsync runs in what it makes of a machine.

No image is built here. The commands run with the image's environment, as its user, on a root that is read-only.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest
import requests

from support.read_only import read_only

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "examples" / "deploy" / "Dockerfile"
ADMITTED = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
NAMES = ["domain_dga", "login_odds", "login_profile", "login_risk"]


class Instruction(NamedTuple):
    """One instruction of a Dockerfile, its lines joined."""

    word: str
    rest: str


def read_dockerfile(path):
    """The stages of a Dockerfile, each a list of instructions that begins with its FROM."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    stages = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append(Instruction(word, " ".join(rest.split())))
    return stages


STAGES = read_dockerfile(DOCKERFILE)
FINAL = STAGES[-1]


def said(word, stage=FINAL):
    return [each.rest for each in stage if each.word == word]


def image_environment():
    """What ENV sets, PATH aside."""
    pairs = [word.partition("=") for rest in said("ENV") for word in shlex.split(rest)]
    return {name: value for name, _, value in pairs if name != "PATH"}


def test_every_stage_begins_with_the_base_pinned_by_its_digest_or_with_another_stage():
    named = set()
    for stage in STAGES:
        base, *alias = said("FROM", stage)[0].split(" AS ")
        assert base in named | {"scratch"} or re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
        named |= set(alias)


def test_it_runs_as_a_user_by_number_and_stops_as_mmsync_does():
    assert said("USER") == ["65533:65533"]
    assert said("STOPSIGNAL") == ["SIGTERM"]
    assert said("HEALTHCHECK") == ["NONE"]
    assert json.loads(said("ENTRYPOINT")[0]) == ["mmsync"]  # no shell in between, that would keep the signal
    assert not [each for each in FINAL if each.word in ("ADD", "EXPOSE")]


def test_all_it_writes_to_is_one_volume():
    [volume] = said("VOLUME")
    environment = image_environment()
    assert "HOME" not in environment
    places = {name: value for name, value in environment.items() if value.startswith("/")}
    assert places.keys() == {"MMSYNC_CACHE_DIR", "MMSYNC_LOCK_DIR", "TMPDIR"}
    assert all(PurePosixPath(value).is_relative_to(volume) for value in places.values())


def admitted(path):
    """Whether a path of the checkout is sent to be built: the last line that fits decides."""
    sent = True
    for line in filter(None, ADMITTED):
        pattern = line.removeprefix("!")
        if line.startswith("#"):
            continue
        parents = [path, *map(str, PurePosixPath(path).parents)]
        if any(fnmatch.fnmatch(each, pattern) or fnmatch.fnmatch(f"/{each}", f"*/{pattern}") for each in parents):
            sent = line.startswith("!")
    return sent


def test_what_it_copies_is_there_and_is_sent_and_is_all_that_a_wheel_needs():
    copied = [
        source
        for stage in STAGES
        for rest in said("COPY", stage)
        if not rest.startswith("--from=")
        for source in rest.split()[:-1]
    ]
    for source in copied:
        assert (ROOT / source).exists()
        assert admitted(source)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needed = ["pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]]
    needed += project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed += [project["tool"]["hatch"]["version"]["path"]]
    for path in needed:
        assert any(PurePosixPath(path).is_relative_to(source) for source in copied), path
    for path in (".git/config", "models.yaml", "tests/conftest.py", ".venv/bin/python"):
        assert not admitted(path)


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def contained(state):
    """Start mmsync as the image's entry point does, with the models of the quickstart as its working folder."""
    starter = read_only(state)
    [volume] = said("VOLUME")
    environment = {name: value.replace(volume, str(state)) for name, value in image_environment().items()}
    started = []

    def start(*words, **variables):
        process = subprocess.Popen(
            [*starter, str(Path(sys.executable).with_name("mmsync")), *words],
            cwd=ROOT / "examples" / "quickstart",
            env={"PATH": "/usr/bin:/bin", **environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ended(contained, server):
    """Run it to its end with the server and its token in the environment; return its stdout. Nothing is to be warned of."""

    def run(*words):
        process = contained(*words, MMSYNC_URL=server.url, MMSYNC_TOKEN=server.token)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "warning" not in err.lower()
        return out

    return run


def test_plan_apply_and_validate_need_nothing_but_the_volume(ended, server, state):
    assert "4 models in 1 manifest are valid" in ended("validate")
    assert "Plan: 4 to add" in ended("plan")
    assert "Applied: 4 added" in ended("apply")
    assert server.names() == NAMES
    assert "No changes" in ended("apply")  # the ledger was kept
    assert sorted(path.name for path in state.iterdir()) == ["ledger", "locks"]


def test_one_pass_of_watch_needs_nothing_but_the_volume(ended, server):
    ended("watch", "--once", "--settle", "0.2")
    assert server.names() == NAMES


def test_watch_ends_by_the_signal_of_the_image(contained, server):
    process = contained(
        "watch", "--settle", "0.2", "--log-format", "json", MMSYNC_URL=server.url, MMSYNC_TOKEN=server.token
    )
    events = (json.loads(line)["event"] for line in process.stderr)
    assert "reconciled" in events  # reads up to it
    process.send_signal(signal.Signals[said("STOPSIGNAL")[0]])
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert server.names() == NAMES


def test_serve_keeps_its_models_in_a_volume(contained, state):
    process = contained("serve", str(state / "models"), "--port", "0", MMSYNC_TOKEN="token-of-the-container")
    url = process.stdout.readline().strip().removeprefix("MMSYNC_URL=")
    answer = requests.get(f"{url}/models", headers={"standAloneToken": "token-of-the-container"}, timeout=10)
    assert answer.json() == []
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
