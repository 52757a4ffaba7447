"""``mmsync watch``: keep the server in step with a models folder, for ever."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import click

from mmsync.apply.audit import AuditFile
from mmsync.cli import options as opt
from mmsync.cli.audit import audit_option, open_audit
from mmsync.cli.backup import backup_option, check_backup, open_backup
from mmsync.cli.errors import ExitCode
from mmsync.cli.listen import Address, allow_host_option, listen_option, listening
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import write_to_log
from mmsync.cli.session import PersistentConnection
from mmsync.cli.settings import ServerOptions, lock_folder
from mmsync.connection import expanded
from mmsync.errors import SettingsError
from mmsync.lock import private_folder, server_lock
from mmsync.plan import Options
from mmsync.printable import masked_url, printable
from mmsync.watch.change_filter import OnDrift
from mmsync.watch.config import Dependencies, WatchOptions
from mmsync.watch.control import Control, Trigger
from mmsync.watch.event_source import EventSource
from mmsync.watch.hook import OnChange, parse_command
from mmsync.watch.reconciler import Server
from mmsync.watch.reporting import Log
from mmsync.watch.status_board import StatusBoard
from mmsync.watch.systemd import Service
from mmsync.watch.watcher import Watcher

_LAST_MOMENT = 13  # seconds after a signal: the grace of what is in flight, and a little to break it off
_INTERVALS = 3  # without progress, after which the worker counts as stuck
_LOCK_TIMEOUT = 5.0  # seconds to wait for another mmsync; after that the reconcile is made again later


def _seconds(name: str, default: float, text: str) -> opt.Decorator:
    return opt.number_option(name, click.FloatRange(min=0, min_open=True), default, "SECONDS", text)


_EXAMPLES = """\b
Examples:
  mmsync watch --profile production --listen 127.0.0.1:8787
  mmsync watch --once
  mmsync watch --poll 30 --log-format json
"""


@click.command("watch", epilog=_EXAMPLES)
@opt.manifest_options
@opt.plan_options
@_seconds("--settle", 2.0, "How long a file must stay as it is before it is taken.")
@_seconds("--interval", 300.0, "Time between two full reconciles, give or take a tenth.")
@_seconds("--poll", 10.0, "Time between two looks where no file events come from.")
@opt.enum_option("--on-drift", values=["fix", "report"], text="What to do about changes made outside mmsync.")
@audit_option
@backup_option
@click.option("--once", is_flag=True, help="Make one pass over settled files and exit as apply would.")
@click.option(
    "--on-change",
    metavar="COMMAND",
    help="Run COMMAND (split into words, no shell; use sh -c for one) after each round that changed a model and "
    "whenever a problem begins, changes or ends, with a JSON report on stdin.",
)
@listen_option
@allow_host_option
@opt.enum_option(
    "--log-format", values=["text", "json"], text="How stderr is written: for people, or one JSON object a line."
)
@opt.server_options
def watch(
    manifest: ManifestOptions,
    options: Options,
    server: ServerOptions,
    *,
    settle: float,
    interval: float,
    poll: float,
    on_drift: OnDrift,
    audit: str | None,
    backup: str | None,
    once: bool,
    on_change: str | None,
    listen: Address | None,
    allowed_hosts: tuple[str, ...],
    log_format: str,
) -> int:
    """Keep the server in step with a models folder, for ever.

    SIGTERM and SIGINT end it (exit 143 and 130) once what is in flight has finished, within 10 seconds; a second one
    ends it at once. SIGHUP reconciles now. A guard that forbids deletes holds those back and nothing else.
    """
    token_file = expanded(server.token_file) if server.token_file else None
    if token_file is not None and token_file.exists() and not token_file.is_file():
        server = server.with_token()  # a pipe: empty the second time
    watching = WatchOptions(
        manifests=manifest.paths,
        models_dirs=manifest.models_dirs,
        options=options,
        extra_files=(str(token_file),) if server.token_file else (),
        server=masked_url(server.url) if server.url else f"profile {server.profile or 'or server of the manifest'}",
        settle=settle,
        interval=interval,
        poll=poll,
        on_drift=on_drift,
        once=once,
    )
    words = None if on_change is None else parse_command(on_change)
    record = open_audit(audit, [("a manifest", path) for path in manifest.paths])
    check_backup(backup)
    log = Log(write_to_log, time.time, as_json=log_format == "json")
    board = StatusBoard(
        manifest.paths, interval, wall=time.time, monotonic=time.monotonic, keeps_models=listen is not None
    )
    with contextlib.ExitStack() as stack:
        outside = stack.enter_context(_outside(watching, server, words, log, board, record))
        outside = outside._replace(backup=(lambda settings: open_backup(backup, settings)) if backup else None)
        if listen:
            folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in manifest.paths]  # noqa: PTH112, PTH120 - as the user wrote them
            stack.enter_context(
                listening(
                    listen,
                    allowed_hosts,
                    board,
                    is_alive=lambda: time.monotonic() - outside.service.alive_at <= _INTERVALS * interval,
                    folders=folders,
                    log=log,
                )
            )
        stack.enter_context(_signals(outside))
        well = Watcher(watching, outside).run()
        if outside.control.signal:
            outside.log("watch_stopped", "stopped by a signal", signal=signal.Signals(outside.control.signal).name)
            return 128 + outside.control.signal
        outside.log("watch_stopped", "the pass is made")
        return ExitCode.DONE if well else ExitCode.FAILURE


@contextlib.contextmanager
def _outside(
    options: WatchOptions,
    server: ServerOptions,
    words: tuple[str, ...] | None,
    log: Log,
    board: StatusBoard,
    audit: AuditFile | None,
) -> Iterator[Dependencies]:
    """Put together what the watcher meets the world with."""
    trigger = Trigger(time.sleep)
    private = None
    shard = options.options.selection.shard

    def warn(sentence: str) -> None:
        log("notice", sentence, level="warning")

    def log_thread_end(failed: threading.ExceptHookArgs) -> None:
        """Log the end of a thread that nobody awaits, in place of a trace on stderr."""
        warn(f"a thread ended: {failed.exc_type.__name__}: {printable(str(failed.exc_value), 200)}")

    with contextlib.suppress(SettingsError):  # no folder can be made, as in a read-only container
        private = private_folder(lock_folder(warn))
    with contextlib.ExitStack() as stack:
        connection = PersistentConnection(server, jobs=options.options.jobs, warn=warn)
        stack.callback(connection.close)
        on_change = OnChange(words, os.environ, log) if words else None
        if on_change is not None:
            stack.callback(on_change.close, 10.0)
        stack.callback(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = log_thread_end
        yield Dependencies(
            server=Server(
                connection.connect,
                lambda name: server_lock(lock_folder(warn), name, timeout=_LOCK_TIMEOUT, on_wait=warn, shard=shard),
            ),
            events=EventSource(trigger.set, options.poll, private_folder=private),
            trigger=trigger,
            control=Control(trigger),
            log=log,
            board=board,
            service=Service(os.environ, time.monotonic),
            on_change=on_change,
            clock=time.monotonic,
            wall=time.time_ns,
            effort=time.thread_time,
            chance=random.random,
            audit=audit,
        )


@contextlib.contextmanager
def _signals(outside: Dependencies) -> Iterator[None]:
    """Let signals give orders while the body runs."""
    control = outside.control

    def leave(code: int) -> None:
        if outside.on_change is not None:
            outside.on_change.kill()
        os._exit(code)

    def stop(number: int, _frame: FrameType | None) -> None:
        if control.is_set():
            leave(128 + number)
        # What hangs in the network or in a dead mount does not keep the process.
        signal.alarm(_LAST_MOMENT)
        control.stop(number)

    handlers: dict[int, Callable[[int, FrameType | None], None]] = {
        signal.SIGTERM: stop,
        signal.SIGINT: stop,
        signal.SIGHUP: lambda *_: control.reconcile_now(),
        signal.SIGALRM: lambda *_: leave(128 + control.signal),
    }
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    if control.signal:
        # Not put back: threads that still wait for a server must not outlive the alarm.
        signal.alarm(1)
        return
    for number, former in before.items():
        signal.signal(number, former)
