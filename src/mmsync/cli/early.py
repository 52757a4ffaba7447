"""The server's list, asked for while the manifest is still being read: the two take about as long as each other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mmsync.cli.connect import located
from mmsync.cli.settings import resolve
from mmsync.client import normalise_url
from mmsync.connection import LOCAL, is_exposed, new_client
from mmsync.errors import MmsyncError
from mmsync.threads import start

if TYPE_CHECKING:
    from mmsync.cli.settings import ServerOptions
    from mmsync.client import Model
    from mmsync.connection import Target

__all__ = ["EarlyList"]


class EarlyList:
    """Begins ``get_models`` in a thread where flags and environment alone name the server.

    Should the manifest's ``server`` turn out to say something else (a domain, another way to send the token), the
    answer is thrown away and the list asked for again.
    """

    def __init__(self, given: ServerOptions) -> None:
        self._target: Target | None = None
        self._models: list[Model] | MmsyncError | None = None
        if given.url is None and given.profile is None:
            return
        try:
            target = resolve(given, None)
        except MmsyncError:
            return  # said properly once the manifest is read
        if target.url.startswith(LOCAL):
            return  # the embedded server would only take turns with the manifest's reader
        if is_exposed(target):
            return  # a warning comes first
        self._thread = threading.Thread(target=self._ask, args=(target,), name="early-list", daemon=True)
        if start([self._thread]):
            self._target = target

    def models(self, target: Target) -> list[Model] | None:
        """Return the list if it is this server's; None where it has to be asked for.

        Raises:
            ModelManagerError: The server did not give a list.
        """
        if self._target is None or target != self._target:
            return None
        self._thread.join()
        if isinstance(self._models, MmsyncError):
            raise self._models
        return self._models

    def _ask(self, target: Target) -> None:
        try:
            with (
                new_client(target, target.url, target.token, jobs=1) as client,
                located(normalise_url(target.url)),
            ):
                self._models = client.get_models()
        except MmsyncError as fault:
            self._models = fault
