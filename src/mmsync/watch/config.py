"""What to watch and how, and everything the watcher meets the world with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mmsync.plan import Options
from mmsync.watch.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmsync.watch.control import Control, WakeEvent
    from mmsync.watch.event_source import EventSource
    from mmsync.watch.hook import OnChange
    from mmsync.watch.reconciler import Server
    from mmsync.watch.reporting import Log
    from mmsync.watch.retry import OnDrift
    from mmsync.watch.systemd import Service

__all__ = ["Dependencies", "WatchOptions"]


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to watch, and how.

    Attributes:
        manifests: Manifests or folders of them.
        models_dirs: Folders outside the manifests' own that model files may lie in.
        options: How to plan: selection, guards, prune, verify, jobs.
        settle: Seconds a file must stay as it is before it is taken.
        interval: Seconds between two full reconciles, give or take a tenth.
        poll: Seconds between two looks where no events come from.
        force: Seconds after which a restless file is read and compared instead.
        on_drift: Whether what other hands change on the server is set right.
        once: One settled pass, then the end.
        backoff: The pauses after failures.
        extra_files: Files whose change calls for a new attempt: the token's.
        server: The server in words, for the first line of the log.
    """

    manifests: tuple[str, ...]
    models_dirs: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    settle: float = 2.0
    interval: float = 300.0
    poll: float = 10.0
    force: float = 60.0
    on_drift: OnDrift = "fix"
    once: bool = False
    backoff: Backoff = field(default_factory=Backoff)
    extra_files: tuple[str, ...] = ()
    server: str = "the manifest's server"


class Dependencies(NamedTuple):
    """Everything the watcher meets the world with.

    Attributes:
        server: The way to the server.
        events: Where events come from.
        wake: Set when something may have changed.
        control: What signals ask for.
        log: Where it is told.
        service: The service manager.
        on_change: Given the report of each round that changed something; None for nobody.
        clock: Seconds, monotonic.
        wall: Nanoseconds since the epoch, as files are stamped.
        effort: Seconds of processor time this thread has used.
        chance: A number from 0 up to 1.
    """

    server: Server
    events: EventSource
    wake: WakeEvent
    control: Control
    log: Log
    service: Service
    on_change: OnChange | None
    clock: Callable[[], float]
    wall: Callable[[], int]
    effort: Callable[[], float]
    chance: Callable[[], float]
