"""uvicorn, told when to stop. By itself it looks every tenth of a second and waits as long again when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from mmsync.server.connection_limits import LimitedProtocol, end_idlers, quiet_about_accepting

_HEAD_LIMIT = 256 << 10  # bytes of request line and headers: a long name, percent-encoded, takes up to 12 a character
_TICK = 1.0  # seconds: how often uvicorn refreshes the Date header it sends
_STEPS = 3
_ACCEPTED_AT_ONCE = 16  # asyncio's: more could use up the descriptors before one is looked at
_GLANCE = 0.002  # seconds between looks at connections that are closing; uvicorn tells no one when they have

# Where nobody configured logging, Python writes warnings to stderr: bytes that are no HTTP are not our user's concern.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class ServerThread:
    """A uvicorn server over a listening socket, in a thread of its own."""

    def __init__(self, application: object, listener: socket.socket, patience: float, queue: int) -> None:
        config = uvicorn.Config(
            application,  # type: ignore[arg-type]  # an ASGI application; uvicorn's own types are private
            loop="asyncio",
            http=LimitedProtocol,
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
        self._listener = listener
        self._server = _Server(config, patience, queue)
        self._thread = threading.Thread(target=self._run, name="mmsync-server", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Return once it answers; raises what kept it from starting."""
        self._thread.start()
        self._server.ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Let requests in flight finish, for as long as it has patience, and return when all is closed."""
        self._server.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listener]))
        except BaseException as error:  # noqa: BLE001  # it is raised again where start() waits
            self._failure = error
        finally:
            self._server.ready.set()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, patience: float, queue: int) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._patience = patience
        self._queue = queue
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._loop.set_exception_handler(quiet_about_accepting(self._loop))
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(self._queue)  # asyncio made it as short as what it accepts at once
        self.ready.set()

    def stop(self) -> None:
        """Ask it to stop, from another thread."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has stopped
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        assert self._stopping is not None
        while not self._stopping.is_set():
            await self.on_tick(0)
            end_idlers(self.server_state.connections, asyncio.get_running_loop().time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A socket accepted just now gets its transport a step of the loop later, and asyncio drops it unclosed if its
        # server was closed in between: first accept no more, then let those be set up.
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
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
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._patience
        ended: set[object] = set()
        while True:
            for connection in self.server_state.connections - ended:
                end(connection)
                ended.add(connection)
            others = asyncio.all_tasks() - {asyncio.current_task()}  # requests, and sockets just accepted
            if not (self.server_state.connections or others) or loop.time() > limit:
                return
            await asyncio.sleep(_GLANCE)
