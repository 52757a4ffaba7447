"""When output is coloured, where it goes, and that it is said once how to learn what a code means."""

from __future__ import annotations

import os
import pty
import re
import subprocess

import pytest

from support.commands import MMSYNC

_SGR = re.compile("\x1b\\[[0-9;]*m")
FAULTY = "version: 1\nmodels:\n  - {name: m, engin: ONNX, file: m.onnx}\n"
EXPLAIN = "What a code means: mmsync explain manifest/"


@pytest.fixture
def run(tmp_path):
    """Run mmsync over a faulty manifest; return what it wrote to stderr, a terminal or a pipe."""
    (tmp_path / "models.yaml").write_text(FAULTY)

    def started(*words, terminal, **variables):
        clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        environment = clean | {"TERM": "xterm"} | variables
        leader, follower = pty.openpty() if terminal else os.pipe()
        with subprocess.Popen(
            [MMSYNC, *words], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=follower
        ):
            os.close(follower)
            text = b""
            while part := _read(leader):
                text += part
        os.close(leader)
        return text.decode().replace("\r\n", "\n")

    return started


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how a terminal says that nobody will write any more
        return b""


@pytest.mark.parametrize(
    ("words", "terminal", "variables", "is_coloured"),
    [
        ((), True, {}, True),
        ((), False, {}, False),
        ((), True, {"TERM": "dumb"}, False),
        ((), True, {"NO_COLOR": "1"}, False),
        ((), True, {"NO_COLOR": ""}, True),
        ((), False, {"FORCE_COLOR": "1"}, True),
        ((), False, {"FORCE_COLOR": ""}, False),
        ((), False, {"FORCE_COLOR": "0"}, False),
        ((), True, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ((), True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "auto"), True, {}, True),
        (("--color", "auto"), False, {}, False),
        (("--color", "always"), False, {}, True),
        (("--color", "always"), False, {"NO_COLOR": "1", "TERM": "dumb"}, True),
        (("--color", "never"), True, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_the_option_then_the_variables_then_the_terminal_decide(words, terminal, variables, is_coloured, run):
    text = run("validate", *words, "--no-files", terminal=terminal, **variables)
    assert ("\x1b[1;31m^\x1b[0m" in text) == is_coloured
    assert ("\x1b" in text) == is_coloured
    assert "  3 |   - {name: m, engin: ONNX, file: m.onnx}\n" in _SGR.sub("", text)


def test_the_option_stands_before_or_behind_the_command_and_the_last_one_counts(run):
    assert "\x1b" in run("--color", "always", "validate", terminal=False)
    assert "\x1b" not in run("--color", "always", "validate", "--color=never", terminal=False)
    assert "\x1b" in run("--color", "never", "validate", "--color=always", terminal=False)
    assert "'--color'" in run("validate", "--color", "sometimes", terminal=False)
    assert "'--color'" in run("ci", "digest", "--color", "sometimes", terminal=False)


def test_colours_change_nothing_but_colours(run):
    plain, painted = (run("validate", f"--color={when}", terminal=False) for when in ("never", "always"))
    assert _SGR.sub("", painted) == plain


@pytest.mark.parametrize("words", [("plan",), ("validate", "--no-files"), ("apply", "-y")], ids=" ".join)
def test_it_is_said_once_what_explains_a_code(words, desk):
    desk.file("models.yaml", FAULTY.encode())
    ran = desk(*words)
    assert (ran.code, ran.out, ran.err.count(EXPLAIN)) == (1, "", 1)
    assert ran.err.splitlines()[-2] == f"{EXPLAIN}missing-key"


def test_the_plan_says_it_and_the_outcomes_do_not_say_it_again(desk):
    desk.file("a.json", b"{}")
    desk.manifest("a NOSUCH a.json  inspect: false")
    ran = desk("apply", "-y")
    assert (ran.code, ran.out.count("mmsync explain")) == (1, 1)
    assert "! a  to add, failed [unknown-engine]\n" in ran.out


def test_programs_are_told_nothing_of_it(desk):
    desk.file("models.yaml", FAULTY.encode())
    ran = desk("validate", "--no-files", "--format", "json")
    assert "mmsync explain" not in ran.out + ran.err
    desk.file("a.json", b"{}")
    desk.manifest("a BIGML a.json  sha256: " + "0" * 64)
    for form in ("json", "markdown"):
        ran = desk("plan", "--format", form)
        assert "[plan/pin]" in ran.err
        assert "mmsync explain" not in ran.out + ran.err


def test_one_run_does_not_colour_the_next(desk):
    desk.file("models.yaml", FAULTY.encode())
    assert "\x1b" in desk("--color", "always", "validate").err
    again = desk("validate")
    assert "\x1b" not in again.err
    assert EXPLAIN in again.err


def test_help_is_laid_out_in_colour_where_it_is_asked_for(desk):
    desk.environment.setenv("NO_COLOR", "1")
    assert "\x1b[1" in desk("explain", "plan/pin", "--color", "always").out
    assert "\x1b" not in desk("explain", "plan/pin").out
