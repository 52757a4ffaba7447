"""Deciding: desired × observed × evidence → a plan. Pure: no I/O, no clock.

::

    model.py      Change, Plan, Selection, Guards: the values
    compare.py    make the plan
    guards.py     what a plan may not do, and which flag lifts which guard
    document.py   the plan as JSON, its digest, and what moved between two of them
"""

from mmsync.plan.model import After, Before, Change, Guards, Plan, Selection, Summary

__all__ = ["After", "Before", "Change", "Guards", "Plan", "Selection", "Summary"]
