"""The status: one read-only value that says what the watcher knows, and the views of it.

``model`` is the value, ``document`` its JSON, ``summary`` what it comes to in words. The page, the metrics, the command
``mmsync status`` and ``--on-change`` all derive from it; ``watch/status_board.py`` makes it.
"""

from mmsync.status.model import (
    STATE_ORDER,
    Activity,
    ChangeRecord,
    ConditionStatus,
    EventBackend,
    Health,
    ModelState,
    ModelStatus,
    Reconcile,
    ReconcileResult,
    Status,
    Totals,
)

__all__ = [
    "STATE_ORDER",
    "Activity",
    "ChangeRecord",
    "ConditionStatus",
    "EventBackend",
    "Health",
    "ModelState",
    "ModelStatus",
    "Reconcile",
    "ReconcileResult",
    "Status",
    "Totals",
]
