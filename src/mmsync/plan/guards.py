"""Guards on deletes, each lifted by one flag, and the manifest's own guards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmsync.plan.model import Guards
from mmsync.printable import few
from mmsync.types import Desired, Diagnostic

_MANY = 10  # below this many owned models a share says little: one of three is 33 %


def check_guards(guards: Guards, *, deletes: int, owned: int, listed: int) -> tuple[Diagnostic, ...]:
    """Return an error for each guard that forbids this many deletes.

    Args:
        deletes: How many models would be deleted.
        owned: How many models on the server are inside the scope, those to be deleted included.
        listed: How many models the manifests list.
    """
    found: list[Diagnostic] = []
    if not listed and not guards.allow_empty:
        found.append(
            Diagnostic(
                "error",
                "guard/empty",
                f"The manifest lists no models; deleting all {deletes} in its scope is refused",
                "if it is meant to be empty, say so with --allow-empty",
            )
        )
    if deletes > guards.max_delete:
        found.append(
            Diagnostic(
                "error",
                "guard/max-delete",
                f"{deletes} model{'s' * (deletes != 1)} would be deleted; at most {guards.max_delete} are allowed",
                f"if all of them are meant to go, say so with --max-delete {deletes}",
            )
        )
    if owned >= _MANY and deletes * 100 > guards.max_delete_percent * owned:
        share = -(-deletes * 100 // owned)  # rounded up, so that the figure offered really lifts the guard
        found.append(
            Diagnostic(
                "error",
                "guard/max-delete-percent",
                f"{deletes} of {owned} owned models would be deleted; at most {guards.max_delete_percent} % are allowed",
                f"if they are all meant to go, say so with --max-delete-percent {share}",
            )
        )
    return tuple(found)


CHANGED = "guard/changed"
"""The code of what is said first."""


def guards_of(scope: Sequence[str], models: Iterable[Desired]) -> dict[str, Any]:
    """Return a manifest's own guards as JSON values."""
    found: dict[str, Any] = {"scope": sorted(set(scope)), "pins": {}, "allowed": [], "uninspected": []}
    for desired in models:
        if desired.sha256:
            found["pins"][desired.name] = desired.sha256
        if desired.allow_signature_change:
            found["allowed"].append(desired.name)
        if not desired.inspect:
            found["uninspected"].append(desired.name)
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
