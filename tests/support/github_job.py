"""A job of a workflow: runs ``mmsync ci`` with the variables and files that a runner gives its steps."""

from __future__ import annotations

import json

from support.github_stand_in import BOT, JOB_TOKEN, REPOSITORY
from support.workflow_steps import read_outputs

HEAD, NEXT, MERGE = "a" * 40, "b" * 40, "c" * 40
PULL = 17


class Job:
    """Runs ``mmsync ci`` as a step of one job after the other; each run of a workflow has a number of its own."""

    def __init__(self, desk, github, folder, environment):
        self.desk, self.github = desk, github
        self._folder, self._set = folder, environment
        self._number = 500
        self.summary, self.outputs = "", {}
        environment.setenv("GITHUB_ACTIONS", "true")
        environment.setenv("GITHUB_API_URL", github.url)
        environment.setenv("GITHUB_SERVER_URL", "https://github.example")
        environment.setenv("GITHUB_REPOSITORY", REPOSITORY)
        environment.setenv("GITHUB_TOKEN", JOB_TOKEN)
        environment.setenv("RUNNER_TEMP", str(folder))

    def event(self, content):
        path = self._folder / "event.json"
        path.write_text(json.dumps(content))
        self._set.setenv("GITHUB_EVENT_PATH", str(path))

    def on_pull_request(self, head=HEAD, *, number=PULL, origin=REPOSITORY, author="dev", labels=()):
        """Stand in a run on a pull request, which has this head now."""
        self.github.pull(number, head, labels=labels)
        repository = {"full_name": origin} if origin else None
        head_of = {"sha": head, "repo": repository}
        self.event({"pull_request": {"number": number, "head": head_of, "user": {"login": author}}})
        self._set.setenv("GITHUB_ACTOR", author)
        self._set.setenv("GITHUB_SHA", "f" * 40)  # the merge that GitHub makes to try

    def on_push(self, commit=MERGE, branch="main"):
        """Stand in a run on a push to a branch."""
        self.event({"after": commit})
        self._set.setenv("GITHUB_SHA", commit)
        self._set.setenv("GITHUB_REF_TYPE", "branch")
        self._set.setenv("GITHUB_REF_NAME", branch)

    def merge(self, head=HEAD, commit=MERGE, **more):
        """Merge the pull request, and stand in the run that follows."""
        self.github.pull(PULL, head, merge=commit, **more)
        self.on_push(commit)

    def __call__(self, *words, run=None, attempt=1):
        self._begin(run, attempt)
        ran = self.desk("ci", *words)
        self._end(ran.out + ran.err)
        return ran

    def start(self, *words):
        """Start the command as a process; `finish` waits for it."""
        self._begin(None, 1)
        return self.desk.start("ci", *words)

    def finish(self, process):
        """Wait for the process; return its exit code and what it wrote."""
        out, err = process.communicate(timeout=60)
        self._end(out + err)
        return process.returncode, out + err

    def _begin(self, run, attempt):
        self._number += 1
        for file in ("summary.md", "outputs"):
            (self._folder / file).write_text("")
        self._set.setenv("GITHUB_STEP_SUMMARY", str(self._folder / "summary.md"))
        self._set.setenv("GITHUB_OUTPUT", str(self._folder / "outputs"))
        self._set.setenv("GITHUB_RUN_ID", str(run or self._number))
        self._set.setenv("GITHUB_RUN_ATTEMPT", str(attempt))

    def _end(self, log):
        self.summary = (self._folder / "summary.md").read_text()
        self.outputs = read_outputs((self._folder / "outputs").read_text())
        assert JOB_TOKEN not in log + self.summary + str(self.outputs)

    @property
    def body(self):
        """The one comment of ours."""
        (body,) = self.github.bodies(PULL, BOT)
        return body
