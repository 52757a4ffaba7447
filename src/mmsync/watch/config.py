"""Configuration of the watcher, and everything it meets the world with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mmsync.apply.audit import AuditFile
from mmsync.plan import Options
from mmsync.watch.change_filter import OnDrift
from mmsync.watch.control import Control, Trigger
from mmsync.watch.hook import OnChange
from mmsync.watch.reporting import Log
from mmsync.watch.retry import Backoff
from mmsync.watch.status_board import StatusBoard
from mmsync.watch.systemd import Service

if TYPE_CHECKING:
    from mmsync.apply.backup import Backup
    from mmsync.manifest import ServerSettings
    from mmsync.watch.event_source import EventSource
    from mmsync.watch.reconciler import Server


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Options of the watcher."""

    manifests: tuple[str, ...]  # manifests or folders of them
    models_dirs: tuple[str, ...] = ()  # folders outside the manifests' own that model files may lie in
    options: Options = field(default_factory=Options)  # how to plan: selection, guards, prune, verify, jobs
    settle: float = 2.0  # seconds a file must stay as it is before it is taken
    interval: float = 300.0  # seconds between two full reconciles, give or take a tenth
    poll: float = 10.0  # seconds between two scans where no events come from
    force: float = 60.0  # seconds after which a file that does not settle is read and compared instead
    on_drift: OnDrift = "fix"  # whether what is changed outside mmsync is set right
    once: bool = False  # one settled pass, then the end
    backoff: Backoff = field(default_factory=Backoff)  # the pauses after failures
    extra_files: tuple[str, ...] = ()  # files whose change calls for a new attempt: the token's
    server: str = "the manifest's server"  # the server in words, for the first line of the log


class Dependencies(NamedTuple):
    """Everything the watcher meets the world with."""

    server: Server  # the way to the server
    events: EventSource  # where events come from
    trigger: Trigger  # set when something may have changed
    control: Control  # what signals ask for
    log: Log  # where it is told
    board: StatusBoard  # where it can be looked up
    service: Service  # the service manager
    on_change: OnChange | None  # given the report of each reconcile that changed something; None for nobody
    clock: Callable[[], float]  # seconds, monotonic
    wall: Callable[[], int]  # nanoseconds since the epoch, as files are stamped
    effort: Callable[[], float]  # seconds of processor time this thread has used
    chance: Callable[[], float]  # a number from 0 up to 1
    audit: AuditFile | None = None  # gets a record of what is done to the server
    # makes the backup of one reconcile, for the ``server`` part of its manifest; None keeps nothing
    backup: Callable[[ServerSettings], Backup] | None = None
