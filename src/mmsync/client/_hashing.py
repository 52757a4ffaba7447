"""A sha256 made beside the transfer of the bytes it is of."""

from __future__ import annotations

import hashlib
import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from mmsync.parallel import start

# From this many bytes on a second thread hashes while the first one sends or receives: neither waits for the other.
_WORTH_A_THREAD = 4 << 20
# Pieces taken and not yet hashed: more would have left the processor's cache before their turn comes.
_MAX_WAITING = 2


class Sha256:
    """The sha256 of bytes that come in pieces; hashed by a second thread once they are many, if one can be started.

    A context manager: that thread has ended when it is left, however it is left.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._before_thread = _WORTH_A_THREAD  # bytes that are still to be hashed by the caller's thread
        self._thread: threading.Thread | None = None
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        self._error: BaseException | None = None

    def update(self, data: bytes) -> None:
        """Take the next piece; waits while too many are not hashed yet."""
        if self._thread is not None:
            self._room.get()
            self._waiting.put(data)
            return
        self._digest.update(data)
        if self._before_thread > 0:
            self._before_thread -= len(data)
            if self._before_thread <= 0:
                self._start()

    def hexdigest(self) -> str:
        """Return the digest of all that was taken, in hex; nothing can be added to it afterwards."""
        self.close()
        if self._error is not None:
            raise self._error
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the second thread. Closing again does nothing."""
        if self._thread is not None:
            self._waiting.put(None)
            if self._thread.ident is not None:  # an interrupt may come before it is started
                self._thread.join()

    def _start(self) -> None:
        for _ in range(_MAX_WAITING):
            self._room.put(None)
        self._thread = threading.Thread(target=self._run, name="mmsync-sha256", daemon=True)
        if not start([self._thread]):
            self._thread = None

    def _run(self) -> None:
        while (data := self._waiting.get()) is not None:
            try:
                self._digest.update(data)
            except BaseException as error:  # noqa: BLE001 - kept, to be raised where it can be dealt with
                self._error = error
            self._room.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
