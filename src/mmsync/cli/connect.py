"""Opening what a run needs: the manifest's server, the machine's lock, the ledger."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync.cli.output import warn
from mmsync.cli.settings import LOCAL, cache_folder, is_exposed, lock_folder, resolve
from mmsync.ledger import Ledger
from mmsync.reconcile import Connection
from mmsync.states import ServerName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmsync.cli.settings import ServerOptions, Target
    from mmsync.client import Client, LegacyClient
    from mmsync.manifest import ServerSettings

__all__ = ["connected", "new_client", "open_client"]


@contextlib.contextmanager
def connected(
    given: ServerOptions,
    settings: ServerSettings | None,
    *,
    jobs: int,
    exclusive: bool = False,
    lock_timeout: float = 600.0,
) -> Iterator[Connection]:
    """Open the server and the ledger for the length of the body.

    Args:
        given: Flags and environment.
        settings: The manifest's ``server``.
        jobs: How many requests go on at a time.
        exclusive: Whether to hold the machine's lock for this server.
        lock_timeout: Seconds to wait for it.
    """
    target = resolve(given, settings)
    with contextlib.ExitStack() as stack:
        client, server = stack.enter_context(open_client(target, jobs=jobs))
        if exclusive:
            from mmsync.lock import turn  # noqa: PLC0415 - only applying needs it

            stack.enter_context(turn(lock_folder(), server, timeout=lock_timeout, on_wait=warn))
        ledger = stack.enter_context(Ledger(cache_folder() / "ledger.sqlite", warn=warn, now=int(time.time())))
        yield Connection(client, server, ledger)


@contextlib.contextmanager
def open_client(target: Target, *, jobs: int) -> Iterator[tuple[Client | LegacyClient, ServerName]]:
    """Open a client for a resolved server; ``local:`` runs the embedded one for as long."""
    if is_exposed(target):
        warn("the token travels over plain http to another machine; use https")
    from mmsync.client import normalise_url  # noqa: PLC0415 - imports the HTTP library

    with contextlib.ExitStack() as stack:
        url, token, name = target.url, target.token, ""
        if url.startswith(LOCAL):
            from mmsync.server import running  # noqa: PLC0415 - an extra, and only for local:

            folder = Path(url.removeprefix(LOCAL)).expanduser()
            address = stack.enter_context(running(folder))
            url, token, name = address.url, address.token, f"{LOCAL}{folder.resolve()}"
        client = stack.enter_context(new_client(target, url, token, jobs=jobs))
        yield client, ServerName(name or normalise_url(url), target.domain or "")


def new_client(target: Target, url: str, token: str, *, jobs: int) -> Client | LegacyClient:
    """Return a client of the target's generation for this URL and token, with connections for so many jobs."""
    from mmsync.client import Client, LegacyClient  # noqa: PLC0415 - imports the HTTP library
    from mmsync.client.auth import create_auth_from_token  # noqa: PLC0415 - the same

    auth = create_auth_from_token(token, target.auth_type)
    pool = 2 * jobs + 2  # each job uploads on one connection while the next model is read on another
    if target.domain:
        return LegacyClient(url, target.domain, auth, timeout=target.timeout, pool_size=pool)
    return Client(url, auth, timeout=target.timeout, pool_size=pool)
