"""Progress on stderr while a run hashes, verifies and uploads: bars on a terminal, elsewhere a line now and then.

It is commentary: it never fails a run, whatever becomes of the stream, and a run that is over at once shows nothing
of it and does not even load what draws. (Longer than other modules: two ways of drawing stand behind one sink.)
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from threading import Lock
from typing import IO, TYPE_CHECKING

from mmsync.apply.outcome import Downloads
from mmsync.report.format import counted, human_bytes
from mmsync.report.progress import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

    from mmsync.apply.outcome import Event, Phase

__all__ = ["Sink", "progress"]

_BARS_AFTER = 0.4  # seconds: what is over sooner needs no bars
_FIRST_LINE = 5.0
_NEXT_LINE = 10.0
_REDRAWS = 5  # a second


@contextmanager
def progress(
    stream: IO[str],
    *,
    interactive: bool | None = None,
    quiet: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Sink]:
    """Show the progress of what is done inside.

    Args:
        stream: Where to, stderr as a rule.
        interactive: Whether to draw bars; None asks the stream and ``TERM``.
        quiet: Whether to show nothing at all.
        clock: Seconds, monotonic.

    Yields:
        What to call with every event; threads may call it at once.
    """
    if quiet:
        yield Sink()
        return
    sink = _Bars(stream, clock) if _draws(stream, interactive=interactive) else _Lines(stream, clock)
    try:
        yield sink
    finally:
        sink.close()


class Sink:
    """Takes events; this one shows nothing."""

    def __call__(self, event: Event) -> None:
        """Take one event of an apply, or a ``Progress`` of hashing and verifying."""

    def expect(self, phase: Phase, *, models: int = 0, total_bytes: int = 0) -> None:
        """Say what a phase will come to, so that time left can be told."""

    def notice(self, sentence: str) -> bool:
        """Show a sentence above what is drawn, until that is taken away; return False where nothing is drawn.

        It may be called by a signal handler.
        """
        del sentence
        return False

    def close(self) -> None:
        """Take away what is drawn."""


class _Lines(Sink):
    """One plain line now and then, written by the thread whose event finds it due."""

    def __init__(self, stream: IO[str], clock: Callable[[], float]) -> None:
        self._stream = _Unfailing(stream)
        self._clock = clock
        self._gauge = Gauge()
        self._lock = Lock()
        self._due = clock() + _FIRST_LINE

    def __call__(self, event: Event) -> None:
        self._gauge.take(event)
        now = self._clock()
        if isinstance(event, Downloads):
            self._stream.write(f"{_announced(event)}\n")
            self._stream.flush()
        if now < self._due:
            return
        with self._lock:
            if now < self._due:
                return  # another thread was quicker
            self._due = now + _NEXT_LINE
            sentence = self._gauge.sentence(now)
            if sentence:
                self._stream.write(f"{sentence}\n")
                self._stream.flush()

    def expect(self, phase: Phase, *, models: int = 0, total_bytes: int = 0) -> None:
        self._gauge.expect(phase, models=models, total_bytes=total_bytes)


class _Bars(Sink):
    """Bars redrawn by a thread of rich's, which starts once there is something worth watching."""

    def __init__(self, stream: IO[str], clock: Callable[[], float]) -> None:
        self._stream = _Unfailing(stream)
        self._clock = clock
        self._gauge = Gauge()
        self._lock = Lock()
        self._begins = clock() + _BARS_AFTER
        self._live: Live | None = None
        self._is_settled = False  # drawing, or never to be
        self._notice = ""

    def __call__(self, event: Event) -> None:
        self._gauge.take(event)
        if isinstance(event, Downloads):
            with self._lock, suppress(Exception):
                if self._live:
                    self._live.console.print(_announced(event), markup=False, highlight=False)  # above the bars
                else:
                    self._stream.write(f"{_announced(event)}\n")
        if not self._is_settled and self._clock() >= self._begins:
            with self._lock:
                if not self._is_settled:
                    self._is_settled = True
                    with suppress(Exception):  # no terminal oddity is worth a run
                        self._start()

    def expect(self, phase: Phase, *, models: int = 0, total_bytes: int = 0) -> None:
        self._gauge.expect(phase, models=models, total_bytes=total_bytes)

    def notice(self, sentence: str) -> bool:
        self._notice = sentence
        return self._live is not None

    def close(self) -> None:
        with self._lock:
            self._is_settled = True
            live, self._live = self._live, None
        if live:
            with suppress(Exception):  # the same
                live.stop()

    def _start(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - loading rich takes longer than many a run
        from rich.live import Live  # noqa: PLC0415 - the same

        console = Console(file=self._stream, force_terminal=True, legacy_windows=False)  # type: ignore[arg-type]  # it writes, flushes and tells its encoding
        # Known before it draws: a notice that comes while it begins belongs into it.
        live = self._live = Live(
            get_renderable=lambda: _Frame(self._gauge, self._clock, self._notice),
            console=console,
            refresh_per_second=_REDRAWS,
            transient=True,
            redirect_stdout=False,  # stdout is the answer, and goes elsewhere
            redirect_stderr=False,
        )
        live.start(refresh=True)
        console.show_cursor(show=True)  # rich hides it; a killed run would leave it so


def _announced(event: Downloads) -> str:
    return (
        f"Downloading {counted(event.models, 'model')} ({human_bytes(event.total_bytes)}) of the size of their files, "
        "to compare them; the ledger remembers what they hold (with --verify never they are left alone instead)"
    )


class _Frame:
    """What rich draws: the gauge's lines, at the width there is at that moment."""

    def __init__(self, gauge: Gauge, clock: Callable[[], float], notice: str) -> None:
        self._gauge = gauge
        self._clock = clock
        self._notice = notice

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text  # noqa: PLC0415 - loaded by now

        if self._notice:
            yield Text(self._notice, "bold", end="\n")
        # A column is left free: some terminals wrap a line that fills the last one.
        for line in self._gauge.lines(self._clock(), max(options.max_width - 1, 10)):
            shown = line if options.encoding.startswith("utf") else line.translate(_ASCII)
            text = Text(shown, no_wrap=True, overflow="crop", end="\n")
            text.highlight_regex("[━#]+", "green")
            yield text


_ASCII = str.maketrans({"━": "#", "─": ".", "…": "~"})


class _Unfailing:
    """A stream that swallows what cannot be written, and from then on everything."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_broken = False

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        if not self._is_broken:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # gone, closed, or of an encoding that cannot say it
                self._is_broken = True
        return len(text)

    def flush(self) -> None:
        if not self._is_broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._is_broken = True

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False


def _draws(stream: IO[str], *, interactive: bool | None) -> bool:
    if interactive is not None:
        return interactive
    return _Unfailing(stream).isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
