"""Every page of help as a terminal of 60 or 120 columns shows it, and what its source must be for that."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from mmsync import help as pages
from mmsync.report.layout import columns
from support.commands import MMSYNC

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_CODE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BESIDE_CODE = 2  # columns that a terminal's code block takes for its margins
# A digest is as long as it is, and cannot be broken.
_UNBREAKABLE = re.compile("[0-9a-f]{64}")


def on_terminal(words, width):
    """What a command writes to a terminal of so many columns, without its colours, as lines."""
    main, child = pty.openpty()
    with open(main, "rb", closefd=True, buffering=0) as screen:  # noqa: PTH123 - a descriptor, no path
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
        environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(Path(pages.__file__).parents[2])}
        process = subprocess.Popen(
            [MMSYNC, *words], stdin=subprocess.DEVNULL, stdout=child, stderr=child, env=environment
        )
        os.close(child)
        shown = b""
        with contextlib.suppress(OSError):  # which is how Linux says that the other end is closed
            while more := screen.read(65536):
                shown += more
        assert process.wait(60) == 0, shown
    assert b"\x1b[" in shown or words == ["help"]
    return _ESCAPE.sub("", shown.decode()).replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("width", [60, 120])
@pytest.mark.parametrize("topic", pages.TOPICS)
def test_no_line_of_a_page_is_wider_than_the_terminal(topic, width):
    lines = on_terminal(["help", topic], width)
    assert len(lines) > 10
    assert [line for line in lines if columns(line) > width] == []
    # A table must not cut off what its columns are too narrow for.
    assert "".join(lines).count("…") == pages.without_comments(pages.page(topic)).count("…")
    # Code that is longer would be broken somewhere; what a reader copies must be in one piece.
    shown = {line.strip() for line in lines}
    code = [line.strip() for block in _CODE.findall(pages.page(topic)) for line in block.splitlines()]
    assert [line for line in code if line not in shown and not _UNBREAKABLE.search(line)] == []


@pytest.mark.parametrize("width", [60, 120])
def test_the_list_of_topics_fits(width):
    lines = on_terminal(["help"], width)
    assert [line for line in lines if columns(line) > width] == []
    assert {topic for topic in pages.TOPICS if not any(line.startswith(f"  {topic} ") for line in lines)} == set()


@pytest.mark.parametrize("topic", pages.TOPICS)
def test_code_fits_into_sixty_columns(topic):
    code = [line for block in _CODE.findall(pages.page(topic)) for line in block.splitlines()]
    assert [line for line in code if columns(line) > 60 - _BESIDE_CODE and not _UNBREAKABLE.search(line)] == []
