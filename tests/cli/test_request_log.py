"""``-v``, ``-vv``, ``MMSYNC_LOG`` and ``--quiet``: what is said of requests on standard error."""

from __future__ import annotations

import io
import json
import logging

import pytest

from mmsync.cli.progress import announce, progress
from mmsync.client import RetryPolicy
from support.desk import TOKEN
from support.fault_proxy import FaultProxy, status


def test_vv_shows_every_request_and_stdout_stays_the_answer(desk):
    ran = desk("plan", "-vv", "--format", "json", "--url", desk.url)
    plain = desk("plan", "--format", "json", "--url", desk.url)
    assert ran.code == plain.code
    desk.manifest("")
    ran = desk("plan", "-vv", "--format", "json")
    assert json.loads(ran.out)["summary"]["add"] == 0
    assert "the server is http://127.0.0.1:" in ran.err
    assert "GET /" in ran.err
    assert ": 200 in " in ran.err
    assert TOKEN not in ran.err
    assert desk("plan", "--format", "json").err == ""
    assert logging.getLogger("mmsync.client").handlers == []


def test_v_shows_steps_alone_and_the_variable_does_the_same(desk):
    desk.manifest("")
    ran = desk("plan", "-v")
    assert "the server is http://127.0.0.1:" in ran.err
    assert "GET /" not in ran.err
    assert desk("-v", "plan").err == ran.err
    assert "GET /" in desk("-v", "plan", "-v").err
    desk.environment.setenv("MMSYNC_LOG", "info")
    assert desk("plan").err == ran.err
    desk.environment.setenv("MMSYNC_LOG", "DEBUG")
    assert "GET /" in desk("list").err
    desk.environment.setenv("MMSYNC_LOG", "trace")
    refused = desk("plan")
    assert refused.code == 1
    assert "MMSYNC_LOG is 'trace': it may be debug or info" in refused.err


@pytest.fixture
def no_sleep(monkeypatch):
    waits = []
    made = RetryPolicy.__init__

    def make(policy, *args, **settings):
        made(policy, *args, **{"sleep": waits.append, **settings})

    monkeypatch.setattr(RetryPolicy, "__init__", make)
    return waits


@pytest.mark.parametrize(("words", "is_said"), [((), True), (("--quiet",), False), (("--quiet", "-v"), True)])
def test_a_long_wait_is_said_unless_quiet(desk, no_sleep, words, is_said):
    desk.manifest("")
    with FaultProxy(desk.url) as proxy:
        proxy.on("list", status(503, retry_after="20"), times=1)
        ran = desk("plan", "--url", proxy.url, *words)
    assert ran.code == 0
    assert no_sleep == [20]
    line = "waiting 20 s before attempt 2 of 5: the server asks for it (503, Retry-After) …\n"
    assert (line in ran.err) is is_said
    assert line not in ran.out


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_goes_above_what_is_drawn_and_nowhere_else(capsys):
    stream = _Terminal()
    with progress(stream, interactive=True) as sink:
        announce("before the bars")
        sink._start()
        announce("above the bars")
    announce("after them")
    text = stream.getvalue()
    assert text.index("before the bars\n") < text.index("above the bars")
    assert "after them" not in text
    assert capsys.readouterr().err == "after them\n"
    with progress(stream, quiet=True):
        announce("beside a display that is silent")
    assert capsys.readouterr().err == "beside a display that is silent\n"
