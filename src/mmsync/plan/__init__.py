"""Deciding: desired × observed × evidence → a plan. Pure: no I/O, no clock.

::

    model.py      Change, Plan, Selection, Guards: the values
    compare.py    make the plan
    scope.py      which names a manifest owns
    guards.py     what a plan may not do, and which flag lifts which guard
    document.py   the plan as JSON, its digest, and what moved between two of them
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
from mmsync.plan.guards import changed_guards, guards_of
from mmsync.plan.model import Action, After, Before, Change, Guards, Options, Plan, Reason, Selection, Summary
from mmsync.plan.planner import Situation, compare
from mmsync.plan.selection import Scope

__all__ = [
    "MAX_DOCUMENT",
    "Action",
    "After",
    "Before",
    "Change",
    "Guards",
    "Options",
    "Plan",
    "Reason",
    "Scope",
    "Selection",
    "Situation",
    "Summary",
    "changed_guards",
    "compare",
    "differences",
    "dump",
    "guards_of",
    "plan_digest",
    "plan_document",
    "read_document",
    "saved_options",
]
