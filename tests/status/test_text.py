"""The status in a terminal, to the letter."""

import os
from pathlib import Path

import pytest

from mmsync.report.layout import columns
from mmsync.status.text import render_status
from support.sample_status import hostile, many, wrong

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("width", [60, 100])
def test_what_a_terminal_shows(width):
    shown = render_status(wrong(), width=width, colour=False)
    golden = GOLDEN / f"wrong-{width}.txt"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(shown)
    assert shown == golden.read_text()
    assert max(map(columns, shown.splitlines())) <= width


def test_of_many_only_those_not_in_sync_are_shown():
    shown = render_status(many(), width=80, colour=False)
    assert "model_" not in shown
    assert "10,000 more models (--all shows them)" in shown
    assert render_status(many(), width=80, colour=False, whole=True).count("model_") == 10_000


def test_hostile_texts_are_escaped():
    shown = render_status(hostile(), width=80, colour=False)
    assert not set(shown) & {"\u202e", "\x1b", "\x00"}
    assert "\\x1b" in shown
    assert "\x1b[" in render_status(hostile(), width=80, colour=True), "only our own colours are"
