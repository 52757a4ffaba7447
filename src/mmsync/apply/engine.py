"""Applying a plan: several changes at a time, each with its outcome, stoppable, read back at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mmsync.apply.outcome import Verified
from mmsync.apply.readback import read_back
from mmsync.apply.workers import Aborted, Stop, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mmsync.apply.outcome import Event
    from mmsync.client import Client, LegacyClient
    from mmsync.ledger import Ledger, VerifiedContent
    from mmsync.plan import Change, Plan

__all__ = ["Aborted", "Stop", "apply_changes"]


def apply_changes(
    plan: Plan,
    client: Client | LegacyClient,
    ledger: Ledger,
    *,
    jobs: int = 8,
    stop: Stop | None = None,
    fail_fast: bool = False,
    grace: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Event]:
    """Carry out a plan's changes and yield what happens; the last event is ``Verified`` with every outcome.

    A failure stops no other change. When ``stop`` is set, nothing new begins, changes in flight have ``grace``
    seconds to finish, then their uploads are broken off; what was not begun is ``not-attempted``. A refused
    token ends the run the same way, since every other change would be refused as well.

    Args:
        plan: What to do. Its refusals are the caller's to respect.
        client: The way to the server; its pool should hold three connections a job.
        ledger: Learns what the server was seen to hold afterwards.
        jobs: How many files to send at a time, at least 1. While the server looks at a file it has, or saves it, the
            next one is sent, so that up to twice as many changes are under way; with 1, one after another.
        stop: Asked before each change, and a few times a second.
        fail_fast: Whether the first failure ends the run.
        grace: Seconds.
        clock: Seconds, monotonic.
        sleep: Waits so many seconds, for a server whose list is behind.
    """
    held = {(model, image): content[0] for (model, _, image), content in ledger.images(plan.server).items()}

    def past(change: Change) -> tuple[Sequence[VerifiedContent], str | None]:
        there = change.before
        present = there.sha256 or held.get((str(there.id), str(there.image_id))) if there else None
        return ledger.verified(plan.server, change.name), present

    run = Workers(plan.changes, client, max(1, jobs), stop, clock, past, fail_fast=fail_fast)
    yield from run.events(grace)
    attempts = run.attempts
    # A file skipped as changed may be one whose remembered digest is wrong: the next run must read it anew.
    doubtful = [attempt.outcome.change.content for attempt in attempts if attempt.outcome.code == "file-changed"]
    ledger.forget([content.key for content in doubtful if content])
    if run.is_cut_short:
        # A server that did not answer within the grace is not asked once more: whoever stopped us is waiting.
        why = "the server did not answer in time, so the changes were not read back"
        yield Verified(tuple(attempt.outcome for attempt in attempts), why)
        return

    def wait(seconds: float) -> None:
        if not (stop and stop.is_set()):  # whoever stopped us is waiting
            sleep(seconds)

    outcomes, note = read_back(plan, attempts, client, ledger, jobs=jobs, wait=wait)
    yield Verified(outcomes, note)
