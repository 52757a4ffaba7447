"""Ctrl-C and SIGTERM while output waits for a reader that waits too (``2>&1 | less``), be it read in the end or not."""

from __future__ import annotations

import os
import select
import signal
import time

import pytest

_ENDS = [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "")]


def until_full(pipe):
    """Wait until a pipe takes nothing more: the process that writes into it waits then."""
    deadline = time.monotonic() + 30
    while select.select([], [pipe], [], 0)[1]:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # of a pipe that becomes full no event tells


@pytest.fixture
def many_errors(desk):
    entries = "".join(f"  - {{name: model_{n:05}, file: gone_{n:05}.onnx}}\n" for n in range(3000))
    (desk.folder / "models.yaml").write_text(f"version: 1\nmodels:\n{entries}")
    return desk


@pytest.fixture
def long_answer(desk):
    desk.file("m.json", b"{}")
    lines = (f'model_{n:04} CATBOOST m.json  description: "{"x" * 80}"  inspect: false' for n in range(600))
    desk.manifest("\n".join(lines))
    return desk


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize(("number", "code", "said"), _ENDS)
@pytest.mark.parametrize("desk_with", ["many_errors", "long_answer"])
def test_a_signal_while_output_waits_for_its_reader_ends_the_run(number, code, said, is_read, desk_with, request):
    desk = request.getfixturevalue(desk_with)
    reader, pipe = os.pipe()
    process = desk.start("plan", "-q", stdout=pipe, stderr=pipe)
    try:
        until_full(pipe)
        process.send_signal(number)
        text = b""
        os.close(pipe)
        if is_read:
            with open(reader, "rb", closefd=False) as file:
                text = file.read()
            assert text.decode().endswith(said)
        assert process.wait(20) == code
        assert b"Traceback" not in text
    finally:
        os.close(reader)
        process.kill()
        process.wait()
