"""A Model Manager in a process of its own, to be killed, restarted and filled up."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TOKEN", "server_process", "start_server"]

TOKEN = "t0ken"

_CODE = """
import resource, signal, sys
from mmsync.server import running
if int(sys.argv[3]):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
with running(sys.argv[1], token="t0ken", port=int(sys.argv[2]), latency=float(sys.argv[4])) as address:
    print(address.url, flush=True)
    sys.stdin.read()
"""


def start_server(
    folder: Path, *, port: int = 0, largest_file: int = 0, latency: float = 0.0
) -> tuple[subprocess.Popen[str], str]:
    """Start a server over ``folder``; return its process and its URL. It ends when its stdin is closed.

    Args:
        folder: What it holds; kept from one server to the next.
        port: 0 takes a free one.
        largest_file: No file of the server can grow beyond so many bytes; 0 sets no limit.
        latency: Seconds it waits before each answer.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE, str(folder), str(port), str(largest_file), str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().strip()
    assert url, "the server did not start"
    return process, url


@contextlib.contextmanager
def server_process(folder: Path, **settings: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server for the length of the ``with``."""
    process, url = start_server(folder, **settings)
    try:
        yield process, url
    finally:
        process.communicate("")
