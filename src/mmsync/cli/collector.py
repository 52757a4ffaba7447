"""The cycle collector of a command: what is made for ten thousand models lasts to the end, and need not be searched."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_OFTEN, _RARELY = 100_000, 500_000  # objects made and not freed, at which to look for cycles


def start_collector() -> None:
    """Collect less often than Python does by itself, and never what is there already."""
    gc.freeze()
    gc.set_threshold(_OFTEN, 20, 20)


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """Leave alone what is made meanwhile, unless that is very much, and ever after.

    Of a plan of ten thousand models one collection takes a twentieth.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(_RARELY, *thresholds[1:])
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*thresholds)


def stop_collector() -> None:
    """Let what is left go with the process, without a last search."""
    gc.freeze()
