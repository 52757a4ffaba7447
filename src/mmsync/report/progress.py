"""How far a run is: events in, a few lines out. It draws nothing and asks no clock; any thread may feed it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from mmsync.apply.outcome import Downloads, Finished, Progress, Started, Verified
from mmsync.report.format import counted, human_bytes, human_part, human_seconds
from mmsync.report.layout import columns, display_name

if TYPE_CHECKING:
    from mmsync.apply.outcome import Event, Phase

__all__ = ["Gauge", "bar_line", "shortened"]

_WIDEST_BAR = 30
_NARROWEST_BAR = 6


def bar_line(label: str, share: float, figures: list[str], width: int) -> str:
    """Return label, bar and figures in ``width`` columns; what does not fit is left out, the last figure first."""
    while figures and columns(label) + columns("  ".join(figures)) + 4 > width:
        figures = figures[:-1]
    tail = "  ".join(figures)
    room = min(width - columns(label) - columns(tail) - 4, _WIDEST_BAR)
    bar = _bar(share, room) if room >= _NARROWEST_BAR else ""
    return shortened("  ".join(part for part in (label, bar, tail) if part), width)


def _bar(share: float, room: int) -> str:
    full = round(min(max(share, 0.0), 1.0) * room)
    return "━" * full + "─" * (room - full)


def shortened(text: str, room: int) -> str:
    """Return ``text`` in at most ``room`` columns, its middle left out where it is wider: for a glance, not to copy."""
    if columns(text) <= room:
        return text
    head, tail = text[: room // 2], text[-(room // 2) :] if room > 1 else ""
    while head and columns(head) + columns(tail) + 1 > room:
        if len(head) > len(tail):
            head = head[:-1]
        else:
            tail = tail[1:]
    return f"{head}…{tail}"


_SPEED_OVER = 10.0  # seconds over which speed is averaged
_CURRENT_SHOWN = 4
_ENOUGH_TO_JUDGE = 1.0  # seconds before a speed is worth telling


class _Stage:
    """One phase: what is done, what is in flight as name → (bytes done, bytes in all), and what is expected."""

    def __init__(self) -> None:
        self.models = 0
        self.settled = 0
        self.current: dict[str, tuple[int, int]] = {}
        self.expected_models = 0
        self.expected_bytes = 0
        self.samples: deque[tuple[float, int]] = deque()

    @property
    def done(self) -> int:
        return self.settled + sum(done for done, _ in self.current.values())

    @property
    def total(self) -> int:
        return max(self.expected_bytes, self.settled + sum(total for _, total in self.current.values()))

    def settle(self, name: str, size: int) -> None:
        self.current.pop(name, None)
        self.models += 1
        self.settled += size

    def speed(self, now: float) -> float:
        """Bytes a second over the last moments; 0 where too little is known. Each call adds a sample."""
        done = self.done
        self.samples.append((now, done))
        while len(self.samples) > 2 and now - self.samples[0][0] > _SPEED_OVER:  # noqa: PLR2004 - two make a slope
            self.samples.popleft()
        since, before = self.samples[0]
        return max(done - before, 0) / (now - since) if now - since >= _ENOUGH_TO_JUDGE else 0.0


class Gauge:
    """Takes events and byte counts, and says where the run is.

    It shows the phase that was heard of last: a run hashes, verifies and uploads one after the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[Phase, _Stage] = {}
        self._last: Phase | None = None

    def expect(self, phase: Phase, *, models: int = 0, total_bytes: int = 0) -> None:
        """Say what a phase will come to, where that is known beforehand."""
        with self._lock:
            stage = self._phases.setdefault(phase, _Stage())
            stage.expected_models, stage.expected_bytes = models, total_bytes

    def take(self, event: Event) -> None:
        """Take in one event."""
        with self._lock:
            match event:
                case Started(change):
                    size = change.after.size if change.after and change.uploads else 0
                    self._stage("uploading").current[change.name] = (0, size)
                case Progress(name, phase, done, total):
                    stage = self._stage(phase)
                    if phase != "uploading" and done >= total:
                        stage.settle(name, total)  # nothing else tells the end of these
                    else:
                        stage.current[name] = (done, total)
                case Downloads(models, total):
                    stage = self._stage("verifying")
                    stage.expected_models, stage.expected_bytes = models, total
                case Finished(outcome):
                    change = outcome.change
                    # Settled whatever became of it: what failed is not waited for any more.
                    size = change.after.size if change.after and change.uploads else 0
                    self._stage("uploading").settle(change.name, size)
                case Verified():
                    pass

    def _stage(self, phase: Phase) -> _Stage:
        self._last = phase
        return self._phases.setdefault(phase, _Stage())

    def sentence(self, now: float) -> str:
        """Return where the run is as one plain sentence without a full stop; empty before anything happened."""
        with self._lock:
            if self._last is None:
                return ""
            stage = self._phases[self._last]
            count = (
                f"{stage.models:,} of {counted(stage.expected_models, 'model')}"
                if stage.expected_models
                else counted(stage.models, "model")
            )
            amount = f"{human_bytes(stage.done)} of {human_bytes(stage.total)}"
            return ", ".join([f"{self._last.capitalize()}: {count}", *self._figures(stage, now, amount)])

    def lines(self, now: float, width: int) -> list[str]:
        """Return the whole as one line, then a line for each of the first few models in flight, none too wide."""
        with self._lock:
            if self._last is None:
                return []
            stage = self._phases[self._last]
            count = f"{stage.models:,}/{stage.expected_models:,}" if stage.expected_models else f"{stage.models:,}"
            by_bytes = stage.total > 0 and (stage.expected_bytes > 0 or not stage.expected_models)
            share = stage.done / stage.total if by_bytes else stage.models / max(stage.expected_models, 1)
            figures = self._figures(stage, now, human_part(stage.done, stage.total))
            lines = [bar_line(f"{self._last.capitalize()} {count}", share, figures, width)]
            for name, (done, total) in list(stage.current.items())[:_CURRENT_SHOWN]:
                if total:
                    label = "  " + shortened(display_name(name), max(width // 3, 10))
                    lines.append(bar_line(label, done / total, [human_part(done, total)], width))
            more = len(stage.current) - _CURRENT_SHOWN
            return [*lines, shortened(f"  and {more:,} more", width)] if more > 0 else lines

    def _figures(self, stage: _Stage, now: float, amount: str) -> list[str]:
        done, total = stage.done, stage.total
        if not total:
            return []
        speed = stage.speed(now)
        figures = [amount]
        if speed:
            figures.append(f"{human_bytes(round(speed))}/s")
            if stage.expected_bytes and done < total:
                figures.append(f"{human_seconds((total - done) / speed)} left")
        return figures
