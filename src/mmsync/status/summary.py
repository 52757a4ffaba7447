"""Summary of a status: counts, and whether all is well, in words."""

from __future__ import annotations

from collections import Counter

from mmsync.quantities import counted
from mmsync.status.model import STATE_ORDER, ConditionStatus, ModelState, Status

OF_MODELS = ("model", "drift")
"""The kinds of conditions that are a single model's."""

# By the kind of a condition of the whole that stops models: what is wrong, in a few words.
_WRONG = {
    "manifest": "the manifest has errors",
    "server": "the server cannot be worked with",
    "token": "the token does not do",
    "plan": "a guard forbids deletes",
    "disk": "a disk on the watcher's machine fails",
    "root": "a folder of models cannot be read",
    "internal": "mmsync met an error of its own",
}


def counts(status: Status) -> dict[ModelState, int]:
    """Return how many models are in each state, every state named."""
    found = Counter(model.state for model in status.models)
    return {state: found[state] for state in STATE_ORDER}


def is_well(status: Status) -> bool:
    """Return whether all that is listed is on the server, and nothing is wrong."""
    return status.health == "ok" and not any(counts(status)[state] for state in ("failed", "blocked", "drifted"))


def attention(status: Status) -> list[ConditionStatus]:
    """Return the conditions that need a person: what stops a model first, and the whole before single models."""
    wrong = (one for one in status.conditions if one.level != "info")
    return sorted(wrong, key=lambda one: (one.level != "error", one.kind in OF_MODELS, one.kind, one.subject))


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
        what = ", ".join(dict.fromkeys(_WRONG.get(one.kind, one.kind) for one in whole))
        return f"Something needs you: {what}. Last known: {said}{tail}."
    if wrong:
        return f"Something needs you: {said}{tail}."
    if on_the_way:
        return f"All is well so far: {said}{tail}."
    if not listed:
        return "All is well, and nothing is listed."
    return f"All is well: {'the one model is' if listed == 1 else f'all {listed:,} models are'} in sync."
