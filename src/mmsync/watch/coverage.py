"""Listening to the right folders, and knowing when that does not suffice."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mmsync.watch.health import Problem
from mmsync.watch.hints import Hints
from mmsync.watch.mounts import file_system, is_silent, read_mounts
from mmsync.watch.probe import Probe
from mmsync.watch.schedule import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmsync.watch.hints import Names
    from mmsync.watch.mounts import Mount

__all__ = ["Coverage"]

_REBUILD = Backoff(first=0.2, longest=5.0)  # after a folder moved or a reader died: likely to succeed, and cheap
_RETRY = Backoff()  # after a limit was hit: somebody has to raise it first
_CALM = 30.0  # seconds after which a rebuild counts as the first again


class Coverage:
    """The events we get, kept alive: made anew when folders change, when the reader dies or goes deaf.

    Args:
        ring: Called from another thread when something may have changed.
        poll: Seconds between two looks at files no event will come from; only for the messages.
        nap: Sleeps the given seconds; the reader of events takes short naps.
        mounts: Reads the table of mounts.
    """

    def __init__(
        self,
        ring: Callable[[], None],
        poll: float,
        nap: Callable[[float], None],
        *,
        mounts: Callable[[], tuple[Mount, ...]] = read_mounts,
    ) -> None:
        self._ring = ring
        self._poll = poll
        self._nap = nap
        self._mounts = mounts
        self._probe = Probe()
        self._hints: Hints | None = None
        self._wanted: dict[str, Names] = {}
        self._silent: dict[str, str] = {}
        self._failure = ""
        self._deaf = False
        self._due_at: float | None = None
        self._rebuilds = 0
        self._retries = 0
        self._built_at = float("-inf")

    @property
    def needs_polling(self) -> bool:
        """Whether some change may come without an event."""
        return self._hints is None or self._deaf or bool(self._hints.uncovered or self._silent) or self._hints.shaken

    @property
    def is_shaken(self) -> bool:
        """Whether a check should not wait for its time: a folder moved, events were lost, the reader died."""
        return self._hints is not None and self._hints.shaken and self._due_at is None

    def follow(self, folders: Mapping[str, Names], now: float) -> None:
        """Listen to these folders from now on; does nothing where they are the ones already listened to."""
        if dict(folders) != self._wanted:
            self._wanted = dict(folders)
            self._build(now)

    def tick(self, now: float) -> bool:
        """Check that events still come, by what can be seen of it; rebuild if need be, not too often.

        Returns:
            Whether the folders should be worked out anew: one of them moved, vanished or came.
        """
        hints = self._hints
        if hints is None:
            lost = not self._wanted
        else:
            if hints.probed and (self._probe.deaf() or self._probe.heard):
                self._deaf = self._probe.deaf()
            lost = hints.shaken or not hints.alive() or self._deaf or bool(hints.moved())
        if lost and self._due_at is None:
            self._due_at = self._built_at + (_REBUILD.delay(self._rebuilds) if self._rebuilds else 0.0)
        if self._due_at is not None and now >= self._due_at:
            self._due_at = None
            if self._wanted and not lost and self._is_limited():
                self._build(now)  # the folders are the same: only the limit may have been raised
                return False
            self._wanted = {}
            return True
        if hints is not None and hints.probed:
            self._probe.knock()
        return False

    def next_due(self) -> float | None:
        """When a rebuild is due; None where none is."""
        return self._due_at

    def problems(self) -> tuple[Problem, ...]:
        """What is to be told about events not coming."""
        every = f"files are looked at every {self._poll:g} s"
        found: list[Problem] = []
        if self._hints is None:
            found.append(_problem(f"no file events ({self._failure}); {every}{_way_on(self._failure)}", "none"))
        elif self._deaf:
            found.append(_problem(f"file events no longer arrive; {every}", "deaf"))
        elif self._hints.uncovered:
            count, of, (first, why) = len(self._hints.uncovered), len(self._wanted), self._hints.uncovered[0]
            found.append(
                _problem(
                    f"{count} of {of} folders cannot be watched for events, {first} for one ({why}); {every}{_way_on(why)}",
                    "incomplete",
                )
            )
        if self._silent:
            folder, kind = min(self._silent.items())
            found.append(
                Problem(
                    "events",
                    "file-system",
                    f"{folder} is on {kind}, where a change may come without an event; {every}",
                    "silent-file-system",
                    "every folder is on a file system with events again",
                    "info",
                )
            )
        return tuple(found)

    def close(self) -> None:
        """Stop listening."""
        self._drop()
        self._probe.close()

    def _build(self, now: float) -> None:
        table = self._mounts()
        self._silent = {folder: kind for folder in self._wanted if is_silent(kind := file_system(folder, table))}
        # The old one first: the limit may leave room for one only. What happens in between is found by the scan
        # that follows every rebuild.
        self._drop()
        self._probe.reset()
        self._due_at = None
        self._rebuilds = self._rebuilds + 1 if now - self._built_at < _CALM else 1
        self._built_at = now
        try:
            self._hints = Hints(self._wanted, self._ring, self._nap, self._probe)
        except (OSError, ImportError, RuntimeError) as error:  # RuntimeError: its thread cannot be started
            self._failure = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if self._hints is not None and not self._hints.uncovered:
            self._retries = 0
        else:
            self._retries += 1
            self._due_at = now + _RETRY.delay(self._retries)
        self._probe.knock()
        self._ring()

    def _is_limited(self) -> bool:
        reasons = (self._failure,) if self._hints is None else (one.reason for one in self._hints.uncovered)
        return all("limit" in reason for reason in reasons)

    def _drop(self) -> None:
        hints, self._hints = self._hints, None
        if hints is not None:
            with contextlib.suppress(OSError):
                hints.close()


def _problem(message: str, code: str) -> Problem:
    return Problem("events", "", message, code, "file events are complete again", "warning")


def _way_on(reason: str) -> str:
    if "watch limit" in reason:
        return " (raise fs.inotify.max_user_watches)"
    if "instance limit" in reason:
        return " (raise fs.inotify.max_user_instances)"
    return ""
