"""``--audit FILE``: the record of what is done to a server, and who does it as far as the environment tells."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping

import click

try:
    import pwd
except ImportError:  # Windows, which names the user in the environment
    pwd = None  # type: ignore[assignment]

from mmsync.apply.audit import AuditFile, Origin
from mmsync.cli.options import env_option, refuse_empty
from mmsync.cli.plan import refuse_input
from mmsync.printable import masked_url

audit_option = env_option(
    "--audit",
    metavar="FILE",
    help="Append to FILE, as JSON lines, what is done to the server, by whom and by which plan.",
)


def open_audit(path: str | None, inputs: Iterable[tuple[str, str]]) -> AuditFile | None:
    """Return the audit record, if there is to be one.

    Raises `UsageError` where it is asked for and not named, `SettingsError` where it is one of the ``inputs``, as
    `refuse_input` has them, and `AuditError` where it cannot be appended to.
    """
    if path is None:
        if "MMSYNC_AUDIT" in os.environ:
            raise click.UsageError("MMSYNC_AUDIT is set, but to nothing: set it to a file, or unset it")
        return None
    refuse_empty("--audit", path)
    refuse_input("--audit", path, inputs)
    audit = AuditFile(path, origin_of(os.environ), now=time.time)
    audit.check()
    return audit


def origin_of(environment: Mapping[str, str]) -> Origin:
    """Return who makes this run, and what: a job of GitHub or GitLab as it says itself, else a user of this machine."""
    get = environment.get
    if get("GITHUB_ACTIONS") == "true":
        repository, number = get("GITHUB_REPOSITORY", ""), get("GITHUB_RUN_ID", "")
        run = f"{get('GITHUB_SERVER_URL', '')}/{repository}/actions/runs/{number}" if number else ""
        run += f"/attempts/{attempt}" if run and (attempt := get("GITHUB_RUN_ATTEMPT")) else ""
        return Origin(get("GITHUB_ACTOR") or _user(), masked_url(run), repository, get("GITHUB_SHA", ""))
    if get("GITLAB_CI") == "true":
        run = masked_url(get("CI_JOB_URL", ""))
        return Origin(get("GITLAB_USER_LOGIN") or _user(), run, get("CI_PROJECT_PATH", ""), get("CI_COMMIT_SHA", ""))
    return Origin(_user())


def _user() -> str:
    name = os.environ.get("USERNAME", "")
    if pwd:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:  # a user id without a name, as containers give
            name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
