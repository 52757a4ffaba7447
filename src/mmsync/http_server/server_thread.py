"""uvicorn, told when to stop. By itself it looks every tenth of a second and waits as long again when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import uvicorn

from mmsync.errors import MmsyncError
from mmsync.http_server.connection_limits import LimitedProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_HEAD_LIMIT = 256 << 10  # bytes of request line and headers: a long name, percent-encoded, takes up to 12 a character
_TICK = 1.0  # seconds: how often uvicorn refreshes the Date header it sends
_STEPS = 3
_QUEUE = 2048  # connections that wait to be accepted
_ACCEPTED_AT_ONCE = 16  # asyncio's: more could use up the descriptors before one is looked at
_POLL = 0.002  # seconds between looks at connections that are closing; uvicorn tells no one when they have
_THREADS = 32  # for what blocks: the disk and the database
_WARNING_PAUSE = 60.0  # seconds between two warnings that no connection can be accepted

# Where nobody configured logging, Python writes warnings to stderr: bytes that are no HTTP are not our user's concern.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


def listening_socket(host: str, port: int) -> socket.socket:
    """A listening socket; raises `MmsyncError` if the address is taken, none, or none of this machine's."""
    if not 0 <= port <= 65_535:  # noqa: PLR2004 - the system would take the rest of a division
        raise MmsyncError(f"cannot listen on {host} port {port}: a port is a number from 0 to 65535")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # The protocol is spelled out because asyncio turns Nagle's algorithm off only where it is: with it on, every
        # small answer waits 40 ms for the client's delayed acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_QUEUE)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        said = MmsyncError(f"cannot listen on {host} port {port}: {error}")
        said.hint = _HINTS.get(error.errno or 0, "correct the host and the port")
        raise said from error
    return listener


_HINTS = {
    errno.EADDRINUSE: "another program listens there: choose another port, or 0 for a free one",
    errno.EACCES: "ports below 1024 need a privilege: choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address: 127.0.0.1 is for itself alone, 0.0.0.0 for all",
}


class ServerThread(uvicorn.Server):
    """A uvicorn server over a listening socket, in a thread of its own.

    ``patience`` is how many seconds `stop` lets requests in flight finish, ``tick`` how many lie between two looks at
    what clients hold up. ``protocol`` may set other limits.
    """

    def __init__(
        self,
        application: ASGIApp,
        listener: socket.socket,
        patience: float,
        protocol: type[LimitedProtocol] = LimitedProtocol,
        tick: float = _TICK,
    ) -> None:
        config = uvicorn.Config(
            application,
            loop="asyncio",
            http=protocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=_HEAD_LIMIT,
            timeout_keep_alive=75,
            backlog=_ACCEPTED_AT_ONCE,
        )
        super().__init__(config)
        self._listener = listener
        self._patience = patience
        self._tick = tick
        self._thread = threading.Thread(target=self._run, name="mmsync-server", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stopping = asyncio.Event()
        self._warned_at = float("-inf")
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Return once it answers; raises what kept it from starting."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def call_soon(self, call: Callable[[], object]) -> None:
        """Have something called in the server's loop; from any thread, and to no effect once it has ended."""
        with contextlib.suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(call)

    def stop(self) -> None:
        """Let requests in flight finish, for as long as it has patience, and return when all is closed."""
        self.call_soon(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self.serve(sockets=[self._listener]))
        except BaseException as error:  # noqa: BLE001  # it is raised again where start() waits
            self._failure = error
        finally:
            self._ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and tell `start`; uvicorn calls it."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="mmsync-server"))
        self._loop.set_exception_handler(self._handle_loop_error)
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_QUEUE)  # asyncio made it as short as what it accepts at once
        self._ready.set()

    def _handle_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Warn once a minute at most that none can be accepted; asyncio, which then waits a second, traces each try."""
        if "socket.accept()" not in str(context.get("message", "")):
            loop.default_exception_handler(context)
        elif loop.time() - self._warned_at > _WARNING_PAUSE:
            self._warned_at = loop.time()
            logging.getLogger(__name__).warning("no connection can be accepted: %s", context.get("exception"))

    async def main_loop(self) -> None:
        """Return when told to stop; uvicorn calls it."""
        while not self._stopping.is_set():
            await self.on_tick(0)
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, LimitedProtocol):
                    connection.end_if_idle(self._loop.time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._tick)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections within twice its patience; uvicorn calls it."""
        # A socket accepted just now gets its transport a step of the loop later, and asyncio drops it unclosed if its
        # server was closed in between: first accept no more, then let those be set up.
        for listener in sockets or []:
            self._loop.remove_reader(listener)
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await self._until_quiet(lambda connection: connection.shutdown())
        # What is cut off sees its client leave, and clears up after itself.
        await self._until_quiet(lambda connection: connection.transport.abort())
        for task in list(self.server_state.tasks):
            task.cancel()

    async def _until_quiet(self, end: Callable[[Any], None]) -> None:
        """End every connection, also those still being accepted, and wait until nothing is left or patience is."""
        limit = self._loop.time() + self._patience
        ended: set[object] = set()
        while True:
            for connection in self.server_state.connections - ended:
                end(connection)
                ended.add(connection)
            others = asyncio.all_tasks() - {asyncio.current_task()}  # requests, and sockets just accepted
            if not (self.server_state.connections or others) or self._loop.time() > limit:
                return
            await asyncio.sleep(_POLL)
