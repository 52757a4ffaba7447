"""A run of a GitHub workflow: repository, commit and pull request, from its environment and its event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmsync.errors import SettingsError
from mmsync.printable import printable

_REPOSITORY = re.compile(r"[A-Za-z0-9_-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DEPENDABOT = "dependabot[bot]"


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of one run of a workflow.

    Attributes:
        repository: ``owner/name``.
        number: The run's id, which grows from run to run of a repository; 0 where it is not known.
        attempt: From 1; a run that is run again keeps its number.
        commit: The head of the pull request, or what was pushed; "" where it is not known.
        branch: The branch that was pushed; "" where it was none.
        url: The page of the run; "" where it is not known.
        pull_request: The number of the pull request that the event is about, or None.
        is_fork: Whether that comes from another repository.
        is_dependabot: Whether Dependabot made it, whose runs get no secrets but its own.
    """

    repository: str
    number: int = 0
    attempt: int = 1
    commit: str = ""
    branch: str = ""
    url: str = ""
    pull_request: int | None = None
    is_fork: bool = False
    is_dependabot: bool = False

    @property
    def has_no_secrets(self) -> bool:
        """Return whether GitHub keeps the repository's secrets from this run."""
        return self.is_fork or self.is_dependabot


def read_run(environment: Mapping[str, str], event: object) -> Run:
    """Return the run that GitHub's environment variables and event file tell of.

    Args:
        environment: The environment variables.
        event: What is in the file GITHUB_EVENT_PATH, read as JSON; anything else tells nothing.

    Raises `SettingsError` where GITHUB_REPOSITORY is missing or is no name of a repository.
    """
    repository = environment.get("GITHUB_REPOSITORY", "")
    if _REPOSITORY.fullmatch(repository) is None:
        why = f"GITHUB_REPOSITORY is {printable(repository)!r}, not the owner/name of a repository"
        raise SettingsError(why, "these commands run in a GitHub workflow, which sets it")
    server = environment.get("GITHUB_SERVER_URL", "").rstrip("/")
    number = environment.get("GITHUB_RUN_ID", "")
    attempt = environment.get("GITHUB_RUN_ATTEMPT", "")
    pull = _get(event, "pull_request")
    origin = _get(pull, "head", "repo", "full_name")
    commit = _get(pull, "head", "sha") if isinstance(pull, dict) else environment.get("GITHUB_SHA", "")
    makers = (environment.get("GITHUB_ACTOR"), _get(pull, "user", "login"))
    return Run(
        repository,
        int(number) if number.isdecimal() else 0,
        int(attempt) if attempt.isdecimal() else 1,
        as_commit(commit),
        environment.get("GITHUB_REF_NAME", "") if environment.get("GITHUB_REF_TYPE") == "branch" else "",
        f"{server}/{repository}/actions/runs/{number}" if server and number.isdecimal() else "",
        _get(pull, "number") if isinstance(_get(pull, "number"), int) else None,
        # The repository of a fork may have been deleted since: then there is no name.
        is_fork=isinstance(pull, dict) and str(origin or "").lower() != repository.lower(),
        is_dependabot=isinstance(pull, dict) and _DEPENDABOT in makers,
    )


def as_commit(value: object) -> str:
    """Return a commit's full id in lower case, or "" for anything else."""
    text = value.lower() if isinstance(value, str) else ""
    return text if _COMMIT.fullmatch(text) else ""


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
