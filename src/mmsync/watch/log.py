"""What the watcher says, for a person or for a program.

Every record has an event name that stays, a message a person can act on, and its figures in fields of their own:
nothing has to be parsed out of the message, and the same situation gives the same message.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["EVENTS", "Level", "Log"]

Level = Literal["info", "warning", "error"]

EVENTS = {
    "watch_started": "the watcher runs",
    "watch_stopping": "a signal asked it to end; what is in flight finishes",
    "watch_stopped": "it has ended",
    "watch_listening": "where models are looked for, and how changes become known",
    "server_reached": "the server that is kept in step",
    "reconcile_asked": "SIGHUP: everything is looked at and tried anew",
    "model_unlisted": "a model's file is gone, so nothing lists it any more",
    "model_listed": "a file was found that makes a model",
    "reconciled": "the server was changed, or looked at anew after trouble",
    "model_added": "a model was added",
    "model_changed": "a model was changed",
    "model_deleted": "a model was deleted",
    "model_failed": "a model could not be applied, or its file cannot be used",
    "model_recovered": "a model that had failed is as it should be",
    "drift_found": "the server was changed by other hands",
    "orphans_found": "models on the server inside scope that nothing lists, and that are not deleted",
    "orphans_gone": "there are none any more",
    "drift_gone": "drift was repaired, or went away",
    "manifest_failed": "the manifest has faults; the last good one stays in force",
    "manifest_recovered": "the manifest is good again",
    "manifest_loaded": "a new manifest is in force",
    "server_failed": "the server cannot be reached or refuses us",
    "server_recovered": "the server answers again",
    "token_failed": "the token is refused or cannot be read",
    "token_recovered": "the token is accepted again",
    "plan_refused": "a guard forbids deleting; all else goes on",
    "plan_allowed": "no guard forbids deleting any more",
    "disk_failed": "a disk on this machine is full or fails",
    "disk_recovered": "the disk works again",
    "ledger_failed": "the local cache cannot be used or kept; rounds take longer",
    "ledger_recovered": "the local cache can be used again",
    "root_failed": "a folder of models vanished, is empty or cannot be listed",
    "root_recovered": "the folder is there again",
    "root_replaced": "a folder of models returned or is another one: what it lacks is not deleted for now",
    "root_trusted": "it has stayed: what it lacks counts as removed again",
    "events_failed": "file events are not (all) available; files are looked at on a timer",
    "events_recovered": "file events are complete again",
    "notice": "something to know",
    "notice_gone": "it no longer applies",
    "command_failed": "the --on-change command failed",
    "internal_failed": "a defect of mmsync; the watcher carries on",
    "internal_recovered": "the defect did not come again",
}
"""Every event name, with what it means. Names are never renamed; new ones may come."""


class Log:
    """Writes records, one line each.

    Args:
        write: Takes a line with its line end. What it raises as OSError is dropped: a full disk under the log must
            not end the watch.
        now: Seconds since the epoch.
        as_json: One JSON object a line instead of text.
    """

    def __init__(self, write: Callable[[str], object], now: Callable[[], float], *, as_json: bool = False) -> None:
        self._write = write
        self._now = now
        self._as_json = as_json

    def __call__(self, event: str, message: str, *, level: Level = "info", **fields: object) -> None:
        """Write one record.

        Args:
            event: One of EVENTS.
            message: One sentence, the same for the same situation: no durations, no counts of attempts.
            level: How bad it is.
            fields: Figures and names; None is left out.
        """
        self.record(event, message, level, fields)

    def record(self, event: str, message: str, level: Level, fields: Mapping[str, object]) -> None:
        """Write one record, its fields in a mapping."""
        if event not in EVENTS:
            raise ValueError(f"not an event: {event}")
        moment = datetime.fromtimestamp(self._now(), UTC)
        kept = {key: value for key, value in fields.items() if value is not None}
        if self._as_json:
            record = {"time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
            record |= {"level": level, "event": event, "message": printable(message, 2000)}
            # ASCII: a name that is not UTF-8 comes out as its escapes, and no terminal is at risk.
            line = json.dumps(record | kept, default=str)
        else:
            mark = {"info": "", "warning": "warning: ", "error": "error: "}[level]
            line = f"{moment:%Y-%m-%d %H:%M:%SZ} {event}: {mark}{printable(message, 2000)}"
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
            self._write(line + "\n")
