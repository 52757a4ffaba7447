"""Reading back: one list of the server's models says what each change became, and the ledger learns it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsync.apply.observe import holds, observe_one, rows
from mmsync.apply.spelling import is_respelled
from mmsync.client.error import ModelManagerError
from mmsync.ledger import Held, VerifiedContent, image_key
from mmsync.plan.compare import same_engine
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsync.apply.outcome import Attempt, Outcome
    from mmsync.client import Client, LegacyClient
    from mmsync.ledger import ImageKey, Ledger
    from mmsync.plan import After, Plan
    from mmsync.states import Observed

__all__ = ["read_back"]


def read_back(
    plan: Plan, attempts: Sequence[Attempt], client: Client | LegacyClient, ledger: Ledger
) -> tuple[tuple[Outcome, ...], str]:
    """Turn ``applied`` outcomes into ``verified``, or ``failed`` where the server shows something else.

    Returns:
        The final outcomes in the order of ``attempts``, and why nothing could be read back (or an empty text).
    """
    if not any(attempt.outcome.status == "applied" for attempt in attempts):
        return tuple(attempt.outcome for attempt in attempts), ""
    try:
        observed, _ = rows(client.get_models())
    except ModelManagerError as fault:
        return tuple(attempt.outcome for attempt in attempts), f"the changes could not be read back: {fault}"
    learned: list[tuple[ImageKey, Held]] = []
    outcomes = [_final(attempt, observed.get(attempt.outcome.change.name, ()), client, learned) for attempt in attempts]
    ledger.learn(plan.server, learned)
    sent = [
        (outcome.change.name, VerifiedContent(outcome.change.after.sha256, attempt.declared, attempt.shown))
        for attempt, outcome in zip(attempts, outcomes, strict=True)
        if outcome.ok and outcome.uploaded and outcome.change.after
    ]
    ledger.learn_verified(plan.server, sent)
    return tuple(outcomes), ""


def _final(
    attempt: Attempt,
    listed: Sequence[Observed],
    client: Client | LegacyClient,
    learned: list[tuple[ImageKey, Held]],
) -> Outcome:
    outcome = attempt.outcome
    change = outcome.change
    if outcome.status != "applied":
        return outcome
    if change.action == "delete":
        return _wrong(outcome, "the server still lists it") if listed else replace(outcome, status="verified")
    if len(listed) != 1:
        shown = "does not list it" if not listed else f"lists {len(listed)} models of this name"
        return _wrong(outcome, f"it was saved, but the server {shown}")
    there = listed[0]
    after = change.after
    if after is None:
        return outcome
    try:
        if _is_incomplete(there, after):
            there = observe_one(client, there)
        image = there.image_id
        renamed = image is not None and attempt.image_id is not None and str(image) != str(attempt.image_id)
        if image is not None and renamed and not holds(client, there.name, image, after.sha256):
            return _wrong(outcome, "it was saved, but another hand has replaced its content since")
    except ModelManagerError:
        return outcome
    key = image_key(there)
    # Only an image id seen on both sides ties the bytes sent to the row read, or those already there.
    is_known = outcome.uploaded or (change.before and change.before.sha256 == after.sha256)
    if key is not None and attempt.image_id is not None and is_known and not renamed:
        learned.append((key, Held(after.sha256, after.size, there.update_date)))
    return _otherwise(outcome, there, after) or replace(outcome, status="verified")


def _otherwise(outcome: Outcome, there: Observed, after: After) -> Outcome | None:
    """Return what to report where the server shows another engine or description than was saved."""
    if there.engine is not None and not same_engine(there.engine, after.engine):
        # Not tried again by itself: a server that knows the engine by another name would be sent the bytes for ever.
        why = f"it was saved, but the server shows engine {printable(there.engine)}"
        return replace(_wrong(outcome, why), permanent=True)
    shown = there.description or ""
    if after.description is None or shown == after.description:
        return None
    if not shown or is_respelled(after.description, shown):
        return _respelled(outcome, shown)
    return _wrong(outcome, "it was saved, but the server shows another description")


def _is_incomplete(there: Observed, after: After) -> bool:
    """Whether the list leaves out what is to be compared."""
    return None in (there.id, there.image_id, there.engine) or (there.description is None and bool(after.description))


def _respelled(outcome: Outcome, shown: str) -> Outcome:
    why = (
        f"it was saved, but the server keeps the description as {json.dumps(printable(shown), ensure_ascii=False)}; "
        "write it that way in the manifest"
    )
    return replace(outcome, status="failed", code="read-back", message=why, permanent=True)


def _wrong(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, status="failed", code="read-back", message=f"{why}; plan again to see what is left to do")
