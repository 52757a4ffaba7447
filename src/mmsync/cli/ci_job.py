"""A job of a workflow: its run, the comment it keeps, its summary and its outputs.

GitHub's trouble is not the plan's: a comment that cannot be written is a notice or a warning.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from mmsync.ci.comment_body import Content, compose, cut, plan_report, subject_of
from mmsync.ci.decisions import NotApproved, head_of
from mmsync.ci.github_api import GitHub, GitHubError
from mmsync.ci.header import BEFORE_MERGE, Header, State, comment_key
from mmsync.ci.living_comment import Text, write_comment
from mmsync.ci.run import as_commit, read_run
from mmsync.cli.ci_child import Done
from mmsync.cli.ci_inputs import Inputs
from mmsync.cli.github_step import write_outputs, write_summary
from mmsync.cli.output import write_command
from mmsync.errors import SettingsError
from mmsync.printable import printable
from mmsync.report.github import escape_message, output_lines
from mmsync.report.markdown import COMMENT_LIMIT, SUMMARY_LIMIT

_API = "https://api.github.com"
_LONGEST_EVENT = 32 * 2**20


class Job:
    """One command's job; ``outputs`` are written when it is left, whatever became of it."""

    def __init__(self, inputs: Inputs, kind: Literal["plan", "drift"] = "plan") -> None:
        """Raise `SettingsError` where the environment is not a workflow's, or an input is malformed."""
        self.inputs = inputs
        self.run = read_run(os.environ, _event())
        self.commit = as_commit(inputs.commit) if inputs.commit else self.run.commit
        if inputs.commit and not self.commit:
            why = f"{printable(inputs.commit)!r} is not the full id of a commit"
            raise SettingsError(why, "give all of its digits, 40 or 64: git rev-parse COMMIT")
        self.pull_request = inputs.pull_request or self.run.pull_request
        manifests = inputs.manifests or ("models.yaml",)
        self.key = comment_key(
            kind,
            manifests=manifests,
            server=inputs.url or inputs.profile,
            domain=inputs.domain,
            selection=inputs.selection(),
            environment=inputs.environment,
        )
        self.subject = subject_of(manifests, inputs.environment)
        self.outputs: dict[str, str] = {}
        self.is_told = True  # whether GitHub could be told all there was
        self._api: GitHub | None = None
        self._login = inputs.author

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._api is not None:
            self._api.close()
        write_outputs(lambda delimiter: output_lines(self.outputs, delimiter))

    def api(self) -> GitHub:
        """Return GitHub; raises `GitHubError` where there is no token, `SettingsError` where its address is wrong."""
        if self._api is None:
            token = (os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or "").strip()
            if not token:
                raise GitHubError("there is no GITHUB_TOKEN", is_forbidden=True)
            self._api = GitHub(os.environ.get("GITHUB_API_URL") or _API, token, sleep=time.sleep, now=time.time)
        return self._api

    def author(self) -> str:
        """Return whose comments are ours; raises `GitHubError`."""
        self._login = self._login or self.api().login()
        return self._login

    def header(self, state: State, **values: str) -> Header:
        """Return a header of this run at this moment."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Header(
            self.key, state, commit=self.commit, run=self.run.number, attempt=self.run.attempt, time=now, **values
        )

    def pull(self, number: int) -> Mapping[str, Any]:
        """Return a pull request as it is now; raises `GitHubError`."""
        found = self.api().call("GET", f"/repos/{self.run.repository}/pulls/{number}")
        return found if isinstance(found, dict) else {}

    def content(
        self,
        state: State,
        there: Text | None,
        *,
        reason: str = "",
        plan: Done | None = None,
        result: str = "",
        result_title: str = "",
    ) -> Content:
        """Return what to say, given the comment that is there: its plan stays where there is no newer one."""
        digest, commit, report, is_outdated = "", "", "", False
        if plan is not None and (plan.report or plan.document):
            # A plan with errors can be read, and cannot be approved.
            digest, commit, report = plan.digest if state != "failed" else "", self.commit, plan.report
        elif there is not None:
            is_outdated = state in BEFORE_MERGE
            digest, commit = "" if is_outdated else there.header.digest, there.header.plan_commit
            report = plan_report(there.body)
        header = self.header(state, digest=digest, plan_commit=commit)
        return Content(header, self.run.url, self.subject, reason, report, is_outdated, result, result_title)

    def comment(
        self,
        state: State,
        *,
        reason: str = "",
        plan: Done | None = None,
        result: str = "",
        result_title: str = "",
        pull_request: int | None = None,
    ) -> None:
        """Say in the pull request's comment how it stands; notices and warnings tell where that cannot be."""
        number = pull_request or self.pull_request
        if not self.inputs.comment or number is None:
            return

        def body(there: Text | None) -> str:
            content = self.content(state, there, reason=reason, plan=plan, result=result, result_title=result_title)
            return compose(content, COMMENT_LIMIT)

        with self.reporting("the comment on the pull request"):
            api, author = self.api(), self.author()
            head = head_of(self.pull(number)) if state in BEFORE_MERGE else ""
            mine = self.header(state)
            written = write_comment(api, self.run.repository, number, mine, body, author=author, head=head)
            self.outputs["comment-url"] = written.url
            if not written.is_mine:
                notice("the comment on the pull request is of a newer run, and was left as it is")

    @contextlib.contextmanager
    def reporting(self, what: str) -> Iterator[None]:
        """Turn trouble with GitHub while the body runs into a notice or a warning that ``what`` is not written."""
        try:
            yield
        except (GitHubError, SettingsError) as error:
            self.is_told = False
            if isinstance(error, GitHubError) and error.is_forbidden:
                notice(f"{what} is not written, as the token may not: {error}")
            else:
                annotate("warning", f"{what} is not written: {error}")

    def summary(self, text: str) -> None:
        """Add Markdown to the step's summary, as much of it as fits."""
        if text:
            write_summary(lambda limit: cut(text, limit - 1))

    def fail(self, reason: str, sentence: str) -> None:
        """Say why the job fails: in an annotation, and as the output ``failure-reason``."""
        self.outputs["failure-reason"] = reason
        annotate("error", sentence)

    def refuse(
        self, why: NotApproved, *, result: str = "", result_title: str = "", approved: str = "", detail: str = ""
    ) -> None:
        """Say in annotation, summary and comment that nothing was applied, and what would be done now."""
        self.fail(why.reason, why.sentence)
        reason = f"{why.sentence[:1].upper()}{why.sentence[1:]}. {detail or 'Nothing was written to the server.'}"
        header = self.header("not-applied")
        content = Content(
            header, self.run.url, self.subject, reason, approved, result=result, result_title=result_title
        )
        self.summary(compose(content, SUMMARY_LIMIT // 2))
        self.comment(
            "not-applied", reason=reason, result=result, result_title=result_title, pull_request=why.pull_request
        )


def notice(sentence: str) -> None:
    """Write one notice, which fails nothing."""
    annotate("notice", sentence)


def annotate(kind: Literal["notice", "warning", "error"], sentence: str) -> None:
    """Write one annotation of the run."""
    with contextlib.suppress(OSError):
        write_command(f"::{kind} title=mmsync::{escape_message(printable(sentence, 1000))}")


def _event() -> object:
    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            return json.loads(file.read(_LONGEST_EVENT))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"cannot read the event in GITHUB_EVENT_PATH {path}: {error}") from error
