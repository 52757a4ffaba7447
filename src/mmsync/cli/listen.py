"""``watch --listen``: where the status is shown, and what of it others may see."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from mmsync.cli.options import env_option
from mmsync.cli.settings import cache_folder
from mmsync.cli.status import announced
from mmsync.connection import is_loopback
from mmsync.errors import MmsyncError
from mmsync.http_server import INSTALL_HINT
from mmsync.status import Status
from mmsync.status.public import Redaction, public
from mmsync.watch.reporting import Log
from mmsync.watch.status_board import StatusBoard

_PORTS = 65_535


class Address(NamedTuple):
    """An address to listen at."""

    host: str
    port: int


class _AddressType(click.ParamType[Address]):
    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        if isinstance(value, Address):
            return value
        host, colon, port = str(value).rpartition(":")
        if not colon:
            host = "127.0.0.1"
        if not host:
            self.fail(
                f"'{value}' names no host: 127.0.0.1{value} is for this machine, 0.0.0.0{value} for all", param, ctx
            )
        if not (port.isascii() and port.isdigit() and int(port) <= _PORTS):
            self.fail(f"'{value}' is no HOST:PORT, such as 127.0.0.1:8787; port 0 takes a free one", param, ctx)
        return Address(host.removeprefix("[").removesuffix("]"), int(port))


listen_option = env_option(
    "--listen",
    type=_AddressType(),
    metavar="HOST:PORT",
    help="Show the status there: a page, /api/status, /metrics, /healthz, /readyz. Port 0 takes a free one.",
)
allow_host_option = env_option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Also answer requests that call this machine by NAME, as behind a proxy; may be repeated.",
)


class _PublicBoard:
    """The board as others may see it; what was redacted is kept until there is something new."""

    def __init__(self, board: StatusBoard, redact: Callable[[str], str], is_alive: Callable[[], bool]) -> None:
        self._board = board
        self._redact = redact
        self._shown: tuple[Status, Status] | None = None
        self.is_alive = is_alive
        self.subscribe = board.subscribe

    @property
    def status(self) -> Status:
        """The latest status, redacted."""
        status, shown = self._board.status, self._shown
        if shown is None or shown[0] is not status:
            self._shown = shown = (status, public(status, self._redact))
        return shown[1]


@contextlib.contextmanager
def listening(
    address: Address,
    allowed_hosts: Sequence[str],
    board: StatusBoard,
    *,
    is_alive: Callable[[], bool],
    folders: Sequence[str],
    log: Log,
) -> Iterator[None]:
    """Show the status while the body runs; ``folders`` are those of the manifests."""
    try:
        from mmsync.status import listener  # noqa: PLC0415 - an optional extra, and 60 ms
    except ImportError as error:
        raise MmsyncError(
            f"what --listen needs is not installed ({error})",
            INSTALL_HINT,
        ) from error
    shown = _PublicBoard(board, Redaction(_folders(folders)), is_alive)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(listener.listening(address.host, address.port, shown, allowed_hosts=allowed_hosts))
        stack.enter_context(announced(url))
        if not is_loopback(address.host):
            log("notice", f"listening on {address.host}: whoever reaches it may read the status", level="warning")
        log("listening", f"the status is shown at {url}", url=url)
        yield


def _folders(own: Sequence[str]) -> dict[str, str]:
    """Return the folders whose paths are not shown, and what is instead."""
    found = {"/tmp": "…/", os.path.expanduser("~"): "…/"}  # noqa: PTH111, S108 - what is unknown stays ~; only a name
    with contextlib.suppress(OSError):  # the working folder was removed; no folder can be written
        found |= {str(Path.cwd()): "…/", tempfile.gettempdir(): "…/"}
    if cache := cache_folder():
        found[str(cache)] = "…/"
    for folder in own:
        found |= {os.path.abspath(folder): "", os.path.realpath(folder): "", folder: ""}  # noqa: PTH100 - as it is named
    return {folder: name for folder, name in found.items() if folder.startswith("/")}
