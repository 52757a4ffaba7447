"""Reading back: one list of the server's models says what each change became, and the ledger learns it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mmsync.apply.observe import observe_one, rows
from mmsync.client.error import ModelManagerError
from mmsync.ledger import Held, image_key
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsync.apply.outcome import Attempt, Outcome
    from mmsync.client import Client, LegacyClient
    from mmsync.ledger import ImageKey, Ledger
    from mmsync.plan import Plan
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
    if there.image_id is None:
        try:
            there = observe_one(client, there)
        except ModelManagerError:
            return outcome
    after = change.after
    if after is None:
        return outcome
    if attempt.image_id is not None and there.image_id is not None and str(there.image_id) != str(attempt.image_id):
        return _wrong(outcome, "it was saved, but another hand has replaced its content since")
    if there.engine is not None and there.engine != after.engine:
        return _wrong(outcome, f"it was saved, but the server shows engine {printable(there.engine)}")
    if after.description is not None and (there.description or "") != after.description:
        return _wrong(outcome, "it was saved, but the server shows another description")
    key = image_key(there)
    # Only an image id seen on both sides ties the bytes sent to the row read.
    if key is not None and attempt.image_id is not None and outcome.uploaded:
        learned.append((key, Held(after.sha256, after.size)))
    return replace(outcome, status="verified")


def _wrong(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, status="failed", code="read-back", message=f"{why}; plan again to see what is left to do")
