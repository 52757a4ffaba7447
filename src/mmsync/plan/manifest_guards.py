"""What a manifest itself says against changes: its scope, pins, and what it lifts; and that this is another than it was.

Whoever may change the manifest may change these too, in the very change that they guard. So a plan says first of all
what of them is not as it was when the manifest was last applied, where that is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmsync.printable import few
from mmsync.states import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mmsync.states import Desired

__all__ = ["CHANGED", "changed_guards", "guards_of"]

CHANGED = "guard/changed"
"""The code of what is said first."""


def guards_of(scope: Sequence[str], models: Iterable[Desired]) -> dict[str, Any]:
    """Return a manifest's own guards as JSON values."""
    found: dict[str, Any] = {"scope": sorted(set(scope)), "pins": {}, "allowed": [], "uninspected": []}
    for wanted in models:
        if wanted.sha256:
            found["pins"][wanted.name] = wanted.sha256
        if wanted.allow_signature_change:
            found["allowed"].append(wanted.name)
        if not wanted.inspect:
            found["uninspected"].append(wanted.name)
    return found


def changed_guards(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """Return a warning for each sort of guard that is another than when the manifest was last applied."""
    told: list[str] = []
    was, scope = set(before["scope"]), set(now["scope"])
    if was != scope:
        parts = [f"with {few(sorted(scope - was))}"] if scope - was else []
        parts += [f"without {few(sorted(was - scope))}"] if was - scope else []
        told.append(f"the scope is another: {' and '.join(parts)}")
    lifted = {name for name, pin in before["pins"].items() if now["pins"].get(name) != pin}
    if lifted:
        told.append(f"the pin (sha256) is gone or another for {few(sorted(lifted))}")
    for key, what in (("allowed", "allow_signature_change is set"), ("uninspected", "inspect: false is set")):
        if fresh := set(now[key]) - set(before[key]):
            told.append(f"{what} for {few(sorted(fresh))}")
    return tuple(
        Diagnostic("warning", CHANGED, f"Since the manifest was last applied, {one}", "see that this is meant")
        for one in told
    )
