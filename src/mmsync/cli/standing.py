"""A connection that stands as long as nothing about it changes, for a command that runs for months."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mmsync.cli.connect import located
from mmsync.cli.settings import open_ledger, resolve
from mmsync.connection import Connection, open_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmsync.cli.settings import ServerOptions
    from mmsync.client import Client, LegacyClient
    from mmsync.connection import Target
    from mmsync.manifest import ServerSettings
    from mmsync.states import ServerName

__all__ = ["StandingConnection"]


class StandingConnection:
    """Opens the server anew when its address or token is another than last time, which is asked at each use.

    Args:
        given: Flags and environment.
        jobs: How many requests go on at a time.
        warn: Told of a token that is sent in the clear.
    """

    def __init__(self, given: ServerOptions, *, jobs: int, warn: Callable[[str], None]) -> None:
        self._given = given
        self._jobs = jobs
        self._warn = warn
        self._target: Target | None = None
        self._open = contextlib.ExitStack()
        self._client: tuple[Client | LegacyClient, ServerName] | None = None

    @contextlib.contextmanager
    def connect(self, settings: ServerSettings, warn: Callable[[str], None]) -> Iterator[Connection]:
        """Open what a round needs: the standing client, and a ledger of its own.

        Args:
            settings: The manifest's ``server``.
            warn: Told what the ledger has to say, each time it has to.

        Raises:
            SettingsError: No server or token is named, or the token file cannot be read.
        """
        target = resolve(self._given, settings, self._warn)
        if target != self._target or self._client is None:
            self.close()
            self._client = self._open.enter_context(open_client(target, jobs=self._jobs, warn=self._warn))
            self._target = target
        client, server = self._client
        with located(server.url), open_ledger(warn) as ledger:
            yield Connection(client, server, ledger)

    def close(self) -> None:
        """Close the client, and the embedded server if there is one."""
        self._client = self._target = None
        self._open.close()
        self._open = contextlib.ExitStack()
