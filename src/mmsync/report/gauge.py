"""How far a run is: events in, a few lines out. It draws nothing and asks no clock; any thread may feed it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from mmsync.apply.outcome import Finished, Progress, Started, Verified
from mmsync.report.bar import bar_line, shortened
from mmsync.report.shown import shown_name
from mmsync.report.sizes import counted, human_bytes, human_seconds

if TYPE_CHECKING:
    from mmsync.apply.outcome import Event, Phase

__all__ = ["Gauge"]

_SPEED_OVER = 10.0  # seconds over which speed is averaged
_CURRENT_SHOWN = 4
_ENOUGH_TO_JUDGE = 1.0  # seconds before a speed is worth telling


class _Tally:
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
        self._phases: dict[Phase, _Tally] = {}
        self._last: Phase | None = None

    def expect(self, phase: Phase, *, models: int = 0, total_bytes: int = 0) -> None:
        """Say what a phase will come to, where that is known beforehand."""
        with self._lock:
            tally = self._phases.setdefault(phase, _Tally())
            tally.expected_models, tally.expected_bytes = models, total_bytes

    def take(self, event: Event) -> None:
        """Take in one event."""
        with self._lock:
            match event:
                case Started(change):
                    size = change.after.size if change.after and change.uploads else 0
                    self._tally("uploading").current[change.name] = (0, size)
                case Progress(name, phase, done, total):
                    tally = self._tally(phase)
                    if phase != "uploading" and done >= total:
                        tally.settle(name, total)  # nothing else tells the end of these
                    else:
                        tally.current[name] = (done, total)
                case Finished(outcome):
                    change = outcome.change
                    # Settled whatever became of it: what failed is not waited for any more.
                    size = change.after.size if change.after and change.uploads else 0
                    self._tally("uploading").settle(change.name, size)
                case Verified():
                    pass

    def _tally(self, phase: Phase) -> _Tally:
        self._last = phase
        return self._phases.setdefault(phase, _Tally())

    def sentence(self, now: float) -> str:
        """Return where the run is as one plain sentence without a full stop; empty before anything happened."""
        with self._lock:
            if self._last is None:
                return ""
            tally = self._phases[self._last]
            count = (
                f"{tally.models:,} of {counted(tally.expected_models, 'model')}"
                if tally.expected_models
                else counted(tally.models, "model")
            )
            return ", ".join(
                [
                    f"{self._last.capitalize()}: {count}",
                    *self._figures(tally, now, f"{human_bytes(tally.done)} of {human_bytes(tally.total)}"),
                ]
            )

    def lines(self, now: float, width: int) -> list[str]:
        """Return the whole as one line, then a line for each of the first few models in flight, none too wide."""
        with self._lock:
            if self._last is None:
                return []
            tally = self._phases[self._last]
            count = f"{tally.models:,}/{tally.expected_models:,}" if tally.expected_models else f"{tally.models:,}"
            by_bytes = tally.total > 0 and (tally.expected_bytes > 0 or not tally.expected_models)
            share = tally.done / tally.total if by_bytes else tally.models / max(tally.expected_models, 1)
            lines = [
                bar_line(
                    f"{self._last.capitalize()} {count}",
                    share,
                    self._figures(tally, now, _of(tally.done, tally.total)),
                    width,
                )
            ]
            for name, (done, total) in list(tally.current.items())[:_CURRENT_SHOWN]:
                if total:
                    figures = [_of(done, total)]
                    lines.append(
                        bar_line("  " + shortened(shown_name(name), max(width // 3, 10)), done / total, figures, width)
                    )
            more = len(tally.current) - _CURRENT_SHOWN
            return [*lines, shortened(f"  and {more:,} more", width)] if more > 0 else lines

    def _figures(self, tally: _Tally, now: float, amount: str) -> list[str]:
        done, total = tally.done, tally.total
        if not total:
            return []
        speed = tally.speed(now)
        figures = [amount]
        if speed:
            figures.append(f"{human_bytes(round(speed))}/s")
            if tally.expected_bytes and done < total:
                figures.append(f"{human_seconds((total - done) / speed)} left")
        return figures


def _of(done: int, total: int) -> str:
    """Return ``1.2/3.4 MB``, or both units where they differ."""
    (some, unit), (whole, last) = human_bytes(done).split(" "), human_bytes(total).split(" ")
    return f"{some}/{whole} {last}" if unit == last or not done else f"{some} {unit}/{whole} {last}"
