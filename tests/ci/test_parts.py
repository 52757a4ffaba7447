"""Header, decisions, cutting, and the API's edges, each by itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings, strategies as st

from mmsync.ci.comment_body import Content, compose, cut, measure, plan_report
from mmsync.ci.decisions import may_write
from mmsync.ci.github_api import GitHub, GitHubError
from mmsync.ci.header import Header, comment_key, dump_header, read_header
from mmsync.ci.run import read_run
from mmsync.errors import SettingsError
from mmsync.report.markdown import COMMENT_LIMIT, render, render_summary
from support.github_stand_in import JOB_TOKEN
from support.sample_plans import DIGEST, add, every_kind, plan

KEY = "0" * 32
HEADER = Header(KEY, "planned", DIGEST, "a" * 40, "a" * 40, 5, 1, "2026-01-01T00:00:00Z")


def test_a_header_is_one_line_and_is_read_back():
    line = dump_header(HEADER)
    assert len(line.splitlines()) == 1
    assert line.count("-->") == 1
    assert read_header(f"{line}\nbody") == HEADER
    assert read_header(f"{line}\r\nbody") == HEADER


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        f"hello\n{dump_header(HEADER)}",
        f" {dump_header(HEADER)}",
        f"> {dump_header(HEADER)}",
        dump_header(HEADER).replace('"format":1', '"format":2'),
        dump_header(HEADER).replace('"planned"', '"other"'),
        dump_header(HEADER).replace('"run":5', '"run":"5"'),
        dump_header(HEADER).replace('"run":5', '"run":-5'),
        dump_header(HEADER).replace('"run":5', '"more":5'),
        dump_header(HEADER).replace(KEY, "x"),
        "<!-- mmsync " + "[" * 1500 + " -->",
        "<!-- mmsync [] -->",
        dump_header(HEADER)[:-4],
    ],
)
def test_what_is_no_header_of_ours_is_none(body):
    assert read_header(body) is None


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_makes_reading_a_header_fail(text):
    assert read_header(text) is None
    assert read_header(f"<!-- mmsync {text} -->") is None


def test_the_key_is_of_what_is_given_and_of_nothing_else():
    base = {"manifests": ["models.yaml"], "server": "https://mm/", "domain": "", "selection": []}
    key = comment_key("plan", **base)
    assert key == comment_key("plan", **{**base, "manifests": ["./models.yaml"], "server": "https://mm"})
    others = [
        comment_key("drift", **base),
        comment_key("plan", **base, environment="x"),
        *(
            comment_key("plan", **{**base, name: value})
            for name, value in {
                "manifests": ["a.yaml"],
                "server": "s",
                "domain": "d",
                "selection": ["--target=a"],
            }.items()
        ),
    ]
    assert len({key, *others}) == 1 + len(others)


def header(state, run, *, attempt=1, commit="a"):
    return Header(KEY, state, commit=commit * 40, run=run, attempt=attempt)


@pytest.mark.parametrize(
    ("there", "mine", "head", "may"),
    [
        (None, header("planned", 1), "", True),
        (header("planned", 1), header("planned", 2, commit="b"), "", True),
        (header("planned", 2), header("planned", 1, commit="b"), "", False),
        (header("planned", 2), header("failed", 1), "", False),
        (header("planned", 2), header("planned", 1, attempt=2), "", True),
        (header("planned", 2), header("planned", 1, attempt=2, commit="b"), "", False),
        (header("planned", 2, attempt=2), header("planned", 2), "", False),
        # Numbered later, and of a commit that is no longer the head.
        (header("planned", 1), header("planned", 2, commit="b"), "a" * 40, False),
        (header("planned", 1), header("planned", 2, commit="b"), "b" * 40, True),
        (header("planned", 1), header("applying", 2, commit="c"), "a" * 40, True),
        (header("applied", 3), header("planned", 2, attempt=2), "", False),
        (header("not-applied", 3), header("applying", 2, attempt=2, commit="c"), "", True),
        (header("applied", 3), header("applying", 2, commit="c"), "", False),
    ],
)
def test_who_may_write(there, mine, head, may):
    assert may_write(there, mine, head) is may


@given(
    count=st.integers(0, 60),
    room=st.integers(0, 9000),
    note=st.sampled_from(["", "words", "漢字\U0001f600" * 30]),
)
@settings(max_examples=150, deadline=None)
def test_a_report_that_is_cut_fits_and_counts_what_is_missing(count, room, note):
    whole = render(plan(*(add(f"m{n:03}", description=note) for n in range(count))), digest=DIGEST)
    text = cut(whole, room)
    assert measure(text) <= max(room, 0)
    assert text.count("<details>") == text.count("</details>")
    if text and text != whole:
        items = text.count("\n- **")
        missing = int(text.rpartition("\n**")[2].partition(" entries")[0])
        assert items + missing == count


@pytest.mark.parametrize("limit", [COMMENT_LIMIT, 20_000])
def test_two_reports_share_the_room(limit):
    report = render(plan(*(add(f"m{n:04}", description="d" * 90) for n in range(2000))), digest=DIGEST)
    body = compose(Content(HEADER, "https://r", "x", "why", report, result=report, result_title="Now"), limit)
    assert limit * 0.8 < measure(body) < limit
    assert body.count("entries of this report are not shown here") == 2
    assert plan_report(body).startswith("## mmsync plan")


def test_the_report_of_the_plan_is_read_back_as_it_was():
    report = render(every_kind(), digest=DIGEST)
    body = compose(Content(HEADER, plan=report))
    assert plan_report(body) == report
    again = compose(Content(HEADER, plan=plan_report(body), is_outdated=True))
    assert plan_report(again) == report


def test_a_summary_has_a_limit_of_its_own():
    made = plan(*(add(f"m{n}", description="漢" * 150) for n in range(4000)))
    assert 900_000 < len(render_summary(made).encode()) < 1024 * 1024
    assert len(render_summary(made, limit=5000).encode()) < 5000
    assert len(render_summary(made, limit=100).encode()) < 100


@pytest.mark.parametrize("repository", ["", "a", "a/b/c", "../x", "a/b?c"])
def test_what_is_no_repository_is_refused(repository):
    with pytest.raises(SettingsError):
        read_run({"GITHUB_REPOSITORY": repository}, None)


@pytest.mark.parametrize("event", [None, [], {}, {"pull_request": 1}, {"pull_request": {"head": None, "number": "x"}}])
def test_an_event_of_any_form_is_read(event):
    run = read_run({"GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "x", "GITHUB_SHA": "zz"}, event)
    assert (run.pull_request, run.number, run.commit) == (None, 0, "")


@pytest.fixture
def api(github):
    made = GitHub(github.url, JOB_TOKEN, sleep=lambda _: None, now=lambda: 0.0)
    yield made
    made.close()


def test_the_token_does_not_follow_a_redirect_to_another_host(api, github):
    github.fail("GET /a", 301, Location="https://evil.example/")
    with pytest.raises(GitHubError, match="another host"):
        api.call("GET", "/a")


def test_the_token_does_not_follow_a_page_to_another_host(api, github):
    github.fail("GET /a", 200, Link='<https://evil.example/a?page=2>; rel="next"')
    with pytest.raises(GitHubError, match=r"another host|not a list"):
        list(api.pages("/a"))


def test_a_redirect_within_the_api_is_followed(api, github):
    github.pull(1, "a" * 40)
    github.fail("GET /repos/old/name/pulls/1", 301, Location="/repos/acme/models/pulls/1")
    assert api.call("GET", "/repos/old/name/pulls/1")["number"] == 1


def test_a_netrc_takes_no_part(api, github, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert api.login() == "github-actions[bot]"
    assert [token for _, _, token in github.requests] == [JOB_TOKEN]


@pytest.mark.parametrize("address", ["http://api.github.example", "ftp://127.0.0.1", "api.github.com", ""])
def test_the_token_goes_over_https_or_to_this_machine_only(address):
    with pytest.raises(SettingsError):
        GitHub(address, JOB_TOKEN, sleep=lambda _: None, now=lambda: 0.0)


def test_what_may_have_been_made_is_not_made_twice(api, github):
    github.fail("POST", 502, times=2)
    with pytest.raises(GitHubError, match="502"):
        api.call("POST", "/repos/acme/models/issues/1/comments", {"body": "x"})
    assert len(github.requests) == 1


def test_an_error_names_what_was_asked_and_no_token(api, github):
    github.fail("GET", 418)
    with pytest.raises(GitHubError) as caught:
        api.call("GET", "/x")
    assert str(caught.value) == "GET /x: HTTP 418, switched to 418"
    assert json.dumps(JOB_TOKEN) not in repr(caught.value)
