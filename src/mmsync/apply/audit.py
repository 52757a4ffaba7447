"""The audit record: JSON lines in a file, which say what was done to the server, when, by whom and by which plan.

A run that changes something writes ``start`` before its first request that writes. Each change then has a line ``change``
as soon as its outcome is known, before its worker takes the next one: ``applied`` where the server said so, ``skipped`` or
``failed``. When the server was read back, a line ``read-back`` says of each applied one that it is ``verified``, or
``failed``. A run killed outright leaves no line of what was under way just then: its ``start`` and its plan remain.

Lines are whole, flushed and on the disk before anything goes on. A file that cannot be written stops the run.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mmsync._version import __version__
from mmsync.apply.outcome import Attempt, Outcome
from mmsync.errors import AuditError
from mmsync.files.allowed_paths import OPEN_FLAGS
from mmsync.formats.types import read_at
from mmsync.plan import Change, Plan, plan_digest
from mmsync.printable import printable

try:
    import fcntl
except ImportError:  # Windows: there, appending alone keeps the lines of two processes apart
    fcntl = None  # type: ignore[assignment]

_PATIENCE = 10.0  # seconds another process may take to append its lines
_POLL = 0.01  # seconds between two attempts to lock the file


Event = Literal["start", "change", "read-back"]


class Origin(NamedTuple):
    """Who and what makes a run; empty where nothing is known."""

    actor: str = ""  # a login, or user@host
    run: str = ""  # the address of the CI job
    repository: str = ""
    commit: str = ""


class AuditFile:
    """The file that the record is appended to, made where it is missing, for its owner alone.

    Several processes may append to one. ``now`` returns seconds since the epoch.

    Attributes:
        error: What kept the last run's record from being whole; None where it is.
    """

    def __init__(self, path: str, origin: Origin, *, now: Callable[[], float]) -> None:
        self.path = path
        self.error: AuditError | None = None
        self._origin = origin
        self._now = now

    def check(self) -> None:
        """Raise `AuditError` where the file cannot be appended to, or holds something else."""
        with self._opened():
            pass

    @contextlib.contextmanager
    def record(self, plan: Plan) -> Iterator[Recorder]:
        """Open the record of one run and note its start; raises `AuditError` where that cannot be.

        Nor can it be in a file that the plan reads a model from.
        """
        self.error = None
        with self._opened() as appender:
            keys = (change.content.key for change in (*plan.changes, *plan.unchanged) if change.content)
            if appender.file in ((key.dev, key.ino) for key in keys):
                why = f"the audit record {printable(self.path, 4096)} is a listed model's file; it was left as it is"
                raise AuditError(why, _OTHER)
            recorder = Recorder(self, appender, plan)
            recorder.start()
            try:
                yield recorder
            finally:
                recorder.close()

    def head(self, event: Event, plan: Plan, digest: str) -> dict[str, Any]:
        """Return what every line begins with."""
        moment = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        return {
            "time": moment.replace("+00:00", "Z"),
            "event": event,
            **self._origin._asdict(),
            "mmsync_version": __version__,
            "server": plan.server.url,
            "domain": plan.server.domain,
            "digest": digest,
        }

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_Appender]:
        try:
            appender = _Appender(self.path)
        except OSError as error:
            why = error.strerror or str(error)
            raise AuditError(f"cannot open the audit record {printable(self.path, 4096)}: {why}", _OTHER) from error
        with contextlib.closing(appender):
            yield appender


class Recorder:
    """The record of one run; safe in threads. Once a line cannot be written, none is."""

    def __init__(self, file: AuditFile, appender: _Appender, plan: Plan) -> None:
        self._file = file
        self._append = appender.append
        self._plan = plan
        self._digest = plan_digest(plan)
        self._lock = threading.Lock()
        self._recorded: dict[str, Attempt] = {}
        self._is_open = True

    def start(self) -> None:
        """Note that the run begins; raises `AuditError`."""
        counts = Counter(change.action for change in self._plan.changes)
        summary = {action: counts[action] for action in ("add", "change", "delete")}
        self._write([{**self._file.head("start", self._plan, self._digest), "summary": summary}], _NOTHING)
        if self._file.error is not None:
            raise self._file.error

    def attempted(self, attempt: Attempt) -> bool:
        """Note what became of a change; return whether that is on the disk, and more may be begun."""
        with self._lock:
            if not self._is_open:
                return False
            self._recorded[attempt.outcome.change.name] = attempt
        return self._write([self._line("change", attempt.outcome, attempt.image_id)], _SOME)

    def settled(self, outcomes: Iterable[Outcome]) -> None:
        """Note what the read-back showed, and the changes that the server had not answered at the end."""
        with self._lock:
            recorded = dict(self._recorded)
        lines = []
        for outcome in outcomes:
            attempt = recorded.get(outcome.change.name)
            if attempt is None and outcome.status != "not-attempted":
                lines.append(self._line("change", outcome, None))
            elif attempt and attempt.outcome.status == "applied" and outcome.status != "applied":
                lines.append(self._line("read-back", outcome, attempt.image_id))
        if lines:
            self._write(lines, _SOME)

    def close(self) -> None:
        """Take no more."""
        with self._lock:
            self._is_open = False

    def _line(self, event: Event, outcome: Outcome, image_id: int | str | None) -> dict[str, Any]:
        change = outcome.change
        before, after = change.before, change.after
        was = {"sha256": before.sha256, "engine": before.engine, "image_id": before.image_id} if before else None
        return {
            **self._file.head(event, self._plan, self._digest),
            "action": change.action,
            "name": change.name,
            "before": was,
            "after": {"sha256": after.sha256, "engine": after.engine, "image_id": image_id} if after else None,
            "description_changed": _changes_description(change),
            "outcome": outcome.status,
            "code": outcome.code,
        }

    def _write(self, lines: Sequence[dict[str, Any]], hint: str) -> bool:
        if self._file.error is not None:
            return False
        # ASCII: whatever a name holds, no line ends in it and no terminal is at risk.
        try:
            self._append("".join(f"{json.dumps(line)}\n" for line in lines).encode("ascii"))
        except OSError as error:
            if not self._is_open:
                return False  # a worker that came to its end after the run's
            why = f"cannot write the audit record {printable(self._file.path, 4096)}: {error.strerror or error}"
            self._file.error = self._file.error or AuditError(why, hint)
            return False
        return True


_NOTHING = "nothing was written to the server"
_OTHER = f"{_NOTHING}; name another file with --audit"
_SOME = "what was under way has ended, and nothing more was begun: mend it, and apply again"


def _changes_description(change: Change) -> bool:
    if change.action == "add":
        return bool(change.after and change.after.description)
    return "description" in change.reasons


class _Appender:
    """A regular file, open for appending; every method raises OSError."""

    def __init__(self, path: str) -> None:
        # Read as well: its end is looked at. What it is opened with besides (O_RDONLY is 0) never waits for a FIFO.
        self._descriptor = os.open(path, OPEN_FLAGS | os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()
        try:
            _check_content(self._descriptor)
            _sync_folder(Path(path))
        except BaseException:
            self.close()
            raise

    @property
    def file(self) -> tuple[int, int]:
        """The device and inode, which no other file has."""
        found = os.fstat(self._descriptor)
        return found.st_dev, found.st_ino

    def append(self, lines: bytes) -> None:
        """Put whole lines at the end, on a line of their own, and on the disk."""
        with self._lock:
            descriptor = self._descriptor
            if descriptor < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._lock_file()
            try:
                found = os.fstat(descriptor)
                if not found.st_nlink:
                    raise OSError(errno.ENOENT, "it was removed meanwhile")
                # Of a process that was killed, or found the disk full, half a line may be left.
                if found.st_size and read_at(descriptor, 1, found.st_size - 1) != b"\n":
                    lines = b"\n" + lines
                while lines:  # where a part was written, the next attempt says why it was no more
                    lines = lines[os.write(descriptor, lines) :]
            finally:
                if fcntl:
                    with contextlib.suppress(OSError):
                        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.fsync(descriptor)

    def close(self) -> None:
        with self._lock:
            # Whoever comes late must not write to another file of the same number.
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _lock_file(self) -> None:
        end = time.monotonic() + _PATIENCE
        while fcntl:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise OSError(errno.EAGAIN, "another process keeps it locked") from error
                time.sleep(_POLL)
            else:
                return


def _check_content(descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if read_at(descriptor, 1, 0) not in (b"", b"{", b"\n"):
        raise OSError(errno.EEXIST, "it holds something else, and was left as it is")


def _sync_folder(path: Path) -> None:
    """Put the name of the file on the disk too, where the file system can: it may be new."""
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
