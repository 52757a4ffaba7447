"""Opening what a run needs: the manifest's server, the machine's lock, the ledger."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mmsync.cli.output import warn
from mmsync.cli.settings import lock_folder, open_ledger, resolve
from mmsync.client.error import ModelManagerError
from mmsync.connection import Connection, open_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmsync.cli.settings import ServerOptions
    from mmsync.connection import IfMissing
    from mmsync.manifest import ServerSettings

__all__ = ["connected"]


@contextlib.contextmanager
def connected(
    given: ServerOptions,
    settings: ServerSettings | None,
    *,
    jobs: int,
    exclusive: bool = False,
    lock_timeout: float = 600.0,
    if_missing: IfMissing = "make",
) -> Iterator[Connection]:
    """Open the server and the ledger for the length of the body.

    Args:
        given: Flags and environment.
        settings: The manifest's ``server``.
        jobs: How many requests go on at a time.
        exclusive: Whether to hold the machine's lock for this server.
        lock_timeout: Seconds to wait for it.
        if_missing: What becomes of a ``local:`` folder that is not there.
    """
    target = resolve(given, settings)
    with contextlib.ExitStack() as stack:
        client, server = stack.enter_context(open_client(target, jobs=jobs, warn=warn, if_missing=if_missing))
        if exclusive:
            from mmsync.lock import turn  # noqa: PLC0415 - only applying needs it

            stack.enter_context(turn(lock_folder(), server, timeout=lock_timeout, on_wait=warn))
        ledger = stack.enter_context(open_ledger(warn))
        stack.enter_context(located(server.url))
        yield Connection(client, server, ledger)


@contextlib.contextmanager
def located(url: str) -> Iterator[None]:
    """Note the server's address on the client's errors: "HTTP 404" alone does not say of whom."""
    try:
        yield
    except ModelManagerError as fault:
        fault.add_note(url)
        raise
