"""One change carried out: read the model again, check the preconditions, ``client.add_model``. Failure is a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmsync.apply.outcome import Attempt, Outcome
from mmsync.apply.preconditions import SignatureGuard, as_before, completed, declared_shape, staleness
from mmsync.client import Client, ModelDetail, ModelReview
from mmsync.client.error import (
    EndpointNotFound,
    FileChanged,
    ModelAlreadyExists,
    ModelManagerError,
    ModelRefused,
    TokenError,
    TransportError,
    UnexpectedResponse,
    UnknownEngine,
)
from mmsync.errors import FileError, MmsyncError
from mmsync.files.digest import pull_command
from mmsync.ledger import VerifiedContent
from mmsync.observe import holds, image_id
from mmsync.plan import Change
from mmsync.plan.guards import allow_protected_flag
from mmsync.types import Shape

History = Callable[[Change], tuple[Sequence[VerifiedContent], str | None]]
"""Returns the contents once verified under a change's name, the latest first, and what the server is known to hold."""

# An outcome's code, and whether trying the same again is pointless.
_CODES: dict[type[Exception], tuple[str, bool]] = {
    TokenError: ("token", False),
    UnknownEngine: ("unknown-engine", True),
    ModelRefused: ("refused", True),
    TransportError: ("network", False),
    EndpointNotFound: ("server", True),
}
_SLOW = 0.5  # seconds the upload of a new model may take before the name is read once more ahead of its save


class _Refused(Exception):
    """Ends an upload before its save; carries the attempt it comes to."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self.attempt = attempt


def carry_out(
    change: Change,
    client: Client,
    reread: Callable[[], ModelDetail | None],
    on_progress: Callable[[int, int], None],
    history: History,
    clock: Callable[[], float],
) -> Attempt:
    """Do what the change says, unless the server or the file is no longer as planned.

    Return the attempt: ``applied``, ``skipped`` with nothing visible written, or ``failed``. ``reread`` reads the
    model as it is just before the first write; see `Rereader`. ``on_progress`` is called with bytes sent and bytes in
    all; an exception it raises aborts the upload and comes out of this function.
    """
    try:
        stored = reread()
        if change.action == "delete" and stored is None:
            return Attempt(Outcome(change, "applied", message="it was gone already"))
        if stale := staleness(change.before, stored):
            return _skipped(change, "stale", stale)
        if change.action == "delete":
            client.delete_model(change.name)
            return Attempt(Outcome(change, "applied"))
        if stored is not None:
            stored = completed(change.before, stored)
            # Without its image's id the stored model cannot be saved again, and without its fields it would lose them:
            # then its bytes are sent again, and the review says both.
            is_savable = image_id(stored) is not None and "fields" in stored
            if change.reasons == ("description",) and is_savable and (attempt := _describe(change, client, stored)):
                return attempt
        return _upload(change, client, stored, on_progress, history, clock)
    except _Refused as refused:
        return refused.attempt
    except (ModelManagerError, FileError, OSError) as error:
        return _failed(change, error)


def _describe(change: Change, client: Client, stored: ModelDetail) -> Attempt | None:
    """Save the stored detail with the new description; None where the server takes none without a fresh upload.

    How the server shows it is read back with all the others.
    """
    before, after = change.before, change.after
    description = after.description or "" if after else ""
    if stored.get("engine") is None and after:
        stored = {**stored, "engine": after.engine}
    unanswered: UnexpectedResponse | None = None
    try:
        client.update_description(change.name, description, detail=stored)
    except UnexpectedResponse as error:
        unanswered = error  # some page, in place of the answer or of the save: what is shown now tells which
    except ModelManagerError as error:
        if not error.permanent:
            raise
        return None  # inferred: such a server was never seen
    now = client.find_detail(change.name)
    if now is None:
        return _skipped(change, "stale", "it was deleted while its description was saved")
    there = image_id(now)
    if there is not None and str(there) != str(image_id(stored)):
        # An image of another id may still hold the content that the model held when the plan was made.
        is_same = before and after and before.sha256 == after.sha256 and holds(client, change.name, there, after.sha256)
        if not is_same:
            return _skipped(change, "stale", "its content was replaced outside mmsync while its description was saved")
    if unanswered and (now.get("description") or "") != description:
        raise unanswered
    return Attempt(Outcome(change, "applied"), there)


def _upload(
    change: Change,
    client: Client,
    stored: ModelDetail | None,
    on_progress: Callable[[int, int], None],
    history: History,
    clock: Callable[[], float],
) -> Attempt:
    """Add or replace the model: the act this program exists for, with its preconditions as the hook before the save."""
    desired, content = change.desired, change.content
    if desired is None or content is None:
        raise ValueError(f"a plan read from a file cannot be applied without its manifest: {change.name}")
    if content.lfs:
        why = f"{desired.file} is a Git LFS pointer, not the model; fetch it with: {pull_command(desired.path)}"
        return _skipped(change, "lfs-pointer", why, permanent=True)
    declared = declared_shape(desired.path, desired.engine, content)
    guard = None
    if stored is not None:
        verified, present = history(change)
        there, is_pinned = Shape.of(stored), desired.sha256 is not None
        is_protected = change.protection == "protected"
        guard = SignatureGuard(
            verified, content.sha256, present, declared, there, is_pinned=is_pinned, is_protected=is_protected
        )
    # What is protected stays so, whatever else the manifest allows.
    is_guarded = guard is not None and (guard.is_protected or not desired.allow_signature_change)
    if guard and is_guarded and (broken := guard.before_upload()):
        return _of_signature(change, broken)
    began = clock()
    image: int | str | None = None
    displayed = Shape()

    def before_save(review: ModelReview, stored: ModelDetail | None) -> ModelDetail | None:
        nonlocal image, displayed, guard
        image, displayed = review.get("imageId"), Shape.of(review)
        if image is None:
            # Saved without it, the model would have no bytes.
            raise UnexpectedResponse(msg="the server's review of the file does not say the image's id", status=200)
        # What is there could be lost, so it is read once more, last of all. A second model of a new name is what the
        # server itself prevents; there that is worth its time only where much of it has passed.
        if stored is not None or clock() - began > _SLOW:
            was = None if stored is None else as_before(stored)
            now = client.find_detail(change.name)
            if stale := staleness(was, now):
                raise _Refused(_skipped(change, "stale", stale, uploaded=content.size))
            stored = None if now is None else completed(was, now)
        if guard and stored:
            guard = guard._replace(there=Shape.of(stored))  # a row of the list, which it may have been, has no fields
        if guard and is_guarded and (broken := guard.before_save(displayed)):
            raise _Refused(_of_signature(change, broken, uploaded=content.size))
        return stored

    try:
        client.add_model(
            desired.name,
            desired.engine,
            desired.path,
            description=desired.description,
            force=True,
            detail=stored,
            before_save=before_save,
            expected_sha256=content.sha256,
            unchanged_since=content.key[:2],  # not even a part of another file is sent
            on_progress=on_progress,
        )
    except (ModelManagerError, OSError) as error:
        return _failed(change, error, uploaded=content.size if image is not None else 0)
    message = guard.restored(displayed) if guard else ""
    return Attempt(Outcome(change, "applied", message=message, uploaded=content.size), image, declared, displayed)


def _skipped(change: Change, code: str, message: str, *, permanent: bool = False, uploaded: int = 0) -> Attempt:
    """Return an attempt that wrote nothing on purpose."""
    if code == "stale":
        message = f"{message}; plan again to see what is left to do"
    return Attempt(Outcome(change, "skipped", code, message, permanent, uploaded))


def _of_signature(change: Change, broken: str, *, uploaded: int = 0) -> Attempt:
    """Return the attempt that the signature guard ended."""
    if change.protection != "protected":
        return _skipped(change, "signature", broken, permanent=True, uploaded=uploaded)
    flag = allow_protected_flag(change.name)
    message = f"it is protected, and its signature would be another: {broken} (if that is meant, say so with {flag})"
    return _skipped(change, "protected", message, permanent=True, uploaded=uploaded)


def _failed(change: Change, error: Exception, *, uploaded: int = 0) -> Attempt:
    """Return the attempt that ended in ``error``; ``uploaded`` are bytes of the model the server received."""
    if isinstance(error, FileChanged):
        return _skipped(change, "file-changed", _sentence(error))
    if isinstance(error, ModelAlreadyExists) and change.before is None:
        why = _sentence(error.__cause__ if isinstance(error.__cause__, ModelManagerError) else error)
        return _skipped(
            change,
            "stale",
            f"it exists now (made outside mmsync since, or hidden from the list): {why}",
            uploaded=uploaded,
        )
    otherwise = ("server", error.permanent) if isinstance(error, ModelManagerError) else ("file", False)
    code, permanent = _CODES.get(type(error), otherwise)
    outcome = Outcome(change, "failed", code, _sentence(error), permanent, uploaded)
    return Attempt(outcome, is_unconnected=isinstance(error, TransportError) and not error.connected)


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, ModelManagerError) and error.cid:
        text += f", correlation id {error.cid}"
    match error:
        case MmsyncError(hint=hint) if hint:
            pass
        case UnknownEngine():
            hint = "correct its engine"
        case ModelRefused():
            hint = "export the file again, or correct its engine"
        case ModelManagerError(permanent=False):
            hint = "try again; if it stays so, whoever runs the server can tell why"
        case _:
            return text
    return f"{text} ({hint})"
