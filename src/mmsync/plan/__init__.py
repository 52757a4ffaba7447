"""Deciding: desired × observed × evidence → a plan. Pure: no I/O, no clock.

::

    model.py      Change, Plan, Selection, Guards: the values
    planner.py    make the plan
    selection.py  which names a manifest owns, and which of them a run has to do with
    guards.py     what a plan may not do, and which flag lifts which guard
    document.py   the plan as JSON, its digest, and what differs between a saved one and one made now
"""

from mmsync.plan.document import (
    MAX_DOCUMENT,
    differences,
    dump,
    plan_digest,
    plan_document,
    read_document,
    saved_options,
)
from mmsync.plan.guards import changed_guards, guards_of, unprotected_warning
from mmsync.plan.model import After, Before, Change, Guards, Options, Plan, Selection, SignatureDifferences, Signatures
from mmsync.plan.planner import Situation, compare
from mmsync.plan.selection import Scope

__all__ = [
    "MAX_DOCUMENT",
    "After",
    "Before",
    "Change",
    "Guards",
    "Options",
    "Plan",
    "Scope",
    "Selection",
    "SignatureDifferences",
    "Signatures",
    "Situation",
    "changed_guards",
    "compare",
    "differences",
    "dump",
    "guards_of",
    "plan_digest",
    "plan_document",
    "read_document",
    "saved_options",
    "unprotected_warning",
]
