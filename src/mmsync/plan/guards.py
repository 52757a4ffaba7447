"""What a plan may not delete, and which flag lifts which guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.states import Diagnostic

if TYPE_CHECKING:
    from mmsync.plan.model import Guards

__all__ = ["refusals"]

_MANY = 10  # below this many owned models a share says little: one of three is 33 %


def refusals(guards: Guards, *, deletes: int, owned: int, listed: int) -> tuple[Diagnostic, ...]:
    """Return an error for each guard that forbids this many deletes.

    Args:
        guards: The limits.
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
