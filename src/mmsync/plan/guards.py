"""Guards on deletes, each lifted by one flag, and the manifest's own guards."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmsync.plan.model import Guards
from mmsync.plan.selection import quoted
from mmsync.printable import few, printable
from mmsync.types import Desired, Diagnostic, Source

CHANGED = "guard/changed"
"""The code of a warning that a guard is another than before; reports tell such warnings ahead of all else."""
PROTECTED = "plan/protected"
"""The code of an error: a protected model is to be deleted, or replaced by another engine or signature."""
_MANY = 10  # below this many owned models a share says little: one of three is 33 %


def check_guards(guards: Guards, *, deletes: int, owned: int, listed: int) -> tuple[Diagnostic, ...]:
    """Return an error for each guard that forbids this many deletes.

    ``owned`` counts the models on the server inside the scope, those to be deleted included; ``listed`` those of the
    manifests.
    """
    found: dict[str, tuple[str, str]] = {}
    if not listed and not guards.allow_empty:
        what = f"The manifest lists no models; deleting all {deletes} in its scope is refused"
        found["guard/empty"] = what, "if it is meant to be empty, say so with --allow-empty"
    if deletes > guards.max_delete:
        what = f"{deletes} model{'s' * (deletes != 1)} would be deleted; at most {guards.max_delete} are allowed"
        found["guard/max-delete"] = what, f"if all of them are meant to go, say so with --max-delete {deletes}"
    if owned >= _MANY and deletes * 100 > guards.max_delete_percent * owned:
        share = -(-deletes * 100 // owned)  # rounded up, so that the figure offered really lifts the guard
        what = f"{deletes} of {owned} owned models would be deleted; at most {guards.max_delete_percent} % are allowed"
        hint = f"if they are all meant to go, say so with --max-delete-percent {share}"
        found["guard/max-delete-percent"] = what, hint
    return tuple(Diagnostic("error", code, *told) for code, told in found.items())


def protected_error(name: str, what: str, source: Source | None = None) -> Diagnostic:
    """Return the error that a protected model keeps as it is; ``what`` would become of it, one clause."""
    shown = printable(name)
    hint = f"if that is meant, say so with {allow_protected_flag(name)}"
    return Diagnostic("error", PROTECTED, f"{shown}: it is protected, and {what}", hint, source, name)


def allow_protected_flag(name: str) -> str:
    """Return the flag that lifts a model's protection, to be pasted into a shell."""
    return f"--allow-protected {quoted([printable(name, 300)])}"


def unprotected_warning(names: Collection[str]) -> tuple[Diagnostic, ...]:
    """Return a warning that models which stay in the manifest are protected no longer."""
    if not names:
        return ()
    what = f"Since the manifest was last applied, protect is gone for {few(sorted(names))}"
    return (Diagnostic("warning", CHANGED, what, "see that this is meant"),)


def guards_of(scope: Sequence[str], models: Sequence[Desired]) -> dict[str, Any]:
    """Return a manifest's own guards as JSON values."""
    return {
        "scope": sorted(set(scope)),
        "pins": {desired.name: desired.sha256 for desired in models if desired.sha256},
        "allowed": [desired.name for desired in models if desired.allow_signature_change],
        "uninspected": [desired.name for desired in models if not desired.inspect],
    }


def changed_guards(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """Return a warning for each sort of guard that is another than when the manifest was last applied."""
    was, scope = set(before["scope"]), set(now["scope"])
    parts = [
        f"{word} {few(sorted(names))}" for word, names in (("with", scope - was), ("without", was - scope)) if names
    ]
    what = "the scope is another" if was else "a scope is given"
    told = [f"{what}: {' and '.join(parts)}"] if parts else []
    if lifted := {name for name, pin in before["pins"].items() if now["pins"].get(name) != pin}:
        told.append(f"the pin (sha256) is gone or another for {few(sorted(lifted))}")
    for key, what in (("allowed", "allow_signature_change is set"), ("uninspected", "inspect: false is set")):
        if fresh := set(now[key]) - set(before[key]):
            told.append(f"{what} for {few(sorted(fresh))}")
    return tuple(
        Diagnostic("warning", CHANGED, f"Since the manifest was last applied, {one}", "see that this is meant")
        for one in told
    )
