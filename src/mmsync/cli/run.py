"""What plan and apply have in common: read the manifest, open the server, make the plan."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from mmsync.cli import options as opt
from mmsync.cli.connect import connected
from mmsync.cli.progress import progress
from mmsync.manifest import read_manifest
from mmsync.reconcile import Connection, Options, make_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mmsync.cli.settings import ServerOptions
    from mmsync.manifest import Manifest
    from mmsync.plan import Plan

__all__ = ["planning", "read_desired", "replan"]


def read_desired(given: Mapping[str, Any]) -> Manifest:
    """Read the manifests the options name."""
    return read_manifest(given["manifests"], models_dirs=given["models_dirs"])


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
    desired: Manifest,
    server: ServerOptions,
    *,
    exclusive: bool = False,
    options: Options | None = None,
) -> Iterator[tuple[Plan, Connection]]:
    """Open the server, make the plan while progress is shown, and keep both for the body."""
    chosen = options or planning(given)
    with connected(
        server, desired.server, jobs=chosen.jobs, exclusive=exclusive, lock_timeout=given.get("lock_timeout", 0.0)
    ) as connection:
        with progress(sys.stderr, quiet=given["quiet"]) as sink:
            made = make_plan(desired, connection, chosen, on_event=sink)
        yield made, connection
