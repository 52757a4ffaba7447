"""``mmsync status``: what a watcher knows, in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from mmsync.cli import options as opt
from mmsync.cli.errors import ExitCode
from mmsync.cli.output import answer, colour, columns
from mmsync.cli.settings import cache_folder
from mmsync.errors import MmsyncError
from mmsync.files.atomic import write_new
from mmsync.printable import masked_url
from mmsync.status import Status
from mmsync.status.document import document
from mmsync.status.summary import is_well
from mmsync.status.text import render_status

_EXAMPLES = """\b
Examples:
  mmsync status
  mmsync status http://127.0.0.1:8787 --format json | jq '.summary'
"""


@click.command("status", epilog=_EXAMPLES)
@click.argument("url", metavar="[URL]", required=False)
@opt.format_option("text", "json")
@click.option(
    "--all", "whole", is_flag=True, help="Show every model; of more than 40 only those not in sync are shown."
)
@opt.number_option(
    "--timeout", click.FloatRange(min=0, min_open=True), 10.0, "SECONDS", "Limit for the watcher's answer."
)
def status(url: str | None, *, output_format: str, whole: bool, timeout: float) -> int:
    """Show what a watcher with --listen knows: whether all is well, each model's state, what was done last.

    Without URL it asks the watcher of this user on this machine. Exit 0 if all is well, 1 if not, or if no watcher
    answers.
    """
    from mmsync.status.remote import fetch_status  # noqa: PLC0415 - 75 ms for HTTP, not for --help

    found = fetch_status(url, timeout) if url else _of_this_machine(timeout)
    if output_format == "json":
        answer(json.dumps(document(found), indent=2) + "\n")
    else:
        answer(render_status(found, width=columns(sys.stdout), colour=colour(sys.stdout), whole=whole))
    return ExitCode.DONE if is_well(found) else ExitCode.FAILURE


@contextlib.contextmanager
def announced(url: str) -> Iterator[None]:
    """Leave the address where `mmsync status` looks for it, while the body runs; without a cache folder nowhere."""
    path = None
    with contextlib.suppress(OSError):
        if (cache := cache_folder()) is not None:
            folder = cache / "watchers"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / f"{os.getpid()}.json"
            write_new(path, json.dumps({"url": url}) + "\n", replace=True)
    try:
        yield
    finally:
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()


def _of_this_machine(timeout: float) -> Status:
    """Return what this machine's watcher tells; raises `MmsyncError` where there is none, or more than one."""
    from mmsync.status.remote import WatcherUnreachable, fetch_status  # noqa: PLC0415 - see `status`

    found: dict[str, Status] = {}
    failure: MmsyncError | None = None
    for path in _announcements():
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            url = str(json.loads(path.read_text("utf-8"))["url"])
            try:
                found[url] = fetch_status(url, timeout)
            except WatcherUnreachable:
                path.unlink()  # it was killed, and could not remove it
            except MmsyncError as error:  # too slow, or somebody else
                failure = error
    if not found and failure is not None:
        raise failure
    if not found:
        hint = "name its address (mmsync status URL), or start one: mmsync watch --listen 127.0.0.1:8787"
        raise MmsyncError("no watcher of this user on this machine shows its status", hint)
    if len(found) > 1:
        raise MmsyncError(
            f"{len(found)} watchers show their status here", f"name one: {', '.join(map(masked_url, found))}"
        )
    return next(iter(found.values()))


def _announcements() -> list[Path]:
    cache = cache_folder()
    return sorted((cache / "watchers").glob("*.json")) if cache else []
