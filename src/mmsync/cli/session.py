"""One command's session: the manifest, its server, the machine's lock and the ledger, open for as long as it runs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from mmsync.cli.collector import collecting_rarely
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import warn
from mmsync.cli.progress import progress
from mmsync.cli.settings import ServerOptions, in_ci, lock_folder, open_ledger, resolve
from mmsync.client import Client
from mmsync.client.error import ModelManagerError
from mmsync.connection import Connection, IfMissing, Target, open_client
from mmsync.errors import ManifestError
from mmsync.lock import server_lock
from mmsync.manifest import Manifest, ServerSettings, read_manifest
from mmsync.plan import Options, Plan
from mmsync.reconcile import make_plan
from mmsync.types import ServerName


def read(options: ManifestOptions, *, check_files: bool = True) -> Manifest:
    """Read the named manifests, or raise `ManifestError`; in a CI job no link may lead out of their folders."""
    return read_manifest(options.paths, models_dirs=options.models_dirs, check_files=check_files, confined=in_ci())


def manifest_if_any(options: ManifestOptions) -> Manifest | None:
    """Read the manifest; None where none was named and there is no usable models.yaml.

    Model files are not looked at, unless a discover rule needs them to say what the models are. Raises
    `ManifestError` if a manifest that was named is wrong.
    """
    if options.is_default and not all(os.path.lexists(path) for path in options.paths):
        return None
    try:
        found = read(options, check_files=False)
        return read(options) if found.discover else found
    except ManifestError as error:
        if not options.is_default:
            raise
        count = len(error.diagnostics)
        warn(f"{options.paths[0]} has {count} error{'s' * (count != 1)} and is not used; `mmsync validate` shows them")
        return None


@contextlib.contextmanager
def connected(
    target: Target,
    *,
    jobs: int,
    if_missing: IfMissing,
    lock_timeout: float | None = None,
    shard: tuple[int, int] | None = None,
) -> Iterator[Connection]:
    """Open the server, for so many requests at a time, and the ledger for the length of the body.

    The machine's lock for this server, or for this ``shard`` of it, is held meanwhile, and waited for ``lock_timeout``
    seconds; None holds none.
    """
    with contextlib.ExitStack() as stack:
        client, server = stack.enter_context(open_client(target, jobs=jobs, warn=warn, if_missing=if_missing))
        if lock_timeout is not None:
            lock = server_lock(lock_folder(), server, timeout=lock_timeout, on_wait=warn, shard=shard)
            stack.enter_context(lock)
        ledger = stack.enter_context(open_ledger(warn))
        stack.enter_context(_located(server.url))
        yield Connection(client, server, ledger)


@contextlib.contextmanager
def _located(url: str) -> Iterator[None]:
    """Note the server's address on the client's errors: "HTTP 404" alone does not say of whom."""
    try:
        yield
    except ModelManagerError as error:
        error.add_note(url)
        raise


@contextlib.contextmanager
def planned(
    desired: Manifest, options: Options, target: Target, *, quiet: bool, lock_timeout: float | None = None
) -> Iterator[tuple[Plan, Connection]]:
    """Open the server, make the plan while progress is shown, and keep the connection open for the body.

    With a ``lock_timeout``, as `connected` has it, the plan may be applied: the lock is held from before the server is
    observed. Without one, a plan leaves nothing behind.
    """
    if_missing: IfMissing = "imagine" if lock_timeout is None else "make"
    shard = options.selection.shard
    with connected(
        target, jobs=options.jobs, if_missing=if_missing, lock_timeout=lock_timeout, shard=shard
    ) as connection:
        with progress(sys.stderr, quiet=quiet) as sink, collecting_rarely():
            plan = make_plan(desired, connection, options, on_event=sink)
        yield plan, connection


class PersistentConnection:
    """Opens the server anew when its address or token is another than last time, which is asked at each use.

    ``warn`` is told of a token that is sent in the clear.
    """

    def __init__(self, given: ServerOptions, *, jobs: int, warn: Callable[[str], None]) -> None:
        self._given = given
        self._jobs = jobs
        self._warn = warn
        self._open = contextlib.ExitStack()
        self._client: tuple[Target, Client, ServerName] | None = None

    @contextlib.contextmanager
    def connect(self, settings: ServerSettings, warn: Callable[[str], None]) -> Iterator[Connection]:
        """Open what a reconcile needs: the client, and a ledger of its own, which tells ``warn`` what it has to say.

        Raises `SettingsError` if no server or token is named, or the token file cannot be read.
        """
        target = resolve(self._given, settings, self._warn)
        if self._client is None or target != self._client[0]:
            self.close()
            self._client = target, *self._open.enter_context(open_client(target, jobs=self._jobs, warn=self._warn))
        _, client, server = self._client
        with _located(server.url), open_ledger(warn) as ledger:
            yield Connection(client, server, ledger)

    def close(self) -> None:
        """Close the client, and the embedded server if there is one."""
        self._client = None
        self._open.close()
