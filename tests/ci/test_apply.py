"""``mmsync ci apply`` and ``digest``: what was reviewed is applied, and nothing else."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest

from mmsync.ci.header import read_header
from mmsync.plan import Selection
from support.applying import json_bytes
from support.fault_proxy import FaultProxy, status
from support.github_job import HEAD, MERGE, NEXT, PULL


@pytest.fixture
def reviewed(job):
    """A pull request whose plan was reviewed, and which was merged."""
    job.on_pull_request()
    assert job("plan").code == 0
    job.digest = job.outputs["digest"]
    job.merge()
    return job


def held(job):
    return sorted(model["name"] for model in job.desk.client().get_models())


def test_a_merge_applies_what_was_reviewed_and_the_comment_says_so(reviewed):
    assert reviewed("apply").code == 0
    assert held(reviewed) == ["a", "b"]
    assert reviewed.outputs["pull-request"] == str(PULL)
    header = read_header(reviewed.body)
    assert (header.state, header.digest, header.commit, header.plan_commit) == ("applied", reviewed.digest, MERGE, HEAD)
    result, _, plan = reviewed.body.partition("<summary>The plan that was reviewed")
    assert "## mmsync apply: 2 added" in result
    assert "## mmsync plan: 2 to add" in plan
    assert reviewed.summary.startswith("## mmsync apply: 2 added")


def test_a_backup_is_kept_where_the_environment_says_and_the_summary_and_the_comment_say_the_undo(
    job, tmp_path, monkeypatch
):
    assert job.desk("apply").code == 0
    was = job.desk.view.digests()
    job.desk.file("a.json", json_bytes("newer"))
    job.on_pull_request()
    assert job("plan").code == 0
    job.merge()
    folder = tmp_path / "kept"
    monkeypatch.setenv("MMSYNC_BACKUP", str(folder))
    assert job("apply").code == 0
    (run,) = folder.glob("2*")
    undo = f"Undo: `mmsync apply -f {run}/models.yaml --url {job.desk.url}`\n"
    assert undo in job.summary
    assert undo in job.body
    assert job.desk("apply", "-f", run / "models.yaml").code == 0
    assert job.desk.view.digests() == was


def test_the_comment_says_that_it_is_being_applied(reviewed, github):
    states = []
    github.before_write = lambda: states.append(read_header(reviewed.body).state)
    reviewed("apply")
    assert [*states, read_header(reviewed.body).state] == ["planned", "applying", "applied"]


def test_the_digest_is_printed(reviewed):
    ran = reviewed("digest")
    assert (ran.code, ran.out) == (0, f"{reviewed.digest}\n")
    assert reviewed.outputs == {"digest": reviewed.digest, "pull-request": str(PULL)}


def test_a_server_that_is_another_since_refuses_with_both_plans_beside_each_other(reviewed):
    reviewed.desk.client().add_model("a", "BIGML", str(reviewed.desk.file("other.json", json_bytes("o"))))
    assert reviewed("apply").code == 1
    assert reviewed.outputs["failure-reason"] == "digest-differs"
    assert held(reviewed) == ["a"]
    for text in (reviewed.body, reviewed.summary):
        assert "### mmsync: not applied" in text
        now, _, before = text.partition("<summary>The plan that was reviewed")
        assert "<summary>What would be done now</summary>" in now
        assert "1 to add, 1 to change" in now
        assert "2 to add, 0 to change" in before
    # What was reviewed is known still: the server put back as it was, running it again applies.
    assert read_header(reviewed.body).digest == reviewed.digest
    reviewed.desk.client().delete_model("a")
    assert reviewed("apply").code == 0
    assert read_header(reviewed.body).state == "applied"


def test_where_nothing_is_left_to_change_all_is_well(reviewed):
    reviewed.desk("apply")
    assert reviewed("apply").code == 0
    assert "Nothing was left to change" in reviewed.body
    assert read_header(reviewed.body).state == "applied"


def test_an_unbound_apply_does_what_is_listed_now(reviewed, monkeypatch):
    reviewed.desk.client().add_model("a", "BIGML", str(reviewed.desk.file("other.json", json_bytes("o"))))
    monkeypatch.setenv("MMSYNC_CI_BIND", "false")
    assert reviewed("apply").code == 0
    assert held(reviewed) == ["a", "b"]
    assert read_header(reviewed.body).state == "applied"


def test_an_unbound_apply_needs_no_github(job, github, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN")
    job.on_push()
    assert job("apply", "--no-bind").code == 0
    assert held(job) == ["a", "b"]
    assert github.requests == []


@pytest.mark.parametrize("command", ["apply", "digest"])
class TestRefusals:
    def refused(self, job, command, reason, *, says=""):
        ran = job(command, "--wait", "0")
        assert ran.code == 1
        assert job.outputs["failure-reason"] == reason
        assert says in ran.err
        assert held(job) == []

    def test_a_commit_that_merged_nothing(self, reviewed, command):
        reviewed.on_push("d" * 40)
        self.refused(reviewed, command, "no-pull-request", says="no pull request was merged as commit dddddddddddd")

    def test_a_commit_that_merged_into_another_branch(self, reviewed, command):
        reviewed.on_push(MERGE, branch="release")
        self.refused(reviewed, command, "no-pull-request")

    def test_a_pull_request_that_is_not_merged(self, reviewed, github, command):
        github.pull(PULL, HEAD)
        self.refused(reviewed, command, "no-pull-request")

    def test_several_pull_requests(self, reviewed, github, command):
        github.pull(18, HEAD, merge=MERGE)
        self.refused(reviewed, command, "several-pull-requests", says="#17, #18")

    def test_no_plan(self, job, command):
        job.merge()
        self.refused(job, command, "no-plan")

    def test_a_plan_of_a_commit_before(self, reviewed, command):
        reviewed.merge(NEXT)
        self.refused(reviewed, command, "plan-outdated", says="is of commit aaaaaaaaaaaa, and bbbbbbbbbbbb was merged")

    def test_a_plan_that_failed(self, reviewed, command):
        manifest = Path("models.yaml").read_text()
        reviewed.on_pull_request()
        reviewed.desk.manifest("a BIGML gone.json")
        reviewed("plan")
        Path("models.yaml").write_text(manifest)
        reviewed.merge()
        self.refused(reviewed, command, "plan-failed")

    def test_a_header_in_the_comment_of_another(self, reviewed, github, command):
        copy = reviewed.body
        github.comments[PULL].clear()
        github.comment(PULL, copy, "mallory")
        self.refused(reviewed, command, "no-plan")
        assert github.bodies(PULL, "mallory") == [copy]

    @pytest.mark.parametrize("code", [403, 422])
    def test_github_that_does_not_answer(self, reviewed, github, command, code):
        github.fail("GET .*/commits/", code, times=9)
        self.refused(reviewed, command, "github-unavailable")

    def test_a_plan_for_another_server(self, reviewed, command):
        with FaultProxy(reviewed.desk.url) as proxy:
            ran = reviewed(command, "--url", proxy.url)
        assert (ran.code, reviewed.outputs["failure-reason"]) == (1, "no-plan")


def test_what_github_learns_late_is_waited_for(reviewed, github, monkeypatch):
    monkeypatch.setattr("mmsync.cli.ci_flows._POLL", 0.01)
    known = github.commits.pop(MERGE)
    asked = []

    def learn(method, path, token, body, answer=github.answer):
        asked.append(path)
        if len([each for each in asked if "/commits/" in each]) == 3:
            github.commits[MERGE] = known
        return answer(method, path, token, body)

    github.answer = learn
    assert reviewed("digest").code == 0


@pytest.mark.parametrize("way", ["rebase", "fast-forward"])
def test_every_way_to_merge_is_known_by_its_last_commit(way, reviewed, github):
    # Others have the commit as well: a pull request that was merged into the branch of this one.
    github.pull(16, "e" * 40, merge="9" * 40)
    github.commits[MERGE].append(16)
    if way == "fast-forward":
        github.pull(PULL, HEAD, merge="8" * 40)
        github.commits[HEAD] = [PULL]
        reviewed.on_push(HEAD)
    assert reviewed("digest").out == f"{reviewed.digest}\n"


def test_deletes_need_the_label(job):
    job.desk("apply")
    job.desk.manifest("a BIGML a.json")
    words = ["--args", "--prune", "--delete-label", "delete-models"]
    job.on_pull_request(labels=("delete-models",))
    assert job("plan", *words).code == 0
    job.merge()
    assert job("apply", *words).code == 1
    assert job.outputs["failure-reason"] == "delete-label-missing"
    assert held(job) == ["a", "b"]
    job.github.commits.clear()
    job.merge(labels=("delete-models",))
    assert job("apply", *words).code == 0
    assert held(job) == ["a"]


def test_an_apply_that_fails_half_way_says_what_was_done(reviewed):
    with FaultProxy(reviewed.desk.url) as proxy:
        reviewed.on_pull_request()
        reviewed("plan", "--url", proxy.url)
        reviewed.merge(commit="7" * 40)
        proxy.on("save", status(500, {"code": 9000, "msg": "out of memory"}), name="b")
        assert reviewed("apply", "--url", proxy.url).code == 1
    assert reviewed.outputs["failure-reason"] == "apply-failed"
    body = reviewed.github.bodies(PULL)[-1]
    assert read_header(body).state == "not-applied"
    assert "1 failed" in body
    assert "out of memory" in body
    assert "Nothing was written" not in body


def test_what_an_environment_approved_is_what_is_applied(reviewed):
    assert reviewed("apply", "--check", "--out", "kept.json").code == 0
    assert held(reviewed) == []
    assert reviewed.outputs["plan-file"] == "kept.json"
    assert read_header(reviewed.body).state == "planned"
    assert reviewed("apply", "--plan", "kept.json", "--args", "--jobs 2").code == 0
    assert held(reviewed) == ["a", "b"]
    assert read_header(reviewed.body).state == "applied"


def test_a_shard_is_applied_as_it_was_reviewed(reviewed):
    shard = ("--shard-index", "1", "--shard-count", "2")
    reviewed.on_pull_request()
    assert reviewed("plan", *shard).code == 0
    reviewed.merge()
    assert reviewed("apply", *shard, "--check", "--out", "kept.json").code == 0
    assert reviewed("apply", *shard, "--plan", "kept.json").code == 0
    assert held(reviewed) == [name for name in ("a", "b") if name in Selection(shard=(2, 2))]
    reviewed.on_pull_request()
    assert reviewed("plan", "--shard-index", "0", "--shard-count", "2").code == 0
    reviewed.merge()
    assert reviewed("apply", "--shard-index", "0", "--shard-count", "2").code == 0
    assert held(reviewed) == ["a", "b"]


@pytest.mark.parametrize(
    "variables",
    [
        {"MMSYNC_SHARD": "1/2"},
        {"MMSYNC_SHARD_INDEX": "0", "MMSYNC_SHARD_COUNT": "2"},
        {"MMSYNC_CI_SHARD_INDEX": "0", "MMSYNC_CI_SHARD_COUNT": "2"},
    ],
)
def test_a_shard_of_the_environment_is_applied_as_it_was_approved(variables, job, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    job.desk.manifest("a BIGML a.json\nd BIGML a.json")
    assert [name for name in ("a", "d") if name in Selection(shard=(1, 2))] == ["a"]
    job.on_pull_request()
    assert job("plan").code == 0
    job.merge()
    assert job("apply", "--check", "--out", "kept.json").code == 0
    ran = job("apply", "--plan", "kept.json")
    assert ran.code == 0, ran.err
    assert held(job) == ["a"]


def test_a_server_that_changes_while_the_approval_is_waited_for_refuses(reviewed):
    reviewed("apply", "--check", "--out", "kept.json")
    reviewed.desk.client().add_model("a", "BIGML", str(reviewed.desk.file("other.json", json_bytes("o"))))
    assert reviewed("apply", "--plan", "kept.json", "--out", "now.json").code == 1
    assert reviewed.outputs["failure-reason"] == "digest-differs"
    assert "1 to add, 1 to change" in reviewed.body
    assert held(reviewed) == ["a"]


@pytest.mark.parametrize("words", [[], ["--plan", "kept.json"]])
def test_an_apply_that_cannot_begin_blames_no_change_of_the_server(words, reviewed, monkeypatch):
    reviewed("apply", "--check", "--out", "kept.json")
    monkeypatch.setenv("MMSYNC_AUDIT", "gone/audit.jsonl")
    assert reviewed("apply", *words).code == 1
    assert reviewed.outputs["failure-reason"] == "apply-failed"
    assert "no longer what the plan was made from" not in reviewed.body
    assert read_header(reviewed.body).state == "not-applied"
    assert held(reviewed) == []


def test_another_plan_than_the_reviewed_one_is_refused(reviewed):
    reviewed.desk("plan", "--out", "other.json", "--target", "a")
    assert reviewed("apply", "--plan", "other.json").code == 1
    assert reviewed.outputs["failure-reason"] == "digest-differs"
    assert held(reviewed) == []


def test_a_cancelled_apply_says_so(reviewed):
    asked, end = threading.Event(), threading.Event()

    def never(_exchange):
        asked.set()
        end.wait(60)

    with FaultProxy(reviewed.desk.url) as proxy:
        reviewed.on_pull_request()
        reviewed("plan", "--url", proxy.url)
        reviewed.merge(commit="7" * 40)
        proxy.on("any", never)
        child = reviewed.start("apply", "--url", proxy.url)
        try:
            assert asked.wait(60)
            child.send_signal(signal.SIGINT)
            code, log = reviewed.finish(child)
        finally:
            end.set()
    assert code == 130, log
    assert reviewed.outputs["failure-reason"] == "cancelled"
    assert read_header(reviewed.github.bodies(PULL)[-1]).state == "not-applied"


def test_an_apply_that_is_cancelled_half_way_ends_by_the_signal_it_got(reviewed):
    end = threading.Event()
    with FaultProxy(reviewed.desk.url) as proxy:
        reviewed.on_pull_request()
        reviewed("plan", "--url", proxy.url)
        reviewed.merge(commit="7" * 40)
        asked = threading.Event()

        def late(exchange):
            asked.set()
            end.wait(60)
            exchange.answer(exchange.forward())

        proxy.on("save", late)
        child = reviewed.start("apply", "--url", proxy.url)
        try:
            assert asked.wait(60)
            child.send_signal(signal.SIGINT)
            assert any("Stopping" in line for line in child.stderr)
        finally:
            end.set()
        code, log = reviewed.finish(child)
    assert code == 130, log
    assert reviewed.outputs["failure-reason"] == "cancelled"


def test_a_comment_of_other_steps_is_the_same_comment(job, github):
    job.on_pull_request()
    job("plan")
    job.desk("plan", "--out", "plan.json", "--target", "a")
    report = job.desk("plan", "--target", "a", "--format", "markdown").out
    Path("plan.md").write_text(report)
    assert job("comment", "--state", "planned", "--plan", "plan.json", "--report", "plan.md").code == 0
    assert read_header(job.body).digest == json.loads(Path("plan.json").read_text())["digest"]
    assert job("comment", "--state", "cancelled", "--reason", "by @octocat").code == 0
    assert read_header(job.body).state == "cancelled"
    assert "`by @octocat`" in job.body
    assert job("comment", "--state", "planned").code == 1
