"""Threads where the machine may allow fewer than wanted: a container's limit on processes, too little memory.

Whatever asks for workers makes do with those that start. That there were fewer is kept in ``shortage``, for whoever
tells the user.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["is_shortage", "shortage", "start"]

shortage = threading.Event()
"""Whether a thread could not be started since this was cleared."""


def is_shortage(error: BaseException) -> bool:
    """Whether the error is Python's for a thread that cannot be started."""
    return isinstance(error, RuntimeError) and "start new thread" in str(error)


def start(threads: Sequence[threading.Thread]) -> list[threading.Thread]:
    """Start threads that share one work until one cannot be; return those that run, which may be none."""
    running: list[threading.Thread] = []
    for thread in threads:
        try:
            thread.start()
        except RuntimeError as error:
            if not is_shortage(error):
                raise
            shortage.set()
            break
        running.append(thread)
    return running
