"""``--audit`` on the command line: who made a run, as CI services and this machine tell."""

from __future__ import annotations

import json
import os
import pwd

import pytest

from mmsync.apply.audit import Origin
from mmsync.cli.audit import origin_of
from support.applying import json_bytes

ME = f"{pwd.getpwuid(os.getuid()).pw_name}@{os.uname().nodename}"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "o/r",
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_SHA": "c" * 40,
}
GITLAB = {
    "GITLAB_CI": "true",
    "GITLAB_USER_LOGIN": "tanuki",
    "CI_JOB_URL": "https://gitlab.example/g/p/-/jobs/9",
    "CI_PROJECT_PATH": "g/p",
    "CI_COMMIT_SHA": "d" * 40,
}


@pytest.mark.parametrize(
    ("environment", "origin"),
    [
        (GITHUB, Origin("octocat", "https://github.example/o/r/actions/runs/7/attempts/2", "o/r", "c" * 40)),
        (GITLAB, Origin("tanuki", "https://gitlab.example/g/p/-/jobs/9", "g/p", "d" * 40)),
        ({**GITLAB, "GITLAB_CI": ""}, Origin(ME)),
        ({"GITHUB_ACTIONS": "true"}, Origin(ME)),
        (
            {"GITLAB_CI": "true", "CI_JOB_URL": "https://u:p@gitlab.example/9?t=s"},
            Origin(ME, "https://***@gitlab.example/9?***"),
        ),
        ({}, Origin(ME)),
    ],
)
def test_who_made_a_run(environment, origin):
    assert origin_of(environment) == origin


@pytest.fixture
def one(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json")
    return desk


def test_a_job_says_so_in_every_line(one):
    for name, value in {**GITLAB, "MMSYNC_AUDIT": "audit.jsonl"}.items():
        one.environment.setenv(name, value)
    ran = one("apply")
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in (one.folder / "audit.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "change", "read-back"]
    assert {(line["actor"], line["run"], line["commit"]) for line in lines} == {
        ("tanuki", "https://gitlab.example/g/p/-/jobs/9", "d" * 40)
    }
    assert f"Digest: {lines[0]['digest']}\n" in ran.out


@pytest.mark.parametrize("command", ["apply", "watch"])
def test_a_record_that_is_asked_for_in_vain_is_a_mistake(one, command):
    ran = one(command, "--audit", "")
    assert (ran.code, ran.err.splitlines()[0]) == (1, "Error: --audit is empty: give it a value, or leave it out")
    one.environment.setenv("MMSYNC_AUDIT", "")
    ran = one(command)
    assert ran.code == 1
    assert ran.err.startswith("Error: MMSYNC_AUDIT is set, but to nothing")
    assert one.view.names() == []


def test_a_file_of_others_keeps_its_mode_and_its_lines(one):
    path = one.file("audit.jsonl", b'{"of": "others"}\n')
    path.chmod(0o640)
    assert one("apply", "--audit", "audit.jsonl").code == 0
    first, *rest = path.read_text().splitlines()
    assert (first, len(rest)) == ('{"of": "others"}', 3)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_plan_takes_none(one):
    assert one("plan", "--audit", "audit.jsonl").code == 1
    one.environment.setenv("MMSYNC_AUDIT", "audit.jsonl")
    assert one("plan").code == 0
    assert not (one.folder / "audit.jsonl").exists()
