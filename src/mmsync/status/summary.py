"""Summary of a status: counts, and whether all is well, in words."""

from __future__ import annotations

from collections import Counter

from mmsync.quantities import counted
from mmsync.status.model import STATE_ORDER, ModelState, Status


def counts(status: Status) -> dict[ModelState, int]:
    """Return how many models are in each state, every state named."""
    found = Counter(model.state for model in status.models)
    return {state: found[state] for state in STATE_ORDER}


def is_well(status: Status) -> bool:
    """Return whether all that is listed is on the server, and nothing is wrong."""
    return status.health == "ok" and not any(counts(status)[state] for state in ("failed", "blocked", "drifted"))


def headline(status: Status) -> str:
    """Return whether all is well, in one sentence for a person."""
    of = counts(status)
    listed = sum(of.values()) - of["unmanaged"]
    if status.health == "starting":
        return f"Starting: {counted(listed, 'model')} listed, nothing compared with the server yet."
    whole = [one for one in status.conditions if one.level == "error" and one.kind != "model"]
    wrong = [f"{of[state]:,} {state}" for state in ("failed", "blocked", "drifted") if of[state]]
    on_the_way = [f"{of[state]:,} {state}" for state in ("settling", "pending") if of[state]]
    said = f"{of['synced']:,} of {counted(listed, 'model')} in sync"
    tail = f": {', '.join((*wrong, *on_the_way))}" if wrong or on_the_way else ""
    if whole:
        return f"Something needs you. {_capital(whole[0].message)}. Last known: {said}{tail}."
    if wrong:
        return f"Something needs you: {said}{tail}."
    if on_the_way:
        return f"All is well so far: {said}{tail}."
    if not listed:
        return "All is well, and nothing is listed."
    return f"All is well: {'the one model is' if listed == 1 else f'all {listed:,} models are'} in sync."


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:].rstrip(".")
