"""``mmsync ci drift``: one issue while the server differs, closed when it does not."""

from __future__ import annotations

import pytest

from mmsync.ci.header import read_header
from support.applying import json_bytes


@pytest.fixture
def drifted(job):
    job.desk("apply")
    job.on_push()
    job.desk.client().add_model("a", "BIGML", str(job.desk.file("other.json", json_bytes("o"))), force=True)
    return job


def opened(github):
    return [each for each in github.issues.values() if each["state"] == "open"]


def test_an_issue_is_opened_updated_and_closed(drifted, github):
    assert drifted("drift").code == 0
    assert drifted.outputs["has-changes"] == "true"
    (issue,) = opened(github)
    first = read_header(issue["body"])
    assert "1 to change" in issue["body"]
    assert first.since == first.time
    assert drifted.outputs["comment-url"] == issue["html_url"]

    drifted.desk.client().delete_model("b")
    assert drifted("drift").code == 0
    assert opened(github) == [issue]
    assert read_header(issue["body"]).since == first.since
    assert "1 to add, 1 to change" in issue["body"]

    drifted.desk("apply")
    assert drifted("drift").code == 0
    assert opened(github) == []
    (said,) = github.comments[issue["number"]]
    assert "### mmsync: in sync" in said["body"]

    drifted.desk.client().delete_model("b")
    assert drifted("drift").code == 0
    (again,) = opened(github)
    assert again["number"] != issue["number"]


def test_where_nothing_differs_nothing_is_written(job, github):
    job.desk("apply")
    job.on_push()
    assert job("drift").code == 0
    assert job.outputs["has-changes"] == "false"
    assert {method for method, _, _ in github.requests} == {"GET"}


def test_a_plan_that_fails_leaves_the_issue_open(drifted, github, monkeypatch):
    drifted("drift")
    monkeypatch.setenv("MMSYNC_TOKEN", "another")
    assert drifted("drift").code == 1
    assert drifted.outputs["failure-reason"] == "plan-failed"
    assert len(opened(github)) == 1


def test_the_issue_of_another_is_not_ours(drifted, github):
    drifted("drift")
    (issue,) = opened(github)
    issue["user"]["login"] = "mallory"
    drifted.desk("apply")
    assert drifted("drift").code == 0
    assert opened(github) == [issue]


def test_each_environment_has_its_issue(drifted, github):
    drifted("drift", "--environment", "one")
    drifted("drift", "--environment", "two")
    drifted("drift", "--environment", "two")
    assert len(opened(github)) == 2


def test_an_issue_that_cannot_be_written_is_a_notice(drifted, github):
    github.fail("POST .*/issues$", 403)
    ran = drifted("drift")
    assert ran.code == 0
    assert "::notice" in ran.err
