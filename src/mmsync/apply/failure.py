"""What went wrong with a change, as an outcome: a stable code, one sentence, and whether to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.apply.outcome import Attempt, Outcome
from mmsync.client.error import (
    EndpointNotFound,
    FileChanged,
    ModelManagerError,
    ModelRefused,
    TokenError,
    TransportError,
    UnknownEngine,
)
from mmsync.errors import MmsyncError

if TYPE_CHECKING:
    from mmsync.plan import Change

__all__ = ["failed", "skipped"]


def skipped(change: Change, code: str, message: str, *, permanent: bool = False, uploaded: int = 0) -> Attempt:
    """Return an attempt that wrote nothing on purpose."""
    if code == "stale":
        message = f"{message}; plan again to see what is left to do"
    return Attempt(Outcome(change, "skipped", code, message, permanent, uploaded))


def failed(change: Change, fault: Exception, *, uploaded: int = 0, taken: bool = False) -> Attempt:
    """Return the attempt that ended in ``fault``.

    Args:
        change: The change.
        fault: What was raised.
        uploaded: Bytes of the model the server received.
        taken: Whether a model of the name to be added exists now.
    """
    if isinstance(fault, FileChanged):
        return skipped(change, "file-changed", _sentence(fault))
    if taken:
        return skipped(change, "stale", f"it exists now, made by other hands: {_sentence(fault)}", uploaded=uploaded)
    code, permanent = _code(fault)
    return Attempt(Outcome(change, "failed", code, _sentence(fault), permanent, uploaded))


def _code(fault: Exception) -> tuple[str, bool]:
    match fault:
        case TokenError():
            return "token", False
        case UnknownEngine():
            return "unknown-engine", True
        case ModelRefused():
            return "refused", True
        case TransportError():
            return "network", False
        case EndpointNotFound():
            return "server", True
        case ModelManagerError():
            return "server", fault.permanent
        case _:
            return "file", False


def _sentence(fault: Exception) -> str:
    text = str(fault) or type(fault).__name__
    if isinstance(fault, ModelManagerError) and fault.cid:
        text += f", correlation id {fault.cid}"
    way_on = _way_on(fault)
    return f"{text} ({way_on})" if way_on else text


def _way_on(fault: Exception) -> str:
    if isinstance(fault, MmsyncError) and fault.hint:
        return fault.hint
    match fault:
        case UnknownEngine():
            return "correct its engine"
        case ModelRefused():
            return "export the file again, or correct its engine"
        case ModelManagerError(permanent=False):
            return "try again; if it stays so, whoever runs the server can tell why"
        case _:
            return ""
