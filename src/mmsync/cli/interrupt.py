"""SIGTERM for commands that only read: end at once, as on Ctrl-C, but clear away what is half done."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from mmsync.cli.exits import ExitCode

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["end_on_sigterm"]


def end_on_sigterm() -> None:
    """Turn SIGTERM into an exit with 143 that unwinds the stack; a second one waits for nothing.

    Without a handler it would do nothing at all to the first process of a container.
    """
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(number, lambda *_: os._exit(ExitCode.TERMINATED))
    sys.exit(ExitCode.TERMINATED)
