from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time

import pyte
import pytest

from mmsync.apply.outcome import Finished, Outcome, Progress, Started, Verified
from mmsync.cli.progress import progress
from support.sample_plans import add

_MB = 1_000_000


class _Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _upload(sink, name: str, size: int = 4 * _MB, *, done: float = 1.0) -> None:
    change = add(name, size)
    sink(Started(change))
    sink(Progress(name, "uploading", round(size * done), size))
    if done >= 1:
        sink(Finished(Outcome(change, "applied", uploaded=size)))


def test_without_a_terminal_a_line_comes_after_five_seconds_and_then_every_ten():
    clock, stream = _Clock(), io.StringIO()
    with progress(stream, clock=clock) as sink:
        sink.expect("uploading", models=100, total_bytes=400 * _MB)
        for n in range(100):
            clock.now += 0.5
            _upload(sink, f"m{n}")
        sink(Verified(()))
    assert stream.getvalue().splitlines() == [
        "Uploading: 9 of 100 models, 36.0 MB of 400 MB",
        "Uploading: 29 of 100 models, 116 MB of 400 MB, 8.0 MB/s, 36 s left",
        "Uploading: 49 of 100 models, 196 MB of 400 MB, 8.0 MB/s, 26 s left",
        "Uploading: 69 of 100 models, 276 MB of 400 MB, 8.0 MB/s, 16 s left",
        "Uploading: 89 of 100 models, 356 MB of 400 MB, 8.0 MB/s, 5.5 s left",
    ]


def test_a_run_that_is_over_soon_says_nothing_and_loads_nothing():
    script = (
        "import sys\n"
        "from mmsync.cli.progress import progress\n"
        "from mmsync.apply.outcome import Progress\n"
        "for interactive in (True, False):\n"
        "    with progress(sys.stderr, interactive=interactive) as sink:\n"
        "        sink(Progress('m', 'hashing', 1, 2))\n"
        "assert 'rich' not in sys.modules and 'requests' not in sys.modules\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("interactive", [True, False])
def test_quiet_says_nothing(interactive):
    clock, stream = _Clock(), io.StringIO()
    with progress(stream, interactive=interactive, quiet=True, clock=clock) as sink:
        sink.expect("uploading", models=1)
        clock.now += 60
        _upload(sink, "m")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_plain_lines(term, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", term)
    clock, stream = _Clock(), Terminal()
    with progress(stream, clock=clock) as sink:
        clock.now += 6
        _upload(sink, "m", 1000)
    assert stream.getvalue() == "Uploading: 0 models, 0 B of 1.0 kB\n"


@pytest.mark.parametrize("interactive", [True, False])
def test_a_stream_that_breaks_fails_nothing(interactive):
    reading, writing = os.pipe()
    os.close(reading)
    clock = _Clock()
    failures = []
    before = threading.excepthook
    threading.excepthook = failures.append
    try:
        with open(writing, "w", encoding="utf-8", buffering=1) as stream:  # noqa: PTH123 - a descriptor, not a path
            with progress(stream, interactive=interactive, clock=clock) as sink:
                for n in range(5):
                    clock.now += 11
                    _upload(sink, f"m{n}")
            os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # so that closing can flush what was kept
    finally:
        threading.excepthook = before
    assert failures == []


@pytest.mark.parametrize("interactive", [True, False])
def test_a_closed_stream_fails_nothing(interactive):
    clock, stream = _Clock(), io.StringIO()
    stream.close()
    with progress(stream, interactive=interactive, clock=clock) as sink:
        for n in range(5):
            clock.now += 11
            _upload(sink, f"m{n}")
    with progress(stream, clock=clock):
        pass


def test_an_error_inside_passes_through_and_the_bars_are_taken_away():
    clock, stream = _Clock(), io.StringIO()

    def fail() -> None:
        with progress(stream, interactive=True, clock=clock) as sink:
            clock.now += 1
            _upload(sink, "m", done=0.5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "Uploading" in stream.getvalue()
    drawing = [thread for thread in threading.enumerate() if type(thread).__module__.startswith("rich.")]
    for thread in drawing:  # it was told to end, and does so at its next turn
        thread.join(timeout=5)
        assert not thread.is_alive()


def test_many_threads_may_feed_it_and_nothing_is_lost():
    clock, stream = _Clock(), io.StringIO()
    with progress(stream, interactive=False, clock=clock) as sink:
        sink.expect("uploading", models=8_000, total_bytes=8_000)

        def feed(worker: int) -> None:
            for n in range(1_000):
                change = add(f"w{worker}-{n}", 1)
                sink(Started(change))
                sink(Progress(change.name, "uploading", 1, 1))
                sink(Finished(Outcome(change, "applied")))

        workers = [threading.Thread(target=feed, args=(n,)) for n in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        clock.now += 6
        sink(Verified(()))
    assert stream.getvalue() == "Uploading: 8,000 of 8,000 models, 8.0 kB of 8.0 kB\n"


def test_ten_thousand_fast_changes_cost_little():
    clock, stream = _Clock(), io.StringIO()
    events = [
        event
        for n in range(10_000)
        for change in [add(f"m{n}")]
        for event in (Started(change), Finished(Outcome(change, "applied")))
    ]
    began = time.process_time()
    with progress(stream, interactive=True, clock=clock) as sink:
        for event in events:
            sink(event)
    assert time.process_time() - began < 1.0  # about 0.03 s where this was written
    assert stream.getvalue() == ""


def _line(*events, expected=None) -> str:
    """Return the one line that is said after these events."""
    clock, stream = _Clock(), io.StringIO()
    with progress(stream, interactive=False, clock=clock) as sink:
        if expected:
            sink.expect("uploading", models=expected[0], total_bytes=expected[1])
        for event in events[:-1]:
            sink(event)
        clock.now += 6
        sink(events[-1])
    return stream.getvalue().rstrip("\n")


def test_hashing_and_verifying_end_without_being_told():
    assert _line(Verified(())) == ""
    hashed = [Progress("a", "hashing", done * _MB, 2 * _MB) for done in (1, 2)]
    hashed.append(Progress("b", "hashing", 1 * _MB, 4 * _MB))
    assert _line(*hashed) == "Hashing: 1 model, 3.0 MB of 6.0 MB"
    assert _line(*hashed, Progress("a", "verifying", 0, 2 * _MB)) == "Verifying: 0 models, 0 B of 2.0 MB"


def test_what_failed_is_neither_waited_for_nor_told_as_sent():
    failed = Finished(Outcome(add("a", 4 * _MB), "failed", "network"))
    said = _line(Started(add("a", 4 * _MB)), failed, expected=(2, 8 * _MB))
    assert said == "Uploading: 0 of 2 models (1 not done), 0 B of 4.0 MB"


@pytest.mark.parametrize("width", [20, 40, 59, 60, 79, 120, 200])
def test_no_line_is_wider_than_the_terminal(width):
    names = ["\x1b[2J", "a_very_long_name_" * 9, "漢字" * 40, "cafe\u0301" * 40, "more"]
    screen, raw = _screen(width, names)
    assert len(screen) == 5, "the phase and the first four models"
    assert screen[0].startswith("Uploading"[: width // 4])
    assert b"\x1b[2J" not in raw


_WIDE = """
import sys
from mmsync.cli.progress import progress
from mmsync.apply.outcome import Progress
now = 0.0
with progress(sys.stderr, clock=lambda: now) as sink:
    sink.expect("uploading", models=12_345, total_bytes=7_000_000_000)
    for name in eval(sys.argv[1]):
        now += 1
        sink(Progress(name, "uploading", 300_000, 4_000_000))
    print("step", flush=True)
    sys.stdin.readline()
"""


def _screen(width: int, names: list[str], script: str = _WIDE, lines: int = 5) -> tuple[list[str], bytes]:
    """Return what a terminal so wide shows with these models under way; a line too many would be a line too wide."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    screen, raw = pyte.Screen(width, 30), b""
    stream = pyte.ByteStream(screen)
    command = [sys.executable, "-c", script, repr(names)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=follower, env=environment | {"TERM": "xterm"}
    ) as run:
        os.close(follower)
        assert run.stdout.readline() == b"step\n"
        while len([line for line in screen.display if line.strip()]) < lines and select.select([leader], [], [], 10)[0]:
            part = os.read(leader, 65536)
            raw += part
            stream.feed(part)
        run.stdin.close()
        run.wait()
    os.close(leader)
    return [line.rstrip() for line in screen.display if line.strip()], raw


_LIVE = """
import sys
from mmsync.cli.progress import progress
from mmsync.apply.outcome import Progress
now = 0.0
with progress(sys.stderr, clock=lambda: now) as sink:
    sink.expect("uploading", models=3, total_bytes=12_000_000)
    sink(Progress("fraud_score_with_a_long_name_v2", "uploading", 0, 4_000_000))
    for now, done in ((2.0, 2_000_000), (3.0, 3_000_000)):
        sink(Progress("fraud_score_with_a_long_name_v2", "uploading", done, 4_000_000))
        print("step", flush=True)
        sys.stdin.readline()
print("done", flush=True)
"""


_UNKNOWN_WHOLE = """
import sys
from mmsync.cli.progress import progress
from mmsync.apply.outcome import Progress
now = 0.0
with progress(sys.stderr, clock=lambda: now) as sink:
    sink.expect("downloading", models=100)
    for n in range(50):
        now += 1
        sink(Progress(f"m{n}", "downloading", 1_000_000, 1_000_000))
    now += 1
    sink(Progress("last", "downloading", 500_000, 1_000_000))
    print("step", flush=True)
    sys.stdin.readline()
"""


def test_a_phase_whose_bytes_nobody_knows_tells_no_share_of_them_and_no_time_left():
    screen, _ = _screen(120, [], _UNKNOWN_WHOLE, lines=2)
    assert screen[0].startswith("Downloading 50/100")
    assert re.search(r"/\? (MB|bytes)", screen[0])  # the first picture may be one from before the last event
    assert ":" not in screen[0]
    assert screen[1].lstrip().startswith("last")
    assert screen[1].endswith("/1.0 MB")


def _drawn(environment: dict[str, str]) -> tuple[list[str], list[str], bytes]:
    """Run the script on a terminal of 60 columns; return the screen while it runs, the one after, and the bytes."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")} | environment
    screen = pyte.Screen(60, 10)
    stream = pyte.ByteStream(screen)
    raw = b""
    with subprocess.Popen(
        [sys.executable, "-c", _LIVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment,
    ) as run:
        os.close(follower)
        assert run.stdout.readline() == b"step\n"
        run.stdin.write(b"\n")
        run.stdin.flush()
        assert run.stdout.readline() == b"step\n"
        while b"3.0/4.0 MB" not in raw:
            part = os.read(leader, 65536)
            raw += part
            stream.feed(part)
        during = [line.rstrip() for line in screen.display if line.strip()]
        run.stdin.write(b"\n")
        run.stdin.flush()
        assert run.stdout.readline() == b"done\n"
        assert run.wait() == 0
    try:
        while part := os.read(leader, 65536):
            raw += part
            stream.feed(part)
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(leader)
    after = [line.rstrip() for line in screen.display if line.strip()]
    assert not screen.cursor.hidden
    return during, after, raw


def test_bars_on_a_terminal_of_sixty_columns():
    during, after, _ = _drawn({"TERM": "xterm"})
    assert during[0].startswith("Uploading 0/3 ")
    assert "━━" in during[0]
    assert during[0].endswith("3.0/12.0 MB 1.0 MB/s 0:00:09")
    assert during[1].startswith("  fraud_s")
    assert "━━" in during[1]
    assert during[1].rstrip().endswith("3.0/4.0 MB")
    assert len(during) == 2
    assert after == []


def test_no_colour_where_none_is_wanted():
    assert b"\x1b[32m" in _drawn({"TERM": "xterm"})[2]
    assert b"\x1b[32m" not in _drawn({"TERM": "xterm", "NO_COLOR": "1"})[2]
