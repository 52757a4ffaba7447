"""Start and stop a server: in a thread for the length of a ``with``, or blocking until a signal."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmsync.errors import MmsyncError
from mmsync.http_server import INSTALL_HINT
from mmsync.server.schemas import DATABASE, Generation, Settings

_TICK = 0.5  # seconds
_SERVE_PATIENCE = 10.0  # seconds


@contextlib.contextmanager
def first_signal() -> Iterator[Callable[[], int]]:
    """Collect SIGINT and SIGTERM; what is yielded waits for the first and hands the next ones back.

    A pipe, because a handler may not take the lock that an Event's ``wait`` could be holding just then; written to by
    Python's handler in C, because a handler in Python would wait for a main thread that has just begun to read.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before: dict[signal.Signals, object] = {}
    former = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def restore() -> None:
        signal.set_wakeup_fd(former)
        while before:
            which, handler = before.popitem()
            signal.signal(which, handler)  # type: ignore[arg-type]  # it is what signal.signal returned

    def wait() -> int:
        while (number := os.read(reader, 1)[0]) not in (signal.SIGINT, signal.SIGTERM):
            pass  # a signal that somebody else has a handler for
        restore()
        return number

    try:
        for which in (signal.SIGINT, signal.SIGTERM):
            before[which] = signal.signal(which, lambda *_: None)
        yield wait
    finally:
        restore()
        os.close(reader)
        os.close(writer)


@dataclass(frozen=True, slots=True)
class Address:
    """The address a server answers at, and the token it wants."""

    url: str  # its base address, without a slash at the end
    token: str = field(repr=False)  # the token it wants; not part of the ``repr``


def is_of_others(folder: Path) -> bool:
    """Return whether a folder that is there holds files, and none of a server; what cannot be listed is not told here."""
    with contextlib.suppress(OSError):
        return not (folder / DATABASE).exists() and any(folder.iterdir())
    return False


@contextlib.contextmanager
def running(
    folder: str | os.PathLike[str],
    *,
    token: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    generation: Generation = "both",
    latency: float = 0.0,
    allow_delete: bool = True,
    domain: str = "self",
    prefix: str = "",
    patience: float = 1.0,
) -> Iterator[Address]:
    """A server over ``folder``, in a thread of this process, for the length of the ``with``.

    It answers when the block is entered, and everything of it is closed when the block is left. Several may run at
    once, on the same folder too. ``port`` 0 takes a free one; without a ``token`` a new one is made. The rest is
    explained at `Settings`. Raises `MmsyncError` if the extra ``server`` is not installed, the folder is unusable, or
    the address is taken.
    """
    settings = Settings(generation, domain, prefix.rstrip("/"), latency, allow_delete, patience)
    if token is None:
        token = secrets.token_urlsafe(32)
    elif not token.strip():
        raise MmsyncError("the token of a server cannot be empty")
    try:
        # What they need is an optional extra, and takes its time to load.
        from mmsync.http_server import server_thread  # noqa: PLC0415 - see above
        from mmsync.server import app, store as storage  # noqa: PLC0415 - see above
    except ImportError as error:
        raise MmsyncError(
            f"the embedded server is not installed ({error})",
            INSTALL_HINT,
        ) from error

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(server_thread.listening_socket(host, port))
        store = stack.enter_context(contextlib.closing(storage.Store(Path(folder))))
        application = app.application(store, settings, token)
        server = server_thread.ServerThread(application, listener, settings.patience)
        server.start()
        stack.callback(server.stop)
        # A client on this machine reaches it there, also where it listens on every address.
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # it is replaced
        authority = f"[{reachable}]" if ":" in reachable else reachable
        yield Address(f"http://{authority}:{listener.getsockname()[1]}{settings.prefix}", token)


def serve(
    folder: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    generation: Generation = "both",
    prefix: str = "",
    on_ready: Callable[[Address], None] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Run a server over ``folder`` until SIGINT or SIGTERM, or until ``stop`` is set where one is given.

    Requests in flight get ten seconds to finish; a second signal does not wait for them. With ``stop``, signals are
    left alone. Only this machine reaches the default ``host``; ``port`` 0 takes a free one; without a ``token`` a new
    one is made, which only ``on_ready`` is told, called once the server answers. Return the number of the signal that
    ended it, 0 for ``stop``; raises `MmsyncError` as `running` does.
    """
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(first_signal()) if stop is None else None
        server = running(
            folder, token=token, host=host, port=port, generation=generation, prefix=prefix, patience=_SERVE_PATIENCE
        )
        address = stack.enter_context(server)
        if on_ready is not None:
            on_ready(address)
        while stop is not None and not stop.wait(_TICK):
            pass  # a signal that came just before the wait began is seen now and then
        return 0 if signals is None else signals()
