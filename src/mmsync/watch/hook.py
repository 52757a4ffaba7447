"""Telling another program what happened: ``--on-change 'COMMAND'``.

The command is split into words once, when it is given, and started without a shell: no name from a manifest or a
server is ever part of a command line. What happened goes in as one JSON document, a line, on its standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmsync.errors import SettingsError
from mmsync.printable import printable

if TYPE_CHECKING:
    from mmsync.watch.reporting import Log


def parse_command(text: str) -> tuple[str, ...]:
    """Split a command into words, as a shell would; raises `SettingsError` for an open quote or no word."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise SettingsError(f"--on-change: {error}", "quote the command as for a shell") from error
    if not words:
        raise SettingsError("--on-change: the command is empty", "name a program, or leave --on-change out")
    return words


class OnChange:
    """Runs the command for each report, in order, beside the worker: a slow command delays no model.

    A command that cannot be run, fails or takes longer than ``timeout`` seconds (then it is ended) is logged.
    """

    def __init__(
        self, words: tuple[str, ...], environment: Mapping[str, str], log: Log, *, timeout: float = 60.0
    ) -> None:
        self._words = words
        self._environment = {key: value for key, value in environment.items() if key != "MMSYNC_TOKEN"}
        self._log = log
        self._timeout = timeout
        self._reports: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._child: subprocess.Popen[str] | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="on-change", daemon=True)
        self._thread.start()

    def __call__(self, report: Mapping[str, object]) -> None:
        """Hand over a report; returns at once."""
        self._reports.put(json.dumps(report, default=str) + "\n")

    def close(self, grace: float) -> None:
        """Run what was handed over, end whatever still runs after ``grace`` seconds, and start no more."""
        self._reports.put(None)
        self._thread.join(timeout=grace)
        self.kill()
        self._thread.join(timeout=1)

    def kill(self) -> None:
        """End the command that runs, and start no more. May be called by a signal handler."""
        self._ended = True
        if (child := self._child) is not None:
            _kill(child)

    def _work(self) -> None:
        while (report := self._reports.get()) is not None and not self._ended:
            try:
                why = self._run(report)
            except (OSError, ValueError) as error:
                why = f"cannot be run: {error}"
            if why:
                self._log("command_failed", f"the --on-change command {why}", level="warning", program=self._words[0])

    def _run(self, report: str) -> str:
        """Run the command for a report; return what went wrong, empty where nothing did."""
        # A group of its own: a Ctrl-C on the terminal is for the watcher, which lets the command finish.
        with subprocess.Popen(  # noqa: S603  # no shell, and not a word of it comes from elsewhere
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self._environment,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as child:
            self._child = child
            if self._ended:  # while it was being started
                _kill(child)
            try:
                _, said = child.communicate(report, timeout=self._timeout)
            except subprocess.TimeoutExpired:
                _kill(child)
                return "did not end in time and was killed"
            finally:
                self._child = None
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return f"ended with status {child.returncode}: {printable(last[0], 200)}" if child.returncode else ""


def _kill(child: subprocess.Popen[str]) -> None:
    """End the command and what it started: it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
