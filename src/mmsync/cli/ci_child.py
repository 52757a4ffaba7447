"""Other commands of mmsync, run as processes of their own: exit codes, signals and reports are theirs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from mmsync.cli.apply import read_saved
from mmsync.cli.errors import ExitCode
from mmsync.cli.output import color_words
from mmsync.cli.signals import handled_by
from mmsync.errors import SettingsError

_MOST_OF_A_REPORT = 2 * 2**20  # bytes; a report is at most 1 MiB
# What the plan of a pull request has no use for: it never asks GitHub.
_WITHHELD = ("GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


class Done(NamedTuple):
    """The outcome of a command.

    Attributes:
        code: Its exit code.
        report: Its report as Markdown, or "".
        document: The plan document that it saved, or None.
        stopped_by: The signal that was passed on to it, or None.
    """

    code: int
    report: str = ""
    document: dict[str, Any] | None = None
    stopped_by: int | None = None

    @property
    def failure(self) -> int:
        """Return what to exit with where it failed, or was stopped by a signal."""
        return ExitCode.FAILURE if self.stopped_by is None else 128 + self.stopped_by

    @property
    def digest(self) -> str:
        """Return the digest of the plan, or ""."""
        return str(self.document["digest"]) if self.document else ""

    @property
    def changes(self) -> int:
        """Return how many changes the plan has."""
        return sum(change["action"] != "none" for change in self.document["changes"]) if self.document else 0

    @property
    def deletes(self) -> int:
        """Return how many models the plan deletes."""
        return sum(change["action"] == "delete" for change in self.document["changes"]) if self.document else 0


def run_command(words: list[str], *, out: str = "", withheld: Collection[str] = ()) -> Done:
    """Run ``mmsync`` with these words; SIGINT and SIGTERM are passed on to it as SIGTERM.

    Args:
        words: The command and its options.
        out: The file that it saves a plan to; read where it was written, and left out of ``words``.
        withheld: Variables of the environment that it does not get.
    """
    words = [*words, f"--out={out}"] if out else words
    before = _identity(out)
    with tempfile.TemporaryDirectory(prefix="mmsync-ci-") as folder:
        summary, outputs = Path(folder, "summary.md"), Path(folder, "outputs")
        environment = {name: value for name, value in os.environ.items() if name not in (*_WITHHELD, *withheld)}
        environment |= {
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(outputs),
        }
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        signals = _Signals()
        with handled_by(signals.pass_on):
            # In a session of its own, so that a signal to all of the terminal's processes reaches it only once.
            child = subprocess.Popen(  # noqa: S603 - this program itself, and words that are options by construction
                [sys.executable, "-m", "mmsync", *color_words(), *words],
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
            signals.child = child
            if signals.came:
                child.terminate()
            code = child.wait()
        report = ""
        if summary.exists() and summary.stat().st_size <= _MOST_OF_A_REPORT:
            report = summary.read_text(encoding="utf-8", errors="replace")
    document = None
    if out and _identity(out) not in (None, before):
        document = read_saved(out)
    return Done(code, report, document, signals.came[0] if signals.came else None)


def read_report(path: str) -> str:
    """Return a report in Markdown; raises `SettingsError` where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_MOST_OF_A_REPORT).decode("utf-8", "replace")
    except OSError as error:
        raise SettingsError(f"cannot read the report {path}: {error.strerror or error}") from error


def _identity(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class _Signals:
    """The signals that came, and whom they are passed on to."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self.child: subprocess.Popen[bytes] | None = None

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.came.append(number)
        if self.child is not None:
            self.child.terminate()
