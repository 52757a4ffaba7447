"""The standard streams: safe to write to before anything else is opened, and no command to a CI runner in them."""

from __future__ import annotations

import contextlib
import os
import sys
from threading import RLock
from typing import TYPE_CHECKING, Any, TextIO, cast

from mmsync.printable import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["abandon_stdout", "harmless_streams", "prepare_streams", "settle_streams", "write_command"]


def prepare_streams() -> None:
    """Make every standard stream usable, whatever the caller left of them.

    A stream the caller closed (``mmsync plan >&-``) is opened again on the null device: otherwise the next file to
    be opened, the ledger perhaps, would get its number and the text meant for it. stdout is opened for reading, so
    that an answer nobody can get is an error, as it is for other programs; commentary may be lost.
    """
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - it stays open for the process
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show is shown as an escape, not as a crash.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # replaced streams may lack it


@contextlib.contextmanager
def harmless_streams() -> Iterator[None]:
    """Let nothing that is written to stdout and stderr while the body runs be a command to a CI runner.

    Names, descriptions and errors of others are in all that is written: this is the one place that all of it passes.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Harmless(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def write_command(line: str) -> None:
    """Write a command that is meant as one, ``::name …::value``, to stderr."""
    cast("_Harmless", sys.stderr).command(line)


class _Harmless:
    """A text stream that escapes commands, also those that come in pieces.

    It has no ``buffer``: nothing may be written past it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = ""  # of the line so far, what a command could begin with
        self._lock = RLock()  # a signal handler may write while the same thread does

    def write(self, text: str) -> int:
        with self._lock:
            # The end of what begins a command is escaped: what is written already stays as it is.
            escaped = harmless(self._before + text)
            self._stream.write(escaped[len(self._before) :])
            line = escaped[max(escaped.rfind("\n"), escaped.rfind("\r")) + 1 :].lstrip()
            self._before = line if line in ("", ":") else f"x{line[-5:]}"
        return len(text)

    def command(self, line: str) -> None:
        with self._lock:
            self._stream.write(f"::{harmless(line[2:])}\n")
            self._before = ""
            self.flush()

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


def settle_streams() -> None:
    """Flush what is left; where that cannot be, nothing is left for the interpreter to fail on with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _abandon(stream)


def abandon_stdout() -> None:
    """Send what is still buffered for stdout nowhere: writing it has failed, and must not fail again at the exit."""
    _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
