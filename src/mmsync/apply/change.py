"""Carrying out one change: re-read, upload, compare signatures, save. Failure is a value."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mmsync.apply.failure import failed, skipped
from mmsync.apply.observe import holds
from mmsync.apply.outcome import Attempt, Outcome
from mmsync.apply.signature import Guard, declared
from mmsync.apply.staleness import completed, image_id, moved, seen
from mmsync.client import save_body
from mmsync.client.error import ModelManagerError, UnexpectedResponse
from mmsync.errors import FileFault
from mmsync.files.lfs import pull_command
from mmsync.states import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmsync.client import Client, LegacyClient, ModelDetail
    from mmsync.ledger import VerifiedContent
    from mmsync.plan import Change

    Past = Callable[[Change], tuple[Sequence[VerifiedContent], str | None]]

__all__ = ["carry_out"]

_SLOW = 0.5  # seconds the upload of a new model may take before the name is looked up once more ahead of its save


def carry_out(
    change: Change,
    client: Client | LegacyClient,
    reread: Callable[[], ModelDetail | None],
    on_progress: Callable[[int, int], None],
    *,
    past: Past = lambda _: ((), None),
    clock: Callable[[], float] = time.monotonic,
) -> Attempt:
    """Do what the change says, unless the server or the file is no longer as planned.

    Args:
        change: An add, change or delete.
        client: The way to the server.
        reread: Reads the model's detail as it is now; called just before the first write.
        on_progress: Called with bytes sent and bytes in all; an exception it raises aborts the upload and comes
            out of this function.
        past: Returns the contents once verified under the change's name, the latest first, and the one that the
            server is known to hold.
        clock: Seconds, for how long an upload took.

    Returns:
        The attempt: ``applied``, ``skipped`` with nothing visible written, or ``failed``.
    """
    try:
        stored = reread()
        if change.action == "delete" and stored is None:
            return Attempt(Outcome(change, "applied", message="it was gone already"))
        stale = moved(change.before, stored)
        if stale:
            return skipped(change, "stale", stale)
        if change.action == "delete":
            client.delete_model(change.name)
            return Attempt(Outcome(change, "applied"))
        if stored is not None:
            stored = completed(change.before, stored)
            # Without its image's id the stored model cannot be saved again, and without its fields it would lose them:
            # then its bytes are sent again, and the review says both.
            if change.reasons == ("description",) and image_id(stored) is not None and "fields" in stored:
                return _describe(change, client, stored, on_progress, past, clock)
        return _upload_and_save(change, client, stored, on_progress, past, clock)
    except (ModelManagerError, FileFault, OSError) as fault:
        return failed(change, fault)


def _describe(
    change: Change,
    client: Client | LegacyClient,
    stored: ModelDetail,
    on_progress: Callable[[int, int], None],
    past: Past,
    clock: Callable[[], float],
) -> Attempt:
    """Save the stored detail with the new description. How the server shows it is read back with all the others."""
    description = change.after.description or "" if change.after else ""
    if stored.get("engine") is None and change.after is not None:
        stored = {**stored, "engine": change.after.engine}
    unanswered: UnexpectedResponse | None = None
    try:
        client.update_description(change.name, description, detail=stored)
    except UnexpectedResponse as fault:
        unanswered = fault  # some page, in place of the answer or of the save: what is shown now tells which
    except ModelManagerError as fault:
        if not fault.permanent:
            raise
        # A server that takes no detail without a fresh upload (inferred: never seen) gets a full add.
        return _upload_and_save(change, client, stored, on_progress, past, clock)
    now = client.find_detail(change.name)
    if now is None:
        return skipped(change, "stale", "it was deleted while its description was saved")
    there, was = image_id(now), image_id(stored)
    if there is not None and str(there) != str(was) and not _still_holds(change, client, there):
        return skipped(change, "stale", "its content was replaced by other hands while its description was saved")
    if unanswered and (now.get("description") or "") != description:
        raise unanswered
    return Attempt(Outcome(change, "applied"), there)


def _still_holds(change: Change, client: Client | LegacyClient, image: int | str) -> bool:
    """Whether a model whose image has another id now holds the content it held when the plan was made."""
    before, after = change.before, change.after
    if before is None or after is None or before.sha256 != after.sha256:
        return False
    return holds(client, change.name, image, after.sha256)


def _upload_and_save(
    change: Change,
    client: Client | LegacyClient,
    stored: ModelDetail | None,
    on_progress: Callable[[int, int], None],
    past: Past,
    clock: Callable[[], float],
) -> Attempt:
    desired, content = change.desired, change.content
    if desired is None or content is None:
        raise ValueError(f"a plan read from a file cannot be applied without its manifest: {change.name}")
    if content.lfs:
        why = f"{desired.file} is a Git LFS pointer, not the model; fetch it with: {pull_command(desired.path)}"
        return skipped(change, "lfs-pointer", why, permanent=True)
    file = declared(desired.path, desired.engine, content)
    verified, present = past(change)
    guard = None
    if stored is not None:
        pinned = desired.sha256 is not None
        guard = Guard(verified, content.sha256, present, file, Shape.of(stored), is_pinned=pinned)
    broken = guard.before_upload() if guard and not desired.allow_signature_change else ""
    if broken:
        return skipped(change, "signature", broken, permanent=True)
    began = clock()
    review = client.upload_image(
        desired.engine,
        desired.path,
        expected_sha256=content.sha256,
        unchanged_since=content.key[:2],  # not even a part of another file is sent
        on_progress=on_progress,
    )
    ours = review.get("imageId")
    if ours is None:
        # Saved without it, the model would have no bytes.
        raise UnexpectedResponse(msg="the server's review of the file does not say the image's id", status=200)
    # What is there could be lost, so it is looked at once more, last of all. A second model of a new name is what the
    # server itself prevents; there a look is worth its time only where much of that has passed.
    if stored is not None or clock() - began > _SLOW:
        now = client.find_detail(change.name)
        stale = moved(seen(stored), now)
        if stale:
            return skipped(change, "stale", stale, uploaded=content.size)
        stored = None if now is None else completed(seen(stored), now)
    shown = Shape.of(review)
    broken = guard.before_save(shown) if guard and not desired.allow_signature_change else ""
    if broken:
        return skipped(change, "signature", broken, permanent=True, uploaded=content.size)
    try:
        client.save_model(save_body(desired.name, desired.engine, desired.description, review, stored))
    except ModelManagerError as fault:
        # Whether it was done all the same (a proxy may have put its own page in place of the answer), or another hand
        # was first.
        now = _shown(client, change.name) if stored is None or isinstance(fault, UnexpectedResponse) else None
        if now is None or str(image_id(now)) != str(ours):
            return failed(change, fault, uploaded=content.size, taken=stored is None and now is not None)
    said = guard.done(shown) if guard else ""
    return Attempt(Outcome(change, "applied", message=said, uploaded=content.size), ours, file, shown)


def _shown(client: Client | LegacyClient, name: str) -> ModelDetail | None:
    """Return a model's detail after a save that failed; None where there is none or it cannot be read."""
    try:
        return client.find_detail(name)
    except ModelManagerError:
        return None
