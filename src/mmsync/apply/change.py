"""Carrying out one change: re-read, upload, compare signatures, save. Failure is a value."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from mmsync.apply.failure import failed, skipped
from mmsync.apply.outcome import Attempt, Outcome
from mmsync.apply.signature import breaks
from mmsync.client import save_body
from mmsync.client.error import ModelManagerError
from mmsync.errors import FileFault
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmsync.client import Client, LegacyClient, ModelDetail
    from mmsync.plan import Before, Change

__all__ = ["carry_out"]

_SLOW = 1.0  # seconds an upload may take before the model is read once more ahead of its save


def carry_out(
    change: Change,
    client: Client | LegacyClient,
    reread: Callable[[], ModelDetail | None],
    on_progress: Callable[[int, int], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Attempt:
    """Do what the change says, unless the server or the file is no longer as planned.

    Args:
        change: An add, change or delete.
        client: The way to the server.
        reread: Reads the model's detail as it is now; called just before the first write.
        on_progress: Called with bytes sent and bytes in all; an exception it raises aborts the upload and comes
            out of this function.
        clock: Seconds, for how long an upload took.

    Returns:
        The attempt: ``applied``, ``skipped`` with nothing visible written, or ``failed``.
    """
    try:
        if change.action == "delete":
            return _delete(change, client, reread())
        stored = reread()
        moved = _moved(change, stored)
        if moved:
            return skipped(change, "stale", moved)
        if change.reasons == ("description",) and stored is not None:
            return _describe(change, client, stored, on_progress, clock)
        return _upload_and_save(change, client, stored, on_progress, clock)
    except (ModelManagerError, FileFault, OSError) as fault:
        return failed(change, fault)


def _delete(change: Change, client: Client | LegacyClient, stored: ModelDetail | None) -> Attempt:
    if stored is None:
        return Attempt(Outcome(change, "applied", message="it was gone already"))
    moved = _moved(change, stored)
    if moved:
        return skipped(change, "stale", moved)
    client.delete_model(change.name)
    return Attempt(Outcome(change, "applied"))


def _describe(
    change: Change,
    client: Client | LegacyClient,
    stored: ModelDetail,
    on_progress: Callable[[int, int], None],
    clock: Callable[[], float],
) -> Attempt:
    """Save the stored detail with the new description; where the server then shows something else, add in full."""
    description = change.after.description or "" if change.after else ""
    try:
        client.update_description(change.name, description, detail=stored)
    except ModelManagerError as fault:
        if not fault.permanent:
            raise
        # A server that takes no detail without a fresh upload (inferred: never seen) gets a full add.
        return _upload_and_save(change, client, stored, on_progress, clock)
    now = client.find_detail(change.name)
    if now is not None and (now.get("description") or "") == description and _image_id(now) == _image_id(stored):
        return Attempt(Outcome(change, "applied"), _image_id(now))
    return _upload_and_save(change, client, now, on_progress, clock)


def _upload_and_save(
    change: Change,
    client: Client | LegacyClient,
    stored: ModelDetail | None,
    on_progress: Callable[[int, int], None],
    clock: Callable[[], float],
) -> Attempt:
    desired, content = change.desired, change.content
    if desired is None or content is None:
        raise ValueError(f"a plan read from a file cannot be applied without its manifest: {change.name}")
    if content.lfs:
        command = f"git lfs pull --include={shlex.quote(desired.path)}"
        why = f"{desired.file} is a Git LFS pointer, not the model; fetch it with: {command}"
        return skipped(change, "lfs-pointer", why, permanent=True)
    began = clock()
    review = client.upload_image(desired.engine, desired.path, expected_sha256=content.sha256, on_progress=on_progress)
    if clock() - began > _SLOW:
        stored = client.find_detail(change.name)
        moved = _moved(change, stored)
        if moved:
            return skipped(change, "stale", moved, uploaded=content.size)
    broken = breaks(stored or {}, review)
    if broken and not desired.allow_signature_change:
        why = f"{'; '.join(broken)}; queries that call it would break (allow_signature_change: true permits it)"
        return skipped(change, "signature", why, permanent=True, uploaded=content.size)
    image_id = review.get("imageId")
    try:
        client.save_model(save_body(desired.name, desired.engine, desired.description, review, stored))
    except ModelManagerError as fault:
        return failed(change, fault, uploaded=content.size, taken=stored is None and _exists(client, change.name))
    return Attempt(Outcome(change, "applied", uploaded=content.size), image_id)


def _exists(client: Client | LegacyClient, name: str) -> bool:
    """Whether a model that was to be added is there now, by another hand."""
    try:
        return client.find_detail(name) is not None
    except ModelManagerError:
        return False


def _image_id(detail: ModelDetail) -> int | str | None:
    return (detail.get("image") or {}).get("id")


def _moved(change: Change, stored: ModelDetail | None) -> str:
    """Say what of the model is no longer as it was when the plan was made, or nothing."""
    before = change.before
    if before is None:
        return "" if stored is None else "it exists now (made by other hands since, or hidden from the list)"
    if stored is None:
        return "it was deleted since the plan was made"
    pairs: list[tuple[str, object, object]] = [
        ("id", before.id, stored.get("id")),
        ("image id", before.image_id, _image_id(stored)),
        ("update date", before.update_date, stored.get("updateDate")),
    ]
    if before.update_date is None or stored.get("updateDate") is None:
        pairs += _texts(before, stored)
    # What one of the two does not say cannot be compared; ids may be numbers in one and text in the other.
    differing = [
        f"{what} was {printable(str(was), 60)}, is {printable(str(now), 60)}"
        for what, was, now in pairs
        if was is not None and now is not None and str(was) != str(now)
    ]
    return f"it changed since the plan was made: {'; '.join(differing)}" if differing else ""


def _texts(before: Before, stored: ModelDetail) -> list[tuple[str, object, object]]:
    return [
        ("engine", before.engine, stored.get("engine")),
        ("description", before.description, stored.get("description")),
    ]
