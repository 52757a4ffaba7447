"""The standard streams, made safe to write to before anything else is opened."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

__all__ = ["abandon_stdout", "prepare_streams", "settle_streams"]


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
