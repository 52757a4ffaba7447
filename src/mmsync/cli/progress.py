"""Progress on stderr while a run hashes, verifies and uploads: bars on a terminal, elsewhere a line now and then.

It is commentary: it never fails a run, whatever becomes of the stream, and a run that is over at once shows nothing
of it and does not even load what draws.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import IO, Any

from mmsync.apply.outcome import Downloads, Event, Finished, Outcome, Phase, Progress, Started
from mmsync.cli.output import colour, write_to_log
from mmsync.plan import Change
from mmsync.quantities import counted, human_bytes, human_seconds
from mmsync.report.layout import display_name

_MOST_BARS = 4  # of single models


@contextmanager
def progress(
    stream: IO[str],
    *,
    interactive: bool | None = None,
    quiet: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Sink]:
    """Show the progress of what is done inside; yield what to call with every event, from any thread.

    Args:
        interactive: Whether to draw bars; None asks the stream and ``TERM``.
        quiet: Whether to show nothing at all.
        clock: Seconds, monotonic.
    """
    safe = _Unfailing(stream, is_broken=quiet)
    if interactive is None:
        interactive = safe.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    with closing(_Bars(safe, clock) if interactive and not quiet else Sink(safe, clock)) as sink:
        if not quiet:
            _displays.append(sink)
        try:
            yield sink
        finally:
            if not quiet:
                _displays.remove(sink)


_displays: list[Sink] = []  # what is on stderr right now


def announce(sentence: str) -> None:
    """Write a line to stderr, above what is drawn there; from any thread, and whatever becomes of it."""
    with suppress(IndexError):
        _displays[-1].announce(sentence)
        return
    with suppress(OSError, ValueError):
        write_to_log(f"{sentence}\n")


@dataclass(slots=True)
class _Totals:
    """Counts of one phase."""

    phase: Phase
    models: int = 0  # done
    left: int = 0  # failed or skipped
    ended: int = 0  # bytes of these
    current: dict[str, tuple[int, int]] = field(default_factory=dict)  # in flight: name → (bytes done, bytes in all)
    expected_models: int = 0
    expected_bytes: int = 0

    def bytes(self) -> tuple[int, int]:
        """Return the bytes done, and the bytes in all."""
        total = self.ended + sum(total for _, total in self.current.values())
        return self.ended + sum(done for done, _ in self.current.values()), max(self.expected_bytes, total)

    def end(self, name: str, size: int) -> None:
        self.current.pop(name, None)
        self.models += 1
        self.ended += size

    def leave(self, name: str, size: int) -> None:
        """Wait no more for what was not done."""
        self.current.pop(name, None)
        self.left += 1
        self.expected_bytes = max(self.expected_bytes - size, 0)


class Sink:
    """A taker of events. One plain line now and then is written by the thread whose event finds it due.

    A run hashes, verifies and uploads one after the other: the phase last heard of is shown.
    """

    first, every = 5.0, 10.0  # seconds before the first line, and between two

    def __init__(self, stream: _Unfailing, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._due = clock() + self.first
        self._lock = Lock()
        self._phases: dict[Phase, _Totals] = {}
        self._last: _Totals | None = None
        self._before: tuple[Phase, float, int] | None = None  # what the last line was about, when, and the bytes done

    def __call__(self, event: Event) -> None:
        """Take one event of an apply, or a ``Progress`` of hashing and verifying."""
        with self._lock:
            match event:
                case Started(change):
                    self._phase("uploading").current[change.name] = (0, _upload_size(change))
                case Finished(Outcome(change) as outcome):
                    # Ended whatever became of it: what failed is not waited for any more, nor told as sent.
                    end = self._phase("uploading").end if outcome.ok else self._phase("uploading").leave
                    end(change.name, _upload_size(change))
                case Progress(name, phase, done, total) if phase != "uploading" and done >= total:
                    self._phase(phase).end(name, total)  # nothing else tells the end of these
                case Progress(name, phase, done, total):
                    self._phase(phase).current[name] = (done, total)
                case Downloads(models, total):
                    totals = self._phase("verifying")
                    totals.expected_models, totals.expected_bytes = models, total
                    self._announce(
                        f"Downloading {counted(models, 'model')} ({human_bytes(total)}) of the size of their files, to "
                        "compare them; the ledger remembers what they hold (with --verify never they are left alone "
                        "instead)"
                    )
            if self._last is not None and (now := self._clock()) >= self._due:
                self._due = now + self.every
                self._show(self._last, now)

    def expect(self, phase: Phase, *, models: int = 0, total_bytes: int = 0) -> None:
        """Say what a phase will come to, so that time left can be told."""
        with self._lock:
            totals = self._phases.setdefault(phase, _Totals(phase))
            totals.expected_models, totals.expected_bytes = models, total_bytes

    def announce(self, sentence: str) -> None:
        """Write a line, above what is drawn."""
        with self._lock:
            self._announce(sentence)

    def notice(self, sentence: str) -> bool:
        """Show a sentence above what is drawn, until that is taken away; return False where nothing is drawn.

        It may be called by a signal handler.
        """
        del sentence
        return False

    def close(self) -> None:
        """Take away what is drawn."""

    def _phase(self, phase: Phase) -> _Totals:
        self._last = self._phases.setdefault(phase, _Totals(phase))
        return self._last

    def _announce(self, sentence: str) -> None:
        self._stream.write(f"{sentence}\n")
        self._stream.flush()

    def _show(self, totals: _Totals, now: float) -> None:
        count = counted(totals.models, "model")
        if totals.expected_models:
            count = f"{totals.models:,} of {counted(totals.expected_models, 'model')}"
        count += f" ({totals.left:,} not done)" if totals.left else ""
        parts = [f"{totals.phase.capitalize()}: {count}"]
        done, total = totals.bytes()
        if total:
            parts.append(f"{human_bytes(done)} of {human_bytes(total)}")
            if self._before and self._before[0] == totals.phase and done > self._before[2]:
                speed = (done - self._before[2]) / (now - self._before[1])
                parts.append(f"{human_bytes(round(speed))}/s")
                if totals.expected_bytes and done < total:
                    parts.append(f"{human_seconds((total - done) / speed)} left")
        self._before = totals.phase, now, done
        self._announce(", ".join(parts))


def _upload_size(change: Change) -> int:
    return change.after.size if change.after and change.uploads else 0


class _Bars(Sink):
    """Bars drawn by ``rich.progress``, which is loaded once there is something worth watching."""

    first, every = 0.4, 0.2  # seconds before the first bar (what is over sooner needs none), and between two redraws

    def __init__(self, stream: _Unfailing, clock: Callable[[], float]) -> None:
        super().__init__(stream, clock)
        self._drawn: Any = None  # rich's Progress
        # A bar for the phase, by it and "", and for each of a few models, by it and the name.
        self._tasks: dict[tuple[str, str], Any] = {}
        self._notice = ""

    def notice(self, sentence: str) -> bool:
        self._notice = sentence
        return self._drawn is not None

    def close(self) -> None:
        with self._lock:
            self._due = float("inf")
            drawn, self._drawn = self._drawn, None
        if drawn is not None:
            with suppress(Exception):  # no terminal oddity is worth a run
                drawn.stop()

    def _announce(self, sentence: str) -> None:
        if self._drawn is None:
            super()._announce(sentence)
        else:
            with suppress(Exception):  # the same
                self._drawn.console.print(sentence, markup=False, highlight=False)  # above the bars

    def _show(self, totals: _Totals, _now: float) -> None:
        with suppress(Exception):  # the same
            if self._drawn is None:
                self._start()
            shown = [name for name, (_, total) in totals.current.items() if total][:_MOST_BARS]
            models = f"{totals.models:,}" + (f"/{totals.expected_models:,}" if totals.expected_models else "")
            models += f" ({totals.left:,} not done)" if totals.left else ""
            phase, (began, total) = totals.phase, totals.bytes()
            # Where nobody said what the phase comes to, what has begun is no whole to take a share of.
            whole = total if totals.expected_bytes else None
            rows: list[tuple[tuple[str, str], str, int, int | None]] = [
                ((phase, ""), f"{phase.capitalize()} {models}", began, whole)
            ]
            rows += [((phase, name), f"  {display_name(name)}", *totals.current[name]) for name in shown]
            for key in self._tasks.keys() - {key for key, *_ in rows}:
                self._drawn.remove_task(self._tasks.pop(key))
            for key, label, done, size in rows:
                if key not in self._tasks:
                    self._tasks[key] = self._drawn.add_task(label, total=size, first=not key[1])
                self._drawn.update(self._tasks[key], description=label, completed=done, total=size)

    def _start(self) -> None:
        from rich import console as terminal, progress as bars, table, text  # noqa: PLC0415 - longer than many a run

        class First(bars.ProgressColumn):
            """A column for the phase alone."""

            def __init__(self, column: bars.ProgressColumn) -> None:
                super().__init__(table.Column(no_wrap=True))
                self._column = column

            def render(self, task: bars.Task) -> Any:
                return self._column.render(task) if task.fields["first"] else text.Text("")

        class Drawn(bars.Progress):
            """The bars, below the notice of a stop."""

            def get_renderables(this) -> Iterable[Any]:  # noqa: N805 - ``self`` is the sink
                if self._notice:
                    yield text.Text(self._notice, "bold")
                yield from super().get_renderables()

        stream: Any = self._stream  # it writes, flushes and tells its encoding, which is all that rich needs
        plain = not colour(stream)
        console = terminal.Console(file=stream, force_terminal=True, no_color=plain, legacy_windows=False)
        label = table.Column(no_wrap=True, overflow="ellipsis", max_width=max(console.width // 3, 16))
        self._drawn = Drawn(
            bars.TextColumn("{task.description}", markup=False, table_column=label),
            bars.BarColumn(bar_width=None, style="dim", complete_style="green", finished_style="green"),
            bars.DownloadColumn(table_column=table.Column(no_wrap=True)),
            First(bars.TransferSpeedColumn()),
            First(bars.TimeRemainingColumn()),
            console=console,
            expand=True,
            refresh_per_second=1 / self.every,
            get_time=self._clock,
            transient=True,
            redirect_stdout=False,  # stdout is the answer, and goes elsewhere
            redirect_stderr=False,
        )
        self._drawn.start()
        console.show_cursor(show=True)  # rich hides it; a killed run would leave it so


class _Unfailing:
    """A stream that swallows what cannot be written, and from then on everything."""

    def __init__(self, stream: IO[str], *, is_broken: bool) -> None:
        self._stream = stream
        self._is_broken = is_broken

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def isatty(self) -> bool:
        return bool(self._try(self._stream.isatty))

    def _try(self, call: Callable[..., object], *args: str) -> object:
        if not self._is_broken:
            try:
                return call(*args)
            except (OSError, ValueError):  # gone, closed, or of an encoding that cannot say it
                self._is_broken = True
        return None
