"""The whole story on one page: read what is desired, observe the server, plan, apply.

The command line, the watcher and programs that import mmsync all take this path. A run holds no hidden state:
what it needs comes in as arguments, what it found goes out as values.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsync.apply.outcome import Downloads, Event, Outcome, Phase, Progress, Verified
from mmsync.client import Model
from mmsync.client.error import ModelManagerError
from mmsync.connection import Connection
from mmsync.errors import FileError, PlanRefused
from mmsync.evidence import gather, gone_back
from mmsync.files.digest import ToldOnly, read_contents
from mmsync.files.inspection import Inspection, inspected
from mmsync.ledger import known_content
from mmsync.manifest import Manifest
from mmsync.observe import observe, row_of, rows
from mmsync.plan import (
    Options,
    Plan,
    Scope,
    Situation,
    changed_guards,
    compare,
    differences,
    guards_of,
    unprotected_warning,
)
from mmsync.printable import printable
from mmsync.signatures import compare_signatures
from mmsync.types import Content, Diagnostic, Observed

if TYPE_CHECKING:
    from mmsync.apply.audit import AuditFile
    from mmsync.apply.backup import Backup
    from mmsync.apply.executor import Stop

__all__ = ["Options", "apply_plan", "check_saved", "make_plan"]


def make_plan(
    manifest: Manifest,
    connection: Connection,
    options: Options = Options(),
    *,
    contents: Mapping[str, Content | FileError] | None = None,
    models: list[Model] | None = None,
    on_event: Callable[[Event], None] | None = None,
    now_ns: int | None = None,
) -> Plan:
    """Compare a manifest with the server. Writes nothing to the server.

    With a warm ledger this is one request, and opens no model file.

    Args:
        manifest: What is desired.
        connection: The server and the ledger.
        options: Which part of it, and how far to verify.
        contents: What the model files hold, by name, where the caller knows (the watcher's settled files);
            otherwise they are read here.
        models: The server's list, where the caller has just read it.
        on_event: Called with ``Progress`` while files are hashed and contents downloaded, from any thread, and with
            ``Downloads`` before the first download.
        now_ns: The time in ns since the epoch; files changed within two seconds before it are not remembered.

    Raises:
        ModelManagerError: The server's list cannot be read.
    """
    client, server, ledger = connection.client, connection.server, connection.ledger
    now_ns = time.time_ns() if now_ns is None else now_ns
    inspection = Inspection(ledger.fits())
    if contents is None:
        contents = read_contents(
            [desired for desired in manifest.models if desired.name in options.selection],
            manifest.stats,
            ToldOnly(ledger) if options.verify == "always" else ledger,
            now_ns=now_ns,
            on_progress=_progress("hashing", on_event),
            while_open=inspection.while_open,
        )
    contents = inspected(manifest.models, contents, ledger, now_ns=now_ns, results=inspection.results)
    listed, odd = observe(client) if models is None else rows(models)
    observed = {name: row for name, (row, *others) in listed.items() if not others}
    ambiguous = frozenset(listed.keys() - observed.keys())
    odd += _restored(observed, connection)
    observed |= _late(contents, listed, connection)
    ledger.seen(server, observed.values())
    found = gather(
        [
            (observed[name], content)
            for name, content in contents.items()
            if name in observed and isinstance(content, Content)
        ],
        client,
        server,
        ledger,
        verify=options.verify,
        jobs=options.jobs,
        incomplete=_incomplete(manifest, observed),
        on_progress=_progress("verifying", on_event),
        on_downloads=(lambda models, size: on_event(Downloads(models, size))) if on_event else None,
    )
    signatures = compare_signatures(
        manifest.models, contents, found, client, server, ledger, results=inspection.results, jobs=options.jobs
    )
    guards = guards_of(manifest.scope, manifest.models)
    before = ledger.guards(server, manifest.paths)
    protected = frozenset(desired.name for desired in manifest.models if desired.protect)
    unprotected = frozenset(desired.name for desired in manifest.models if not desired.protect)
    unprotected &= ledger.protected(server, manifest.paths)
    situation = Situation(
        server=server,
        manifests=manifest.paths,
        desired=manifest.models,
        contents=contents,
        observed={**observed, **{name: answer.observed for name, answer in found.items()}},
        evidence={name: answer.evidence for name, answer in found.items()},
        scope=Scope(manifest.scope, known={*contents, *listed}),
        ambiguous=ambiguous,
        descriptions=ledger.descriptions(server),
        known=_known(manifest, observed, connection),
        diagnostics=(
            *manifest.warnings,
            *odd,
            *(changed_guards(before, guards) if before else ()),
            *unprotected_warning(unprotected),
            *signatures.diagnostics,
        ),
        signatures=signatures.known,
        breaks=signatures.breaks,
        protected=ledger.protected(server),
        is_remembered=not options.prune or ledger.has_applied(server),
        latest=frozenset(
            name
            for name, content in contents.items()
            if name in protected and isinstance(content, Content) and ledger.is_latest(server, name, content.sha256)
        ),
    )
    made = compare(situation, selection=options.selection, guards=options.guards, prune=options.prune)
    return replace(made, manifest_guards=guards, protected=protected, unprotected=unprotected)


def apply_plan(
    plan: Plan,
    connection: Connection,
    *,
    jobs: int = 8,
    stop: Stop | None = None,
    fail_fast: bool = False,
    on_event: Callable[[Event], None] | None = None,
    audit: AuditFile | None = None,
    backup: Backup | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> tuple[Outcome, ...]:
    """Carry out a plan and return what became of each change, in the plan's order.

    Args:
        plan: A plan of this process; one read from a file is made anew and compared first (``check_saved``).
        connection: The server and the ledger.
        jobs: How many changes at a time.
        stop: Asked whether to stop: what is in flight finishes, nothing new begins.
        fail_fast: Whether the first failure ends the run.
        on_event: Called with every event, always from the calling thread.
        audit: Gets a record of what is done; where that cannot be written nothing more begins, and its ``error`` says why.
        backup: Gets what is replaced or deleted, before anything is; its ``undo`` says afterwards what puts it back.
        sleep: Waits so many seconds, for a server whose list is behind.

    Raises:
        PlanRefused: A guard forbids the plan; nothing was written.
        AuditError: The audit record cannot be begun; nothing was written.
    """
    from mmsync.apply.executor import apply_changes  # noqa: PLC0415 - 2 ms, which a plan alone does without

    ledger = connection.ledger
    ledger.learn_protected(plan.server, plan.manifests, plan.protected, plan.unprotected)
    if plan.refusals:
        raise PlanRefused("the plan is refused; nothing was written", plan.refusals)
    outcomes: tuple[Outcome, ...] = ()
    client = connection.client
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(audit.record(plan)) if audit and plan.changes else None
        record = recorder.attempted if recorder else None
        for event in apply_changes(
            plan, client, ledger, jobs=jobs, stop=stop, fail_fast=fail_fast, record=record, backup=backup, sleep=sleep
        ):
            if isinstance(event, Verified):
                outcomes = event.outcomes
                if recorder:
                    recorder.settled(outcomes)
                if backup:
                    backup.finish(plan, outcomes)
            if on_event:
                on_event(event)
    ledger.forget_protected(
        plan.server, [each.change.name for each in outcomes if each.ok and each.change.action == "delete"]
    )
    if not plan.has_errors and all(outcome.ok for outcome in outcomes):
        ledger.learn_guards(plan.server, plan.manifests, plan.manifest_guards)
    return outcomes


def check_saved(plan: Plan, saved: Mapping[str, object], name: str) -> None:
    """Compare a saved plan (as ``mmsync.plan.read_document`` returned it) with one made now, with the same options.

    Raises `PlanRefused` where something changed since: each diagnostic says what; ``name`` is for the message.
    """
    if found := differences(saved, plan):
        raise PlanRefused(
            f"{name} is stale: the server, the files or the manifest moved since it was made; nothing was written",
            [Diagnostic("error", "plan/stale", difference) for difference in found],
            "plan again, look at it, and apply that",
        )


def _restored(observed: Mapping[str, Observed], connection: Connection) -> list[Diagnostic]:
    """Forget what was known of the images of a server that was put back to a backup, and say so."""
    client, server, ledger = connection.client, connection.server, connection.ledger
    if (back := gone_back(observed.values(), ledger.images(server))) is None:
        return []
    row, was = back
    there = None
    with contextlib.suppress(ModelManagerError):
        there = row_of(client, row.name)  # the list may be behind
    if there is None or not isinstance(there.image_id, int) or there.image_id >= was:
        return []
    ledger.void(server)
    return [
        Diagnostic(
            "warning",
            "server/restored",
            f"The image ids of the server went back ({printable(row.name)} had {was}, has {there.image_id}): it seems "
            "to have been put back to a backup",
            "what was known of its models is found out anew, this once",
        )
    ]


def _late(
    contents: Mapping[str, Content | FileError], listed: Mapping[str, object], connection: Connection
) -> dict[str, Observed]:
    """Return the models that mmsync has put there and the list does not show yet: it may be some seconds behind."""
    client, server, ledger = connection.client, connection.server, connection.ledger
    found = {}
    for name, content in contents.items():
        if name in listed or not isinstance(content, Content) or not ledger.is_latest(server, name, content.sha256):
            continue
        row = None
        with contextlib.suppress(ModelManagerError):  # whether it is there is asked once more before anything is sent
            row = row_of(client, name, hidden=False)
        if row and known_content(row, ledger.images(server)):
            found[name] = row
    return found


def _known(manifest: Manifest, observed: Mapping[str, Observed], connection: Connection) -> dict[str, tuple[str, int]]:
    """Return the content of models that the manifest does not list, as far as the ledger knows it.

    It tells what a delete takes away, and of which model an add has the content: without either it is not asked for.
    """
    listed = {desired.name for desired in manifest.models}
    is_asked = manifest.scope or not listed <= observed.keys()
    unlisted = [row for name, row in observed.items() if name not in listed] if is_asked else []
    images = connection.ledger.images(connection.server) if unlisted else {}
    return {row.name: (found[0], found[1]) for row in unlisted if (found := known_content(row, images))}


def _incomplete(manifest: Manifest, observed: Mapping[str, Observed]) -> frozenset[str]:
    """Return the models of which the list leaves out what the manifest asks for.

    A description that is null may be one that is not listed: where a text is wanted, the detail says. Where the empty
    one is wanted, null is taken for it; asking each time would cost a request for every model without a text.
    """
    return frozenset(
        desired.name
        for desired in manifest.models
        if (there := observed.get(desired.name))
        and (there.engine is None or (there.description is None and desired.description))
    )


def _progress(phase: Phase, on_event: Callable[[Event], None] | None) -> Callable[[str, int, int], None] | None:
    return (lambda name, done, total: on_event(Progress(name, phase, done, total))) if on_event else None
