"""``mmsync ci plan`` on pull requests: one comment, what becomes of it, and who may not be told."""

from __future__ import annotations

import re
import signal
import threading

import pytest
from markdown_it import MarkdownIt

from mmsync.ci.header import read_header
from support.fault_proxy import FaultProxy
from support.github_job import HEAD, NEXT, PULL
from support.github_stand_in import BOT


def notices(ran, kind="notice"):
    return [line for line in ran.err.splitlines() if line.startswith(f"::{kind} ")]


def number_of(github):
    (comment,) = [each for each in github.comments[PULL] if each["user"]["login"] == BOT]
    return comment["id"]


def test_the_first_run_makes_the_comment_and_the_second_edits_it(job, github):
    job.on_pull_request()
    assert job("plan").code == 0
    first = number_of(github)
    header = read_header(job.body)
    assert (header.state, header.digest, header.commit) == ("planned", job.outputs["digest"], HEAD)
    assert "## mmsync plan: 2 to add" in job.body
    assert "[run 501, attempt 1](https://github.example/acme/models/actions/runs/501)" in job.body
    assert job.outputs["comment-url"].endswith(str(first))
    assert (job.outputs["changes"], job.outputs["has-changes"]) == ("2", "true")
    assert job.summary.startswith("## mmsync plan: 2 to add")

    job.desk.manifest("a BIGML a.json")
    job.on_pull_request(NEXT)
    assert job("plan").code == 0
    assert number_of(github) == first
    assert read_header(job.body).commit == NEXT
    assert "1 to add" in job.body
    assert "2 to add" not in job.body


def test_a_plan_without_changes_says_so(job):
    job.desk("apply")
    job.on_pull_request()
    assert job("plan").code == 0
    assert (job.outputs["changes"], job.outputs["has-changes"]) == ("0", "false")
    assert "No changes" in job.body


@pytest.mark.parametrize("broken", ["manifest", "server"])
def test_a_plan_that_fails_marks_the_comment_and_keeps_the_plan_before_as_outdated(broken, job, monkeypatch):
    job.on_pull_request()
    job("plan")
    job.on_pull_request(NEXT)
    if broken == "manifest":
        job.desk.manifest("a BIGML gone.json")
    else:
        monkeypatch.setenv("MMSYNC_TOKEN", "another-token")
    for _ in range(2):  # a second failure keeps it just so
        assert job("plan").code == 1
        assert job.outputs["failure-reason"] == {"manifest": "invalid-manifest", "server": "plan-failed"}[broken]
        header = read_header(job.body)
        assert (header.state, header.digest, header.commit, header.plan_commit) == ("failed", "", NEXT, HEAD)
        assert "### mmsync: the plan failed" in job.body
        before, _, fold = job.body.partition("<summary>Outdated: the plan of commit <code>aaaaaaaaaaaa</code>")
        assert "/actions/runs/" in before
        assert "2 to add" in fold
        assert "2 to add" not in before
        assert "the plan failed" in job.summary or "no plan" in job.summary


def test_a_plan_with_errors_is_shown_and_cannot_be_approved(job):
    job.on_pull_request()
    job.desk.manifest(f"a BIGML a.json  sha256: {'0' * 64}\nb BIGML a.json")
    assert job("plan").code == 1
    assert read_header(job.body).state == "failed"
    assert read_header(job.body).digest == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_plan_marks_the_comment(number, job, github):
    job.on_pull_request()
    job("plan")
    plan = job.body
    job.on_pull_request(NEXT)
    asked, end = threading.Event(), threading.Event()

    def never(_exchange):
        asked.set()
        end.wait(60)

    with FaultProxy(job.desk.url) as proxy:
        proxy.on("any", never)
        # The key is made of the address as given: the comment is made to be that of this one.
        header = read_header(plan)
        child = job.start("plan", "--url", proxy.url)
        try:
            assert asked.wait(60)
            child.send_signal(number)
            code, log = job.finish(child)
        finally:
            end.set()
    assert code == 128 + number, log
    assert job.outputs["failure-reason"] == "cancelled"
    (body,) = [body for body in github.bodies(PULL) if read_header(body).key != header.key]
    assert read_header(body).state == "cancelled"
    assert read_header(body).commit == NEXT


def test_comments_of_others_are_neither_edited_nor_taken_for_ours(job, github):
    job.on_pull_request()
    job("plan")
    copy = job.body
    github.comments[PULL].clear()
    github.comment(PULL, copy, "mallory")
    assert job("plan").code == 0
    assert github.bodies(PULL, "mallory") == [copy]
    assert len(github.bodies(PULL)) == 1
    assert not [path for method, path, _ in github.requests if method == "PATCH"]


def test_the_comment_on_the_third_page_is_found(job, github):
    job.on_pull_request()
    job("plan")
    mine = github.comments[PULL].pop()
    for number in range(25):
        github.comment(PULL, f"comment {number}", "dev")
    github.comments[PULL].append(mine)
    github.page_size = 10
    assert job("plan").code == 0
    assert number_of(github) == mine["id"]


def test_each_manifest_server_and_selection_has_its_comment(job, github):
    job.on_pull_request()
    job.desk.manifest("c BIGML a.json", name="other.yaml")
    for words in (
        [],
        ["-f", "other.yaml"],
        ["--environment", "staging"],
        ["--args", "--shard 1/2"],
        ["--args=--target=a"],
    ):
        assert job("plan", *words).code == 0
    assert len(github.bodies(PULL)) == 5
    job("plan", "--args", "--shard=1/2")
    job("plan", "-f", "./other.yaml")
    job("plan", "--args", "--jobs 2")
    assert len(github.bodies(PULL)) == 5
    assert len({read_header(body).key for body in github.bodies(PULL)}) == 5


@pytest.mark.parametrize(
    "words",
    [
        ["--shard-index", "1", "--shard-count", "4"],
        ["--args", "--shard-index=1 --shard-count 4"],
        ["--args", "--shard=2/4", "--shard-index", "1", "--shard-count", "4"],
    ],
)
def test_a_shard_has_one_comment_however_it_is_named(words, job, github):
    job.on_pull_request()
    assert job("plan", "--args", "--shard 2/4").code == 0
    digest = job.outputs["digest"]
    assert job("plan", *words).code == 0
    assert job.outputs["digest"] == digest
    assert len(github.bodies(PULL)) == 1
    assert job("plan", "--shard-index", "2", "--shard-count", "4").code == 0
    assert len(github.bodies(PULL)) == 2


def test_a_shard_of_the_environment_has_its_comment_unless_arguments_name_another(job, github, monkeypatch):
    job.on_pull_request()
    for shard in ("1/4", "2/4"):
        assert job("plan", "--args", f"--shard {shard}").code == 0
    assert len(github.bodies(PULL)) == 2
    monkeypatch.setenv("MMSYNC_SHARD", "2/4")
    for words in ([], ["--args", "--shard 1/4"], ["--shard-index", "1", "--shard-count", "4"]):
        assert job("plan", *words).code == 0
    assert len(github.bodies(PULL)) == 2
    monkeypatch.setenv("MMSYNC_SHARD", "3/4")
    assert job("plan").code == 0
    assert len(github.bodies(PULL)) == 3


@pytest.mark.parametrize(
    "words",
    [
        ["--shard-index", "1"],
        ["--shard-index", "4", "--shard-count", "4"],
        ["--args", "--shard=1/4", "--shard-index", "1", "--shard-count", "4"],
    ],
)
def test_a_shard_that_is_none_is_not_planned(words, job):
    job.on_pull_request()
    ran = job("plan", *words)
    assert ran.code == 1
    assert job.outputs["failure-reason"] == "plan-failed"


@pytest.mark.parametrize(
    "where", [{"origin": "mallory/models"}, {"origin": None}, {"author": "dependabot[bot]"}], ids=str
)
def test_forks_and_dependabot_without_secrets_are_validated_and_green(where, job, github, monkeypatch):
    monkeypatch.delenv("MMSYNC_TOKEN")
    job.on_pull_request(**where)
    ran = job("plan")
    assert ran.code == 0
    assert "no secrets" in notices(ran)[0]
    assert "no secrets" in job.summary
    assert github.bodies(PULL) == []
    assert "digest" not in job.outputs
    job.desk.manifest("a BIGML gone.json")
    assert job("plan").code == 1


def test_dependabot_with_secrets_of_its_own_is_planned(job):
    job.on_pull_request(author="dependabot[bot]")
    assert job("plan").code == 0
    assert read_header(job.body).state == "planned"


def test_a_missing_token_elsewhere_is_a_failure(job, monkeypatch):
    monkeypatch.delenv("MMSYNC_TOKEN")
    job.on_pull_request()
    assert job("plan").code == 1
    assert job.outputs["failure-reason"] == "plan-failed"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("status", "kind"), [(403, "notice"), (404, "notice"), (500, "warning"), (422, "warning")])
def test_a_comment_that_cannot_be_written_fails_no_plan(status, kind, strict, job, github):
    job.on_pull_request()
    github.fail("POST .*/comments", status, times=9)
    ran = job("plan", *(["--strict"] if strict else []))
    assert ran.code == int(strict)
    (told,) = notices(ran, kind)
    assert str(status) in told
    assert job.outputs["has-changes"] == "true"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (502, {"Retry_After": "0"}),
        (403, {"Retry_After": "0"}),
        (429, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1", "Retry_After": "0"}),
    ],
)
def test_what_passes_is_tried_again(status, headers, job, github):
    job.on_pull_request()
    github.fail("GET .*/comments", status, times=2, **headers)
    assert job("plan").code == 0
    assert read_header(job.body).state == "planned"


def test_a_limit_that_lasts_long_is_not_waited_for(job, github):
    job.on_pull_request()
    github.fail("GET .*/comments", 403, X_RateLimit_Remaining="0", X_RateLimit_Reset="99999999999")
    ran = job("plan")
    assert ran.code == 0
    assert len(notices(ran, "warning")) == 1


def test_a_person_is_known_by_name(job, github, monkeypatch):
    github.users["token-of-a-person"] = "alice"
    monkeypatch.setenv("GITHUB_TOKEN", "token-of-a-person")
    job.on_pull_request()
    for _ in range(2):
        assert job("plan").code == 0
        assert len(github.bodies(PULL, "alice")) == 1


@pytest.mark.parametrize("words", [[], ["--author", "my-app[bot]"]], ids=["unnamed", "named"])
def test_an_app_keeps_one_comment(words, job, github, monkeypatch):
    github.bots["token-of-an-app"] = "my-app[bot]"
    monkeypatch.setenv("GITHUB_TOKEN", "token-of-an-app")
    job.on_pull_request()
    for _ in range(3):
        assert job("plan", *words).code == 0
        assert len(github.bodies(PULL, "my-app[bot]")) == 1


def test_an_older_run_leaves_the_plan_of_a_newer_commit(job):
    job.on_pull_request(NEXT)
    job("plan", run=900)
    newer = job.body
    job.event({"pull_request": {"number": PULL, "head": {"sha": HEAD, "repo": {"full_name": "acme/models"}}}})
    ran = job("plan", run=899)
    assert ran.code == 0
    assert job.body == newer
    assert "newer run" in notices(ran)[0]


def test_a_run_that_is_run_again_writes(job):
    job.on_pull_request()
    job("plan", run=900)
    job("plan", run=900, attempt=2)
    assert read_header(job.body).attempt == 2


def test_two_runs_that_make_a_comment_at_once_leave_one(job, github):
    job.on_pull_request()
    other = []
    job("plan", run=700)
    body = job.body
    github.comments[PULL].clear()

    def first_of_another_run():
        if not other:
            other.append(github.comment(PULL, body))

    github.before_write = first_of_another_run
    job("plan", run=701)
    (kept,) = github.comments[PULL]
    assert kept["id"] == other[0]["id"]
    assert read_header(kept["body"]).run == 701


def test_an_older_run_that_writes_last_is_written_over(job, github):
    job.on_pull_request()
    job("plan", run=700)
    old = job.body
    raced = []
    answer = github.answer

    def older_writes_right_after(method, path, token, body):
        result = answer(method, path, token, body)
        if method == "PATCH" and not raced:
            raced.append(path)
            github.comments[PULL][0]["body"] = old
        return result

    github.answer = older_writes_right_after
    job("plan", run=701)
    assert raced
    assert read_header(job.body).run == 701


HOSTILE = "x\\n::error::y --> </details> ``` ` <img src=q> @octocat <!-- mmsync end of plan --> ##[error]z"


def test_hostile_names_stay_inert(job, github):
    job.desk.file(
        "models.yaml",
        f'version: 1\nmodels:\n- {{name: "{HOSTILE[14:120]}", engine: BIGML, file: a.json, description: "{HOSTILE}"}}\n'.encode(),
    )
    job.on_pull_request()
    ran = job("plan", "--environment", "a`b <b> @octocat -->")
    assert ran.code == 0
    html = MarkdownIt("commonmark", {"html": True}).render(job.body.partition("\n")[2])
    outside = re.sub(r"<code>.*?</code>", "", html, flags=re.DOTALL)
    assert "@octocat" in html
    assert "@octocat" not in outside
    assert set(re.findall(r"<(\w+)", outside)) <= {"h2", "h3", "p", "ul", "li", "strong", "details", "summary", "a"}
    assert job.body.splitlines()[0].count("-->") == 1
    assert not [line for line in (ran.err + ran.out).splitlines() if line.startswith("::error")]
    assert sorted(job.outputs) == ["changes", "comment-url", "digest", "has-changes", "plan-file"]


def test_a_long_plan_is_cut_with_how_much_is_missing(job):
    count = 900
    job.desk.manifest("\n".join(f"model_{n:04} BIGML a.json  description: {'w' * 60}" for n in range(count)))
    job.on_pull_request()
    assert job("plan").code == 0
    assert 50_000 < len(job.body.encode()) < 65_536
    missing = int(re.search(r"\*\*([\d,]+) entries of this report are not shown here", job.body)[1].replace(",", ""))
    assert missing + len(re.findall(r"^- \*\*", job.body, re.MULTILINE)) == count
    assert job.body.count("<details>") == job.body.count("</details>")
    assert len(re.findall(r"^- \*\*", job.summary, re.MULTILINE)) == count


def test_a_plan_that_deletes_needs_the_label(job):
    job.desk("apply")
    job.desk.manifest("a BIGML a.json")
    job.on_pull_request()
    words = ["plan", "--args", "--prune", "--delete-label", "delete models"]
    assert job(*words).code == 1
    assert job.outputs["failure-reason"] == "delete-label-missing"
    assert "Not to be merged so" in job.body
    job.on_pull_request(labels=("Delete Models",))
    assert job(*words).code == 0
    assert "Not to be merged so" not in job.body


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--manifest=--prune"], "may not begin with -"),
        (["--url=--prune"], "may not begin with -"),
        (["--profile=-x"], "may not begin with -"),
        (["--args", "--token x"], "--token may not be given here"),
        (["--args", "--url=http://evil.example"], "--url may not be given here"),
        (["--args", "--allow-server x"], "--allow-server may not be given here"),
        (["--args", "--cacert x"], "--cacert may not be given here"),
        (["--args", "--proxy http://x"], "--proxy may not be given here"),
        (["--args", "--insecure"], "--insecure may not be given here"),
        (["--args", "plan.json"], "no long option"),
        (["--args", "-f x"], "no long option"),
        (["--args", "--shard"], "needs a value"),
        (["--args", "--prune=1"], "takes no value"),
        (["--args", "'"], "No closing quotation"),
    ],
)
def test_inputs_that_would_be_flags_are_refused(words, why, job):
    job.on_pull_request()
    ran = job("plan", *words)
    assert ran.code == 1
    assert why in ran.err


def test_inputs_come_from_the_environment(job, monkeypatch):
    job.on_pull_request()
    for name, value in {
        "MMSYNC_CI_COMMAND": "plan",
        "MMSYNC_CI_MANIFEST": "models.yaml",
        "MMSYNC_CI_URL": job.desk.url,
        "MMSYNC_CI_PROFILE": "",
        "MMSYNC_CI_ARGS": "--exclude b",
        "MMSYNC_CI_ENVIRONMENT": "production",
        "MMSYNC_CI_COMMENT": "",
    }.items():
        monkeypatch.setenv(name, value)
    assert job("run").code == 0
    assert "(`models.yaml` on `production`)" in job.body
    assert "1 to add" in job.body
    monkeypatch.setenv("MMSYNC_CI_COMMAND", "run")
    assert job("run").code == 1


def test_without_a_pull_request_there_is_a_plan_and_no_comment(job, github):
    job.on_push()
    assert job("plan").code == 0
    assert github.requests == []
    assert job.outputs["changes"] == "2"
