"""Exit codes, a contract users script against."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """What the process ends with."""

    DONE = 0
    FAILURE = 1
    CHANGES = 2  # only with --detailed-exitcode
    INTERRUPTED = 130  # SIGINT
    TERMINATED = 143  # SIGTERM
