"""What plan and apply have in common: read the manifest, open the server, make the plan."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from mmsync.cli import options as opt
from mmsync.cli.connect import connected
from mmsync.cli.early import EarlyList
from mmsync.cli.progress import progress
from mmsync.cli.saving import refuse_input
from mmsync.cli.settings import in_ci, resolve
from mmsync.manifest import read_manifest
from mmsync.reconcile import Options, make_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmsync.cli.settings import ServerOptions
    from mmsync.connection import Connection
    from mmsync.manifest import ServerSettings
    from mmsync.plan import Plan

__all__ = ["planning", "replan"]


def planning(given: dict[str, Any]) -> Options:
    """Take the options of planning out of a command's keywords."""
    return Options(
        selection=opt.take_selection(given),
        guards=opt.take_guards(given),
        prune=given.pop("prune"),
        verify=given.pop("verify"),
        jobs=given["jobs"],
    )


@contextlib.contextmanager
def replan(
    given: dict[str, Any],
    server: ServerOptions,
    *,
    exclusive: bool = False,
    options: Options | None = None,
    settings: ServerSettings | None = None,
) -> Iterator[tuple[Plan, Connection]]:
    """Read the manifest, open the server, make the plan while progress is shown, and keep it open for the body.

    Args:
        given: The command's keywords.
        server: Flags and environment.
        exclusive: Whether to hold the machine's lock for the server, from before it is observed.
        options: How to plan, where that is not in ``given``.
        settings: What a saved plan says of the server, in place of the manifest's ``server``.
    """
    server = server.with_token()
    chosen = options or planning(given)
    # What is listed before the lock is held may be changed by whoever holds it: only a plan may ask early.
    early = None if exclusive else EarlyList(server)
    desired = read_manifest(given["manifests"], models_dirs=given["models_dirs"], confined=in_ci())
    if out := given.get("out"):
        refuse_input(out, desired)
    named = settings or desired.server
    models = early.models(resolve(server, named)) if early else None
    wait = given.get("lock_timeout", 0.0)
    with connected(
        server,
        named,
        jobs=chosen.jobs,
        exclusive=exclusive,
        lock_timeout=wait,
        if_missing="make" if exclusive else "imagine",  # a plan leaves nothing behind
    ) as connection:
        with progress(sys.stderr, quiet=given["quiet"]) as sink:
            made = make_plan(desired, connection, chosen, models=models, on_event=sink)
        yield made, connection
