"""The request log on standard error: long waits always, with ``-v`` steps and retries, with ``-vv`` each request."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import click

from mmsync.cli.output import write_to_log
from mmsync.cli.progress import announce
from mmsync.printable import printable

# As the client has it (`mmsync.client`, which takes too long to load for a look): between INFO and WARNING.
_NOTICE = 25
_LEVELS = {"info": 1, "debug": 2}
_ends: list[Callable[[], None]] = []  # of the command before, where it was refused before it began


def start(ctx: click.Context, verbosity: int) -> None:
    """Say so much of requests until the command ends: 0 for waits alone, 1 for steps, 2 for every request.

    ``-v`` before the command counts as well, and ``MMSYNC_LOG`` may ask for more. Raises a usage error where it says something else.
    """
    variable = os.environ.get("MMSYNC_LOG", "").strip()
    if variable and variable.lower() not in _LEVELS:
        raise click.UsageError(f"MMSYNC_LOG is {printable(variable, 40)!r}: it may be debug or info", ctx)
    verbosity = max(verbosity + ctx.meta.get("mmsync.verbosity", 0), _LEVELS.get(variable.lower(), 0))
    while _ends:
        _ends.pop()()
    handler = _Handler(ctx, verbosity)
    log = logging.getLogger("mmsync.client")
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel({0: _NOTICE, 1: logging.INFO}.get(verbosity, logging.DEBUG))
    log.propagate = False  # nothing is said twice

    def stop() -> None:
        log.removeHandler(handler)
        log.level, log.propagate = before
        log.setLevel(before[0])  # also forgets what was worked out for the level

    _ends.append(stop)
    ctx.call_on_close(stop)


class _Handler(logging.Handler):
    """Writes a line a record to stderr, above a progress display where one is drawn; never fails a run."""

    def __init__(self, ctx: click.Context, verbosity: int) -> None:
        super().__init__()
        self._ctx = ctx
        self._verbosity = verbosity

    def emit(self, record: logging.LogRecord) -> None:
        given = self._ctx.params
        sentence = printable(record.getMessage(), 1000)
        if "log_format" in given:
            # A watcher has a log of its own, and says in it what it waits for as conditions.
            if self._verbosity:
                from mmsync.watch.reporting import Log  # noqa: PLC0415 - watch's own, loaded by it alone

                log = Log(write_to_log, lambda: record.created, as_json=given["log_format"] == "json")
                log("request_log", sentence)
        elif self._verbosity or not given.get("quiet"):
            announce(sentence)
