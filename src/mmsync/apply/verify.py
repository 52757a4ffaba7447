"""Reading back: the server's list, and where that shows something else the models themselves, say what changes became.

A list may be some seconds behind (a read replica, a caching proxy), and a server may keep a text its own way: neither
is somebody's doing, and is told apart from that before anything is said. The ledger learns what was found.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mmsync.apply.outcome import Attempt, Outcome
from mmsync.client import Client
from mmsync.client.error import ModelManagerError
from mmsync.ledger import ImageKey, KnownImage, Ledger, ServerDescription, VerifiedContent, image_key
from mmsync.observe import fill_in, holds, observe, row_of
from mmsync.parallel import parallel_map
from mmsync.plan import After, Plan
from mmsync.plan.planner import same_engine
from mmsync.printable import printable
from mmsync.types import Observed

_LAG = 2.5  # seconds a list or a replica may be behind


def is_respelled(sent: str, displayed: str) -> bool:
    """Return whether what a server shows is what it was sent, put its own way: trimmed, cut short, or in another case.

    Such a server shows the same again however often the text is sent. Limits of descriptions are not published.
    """
    before, after = (" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in (sent, displayed))
    return sent != displayed and bool(after) and before.startswith(after)


class _Check(NamedTuple):
    """An attempt as one reading of the server shows it."""

    outcome: Outcome  # what became of the change, if it is not read again
    is_uncertain: bool = False  # whether another reading may say something else
    lesson: tuple[ImageKey, KnownImage] | None = None  # which content the image there holds
    description_there: ServerDescription | None = None  # how the server shows the description
    # the description there, where it is neither the one sent nor known to be that in the server's own way
    displayed: str | None = None


def read_back(
    plan: Plan,
    attempts: Sequence[Attempt],
    client: Client,
    ledger: Ledger,
    *,
    jobs: int,
    wait: Callable[[float], object],
) -> tuple[tuple[Outcome, ...], str]:
    """Return the final outcomes in the order of ``attempts``, and why nothing could be read back (or an empty text).

    What was ``applied`` is ``verified``, or ``failed`` where the server shows something else; the ledger learns what it
    holds, and how it shows descriptions. ``wait`` waits for so many seconds, or less where the run is to end.
    """
    applied = {each.outcome.change.name: each for each in attempts if each.outcome.status == "applied"}
    outcomes = tuple(attempt.outcome for attempt in attempts)
    if not applied:
        return outcomes, ""
    try:
        listed, _ = observe(client)
    except ModelManagerError as error:
        return outcomes, f"the changes could not be read back: {error}"
    known = ledger.descriptions(plan.server)
    checks = {name: _compare(each, listed.get(name, ()), known.get(name), client) for name, each in applied.items()}
    for pause in (0.0, _LAG):
        uncertain = [applied[name] for name, check in checks.items() if check.is_uncertain]
        if uncertain and pause:
            wait(pause)
        again = parallel_map(lambda attempt: _ask(attempt, client), uncertain, jobs=jobs)
        checks.update((attempt.outcome.change.name, check) for attempt, check in again)
    odd = [(applied[name], check) for name, check in checks.items() if check.displayed is not None]
    for (attempt, _), check in parallel_map(lambda each: _insist(each[0], each[1], client), odd, jobs=jobs):
        checks[attempt.outcome.change.name] = check
    ledger.learn(plan.server, [check.lesson for check in checks.values() if check.lesson])
    displayed = [(name, check.description_there) for name, check in checks.items() if check.description_there]
    ledger.learn_descriptions(plan.server, displayed)
    sent = [
        (name, VerifiedContent(change.after.sha256, applied[name].declared, applied[name].displayed))
        for name, (outcome, *_) in checks.items()
        if outcome.ok and outcome.uploaded and (change := outcome.change).after
    ]
    ledger.learn_verified(plan.server, sent)
    return tuple(checks[each.change.name].outcome if each.change.name in checks else each for each in outcomes), ""


def _ask(attempt: Attempt, client: Client) -> _Check:
    """Read the model itself."""
    try:
        row = row_of(client, attempt.outcome.change.name)
    except ModelManagerError:
        return _Check(attempt.outcome)
    return _compare(attempt, (row,) if row else (), None, client, is_detail=True)


def _compare(
    attempt: Attempt,
    found: Sequence[Observed],
    description_there: ServerDescription | None,
    client: Client,
    *,
    is_detail: bool = False,
) -> _Check:
    outcome = attempt.outcome
    after, before = outcome.change.after, outcome.change.before
    if after is None:
        return _wrong(outcome, "the server still lists it") if found else _Check(replace(outcome, status="verified"))
    if len(found) != 1:
        displayed = "does not list it" if not found else f"lists {len(found)} models of this name"
        return _wrong(outcome, f"it was saved, but the server {displayed}")
    there = found[0]
    try:
        needed = (there.id, there.image_id, there.engine, there.description if after.description else "")
        if None in needed and not is_detail:  # the list leaves out what is to be compared
            seen = row_of(client, there.name)
            there = fill_in(there, seen, "id", "engine", "description", "image_id") if seen else there
        image = there.image_id
        renamed = image is not None and attempt.image_id is not None and str(image) != str(attempt.image_id)
        if image is not None and renamed and not (is_detail and holds(client, there.name, image, after.sha256)):
            return _wrong(outcome, "it was saved, but its content was replaced outside mmsync since")
    except ModelManagerError:
        return _Check(outcome)
    key = image_key(there)
    # Only an image id seen on both sides ties the bytes sent to the row read, or those already there.
    is_known = outcome.uploaded or (before and before.sha256 == after.sha256)
    is_ours = attempt.image_id is not None and is_known and not renamed
    lesson = (key, (after.sha256, after.size, there.update_date)) if key and is_ours else None
    dates = (before.update_date if before else None, there.update_date)
    # Of before the change, be it a list or a replica that lags, is what has neither our image nor a newer date.
    is_new = bool(lesson and outcome.uploaded) or (None not in dates and dates[0] != dates[1])
    return _compared(outcome, there, after, description_there, is_new=is_new)._replace(lesson=lesson)


def _compared(
    outcome: Outcome, there: Observed, after: After, description_there: ServerDescription | None, *, is_new: bool
) -> _Check:
    """Say whether the server shows the engine and the description that were saved."""
    if there.engine is not None and not same_engine(there.engine, after.engine):
        # Not tried again by itself: a server that knows the engine by another name would be sent the bytes for ever.
        return _wrong(outcome, f"it was saved, but the server shows engine {printable(there.engine)}", permanent=True)
    displayed, sent = there.description or "", after.description
    if sent is None or displayed == sent or description_there == (sent, displayed):
        return _Check(replace(outcome, status="verified"))
    if is_new and (not displayed or is_respelled(sent, displayed)):
        return _as_displayed(outcome, ServerDescription(sent, displayed))
    check = _wrong(outcome, "it was saved, but the server shows another description")
    return check._replace(is_uncertain=not is_new, displayed=displayed)


def _insist(attempt: Attempt, before: _Check, client: Client) -> _Check:
    """Save a description that is shown otherwise once more: shown the same again, it is the server's way of it."""
    change, after = attempt.outcome.change, attempt.outcome.change.after
    if after is None or after.description is None or before.displayed is None:
        return before
    try:
        client.update_description(change.name, after.description)
        row = row_of(client, change.name)
    except ModelManagerError:
        return before
    check = _compare(attempt, (row,) if row else (), None, client, is_detail=True)
    if check.displayed != before.displayed:
        return check
    displayed = ServerDescription(after.description, before.displayed)
    return _as_displayed(attempt.outcome, displayed)._replace(lesson=check.lesson)


def _as_displayed(outcome: Outcome, description_there: ServerDescription) -> _Check:
    displayed = json.dumps(printable(description_there.displayed), ensure_ascii=False)
    why = f"the server keeps the description as {displayed}; it is not sent again unless the manifest or the server changes it"
    message = "; ".join(part for part in (outcome.message, why) if part)
    return _Check(replace(outcome, status="verified", message=message), description_there=description_there)


def _wrong(outcome: Outcome, why: str, *, permanent: bool = False) -> _Check:
    message = f"{why}; plan again to see what is left to do"
    failed = replace(outcome, status="failed", code="read-back", message=message, permanent=permanent)
    return _Check(failed, is_uncertain=True)
