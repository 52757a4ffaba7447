"""Telling the service manager how we are: the protocol of ``sd_notify(3)``, which needs no library."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping


class Service:
    """The manager that started us, named by NOTIFY_SOCKET in the environment; without one every call does nothing."""

    def __init__(self, environment: Mapping[str, str], clock: Callable[[], float], pid: int | None = None) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        if address.startswith("@"):  # it stands for the NUL byte that begins the name of an abstract socket
            address = "\0" + address[1:]
        self._address = address if address.startswith(("\0", "/")) else ""
        self._clock = clock  # seconds, monotonic
        self._pinged = float("-inf")
        self.alive_at = clock()  # when the worker last gave a sign of life
        self._status = ""
        usec = environment.get("WATCHDOG_USEC", "")
        # Another process named there means that the watchdog is not meant for us.
        meant = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
        limit = int(usec) / 1e6 if self._address and meant and usec.isascii() and usec.isdigit() else 0.0
        self.ping_every: float | None = limit / 3 or None  # in seconds; None where no watchdog waits for pings

    def ready(self) -> None:
        """Say that the start is over."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show one line to whoever asks for our status; the same line is not sent twice in a row."""
        line = text.replace("\n", " ")
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def ping(self) -> None:
        """Say that we are alive, if it is time to."""
        self.alive_at = self._clock()
        if self.ping_every is not None and self._clock() - self._pinged >= self.ping_every:
            self._pinged = self._clock()
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A manager that went away, or a full socket, is no reason to fail.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender,
        ):
            sender.sendto(message.encode("utf-8", "replace"), self._address)
