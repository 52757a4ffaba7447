"""GitOps for machine-learning models: make a Model Manager server hold exactly what a manifest lists.

The same three steps as on the command line, for notebooks and other programs::

    import mmsync

    manifest = mmsync.read_manifest("models.yaml")
    with mmsync.connect("local:.model-manager") as connection:
        plan = mmsync.make_plan(manifest, connection)
        outcomes = mmsync.apply_plan(plan, connection)

``mmsync.client`` is the client library, usable alone. Nothing is loaded before it is used: importing this package
costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mmsync._version import __version__

if TYPE_CHECKING:
    from mmsync.apply import Event, Outcome
    from mmsync.connection import Connection, connect
    from mmsync.errors import FileError, LockTimeout, ManifestError, MmsyncError, PlanRefused, SettingsError
    from mmsync.manifest import Manifest, read_manifest
    from mmsync.plan import Change, Guards, Plan, Selection, plan_digest, plan_document
    from mmsync.reconcile import Options, apply_plan, make_plan
    from mmsync.types import Diagnostic

__all__ = [
    "Change",
    "Connection",
    "Diagnostic",
    "Event",
    "FileError",
    "Guards",
    "LockTimeout",
    "Manifest",
    "ManifestError",
    "MmsyncError",
    "Options",
    "Outcome",
    "Plan",
    "PlanRefused",
    "Selection",
    "SettingsError",
    "__version__",
    "apply_plan",
    "connect",
    "make_plan",
    "plan_digest",
    "plan_document",
    "read_manifest",
]

# No name here is a room's: `mmsync.plan` and `mmsync.apply` stay the packages they are, so functions carry a noun.
_HOMES = {
    "apply": ("Event", "Outcome"),
    "connection": ("Connection", "connect"),
    "errors": ("FileError", "LockTimeout", "ManifestError", "MmsyncError", "PlanRefused", "SettingsError"),
    "manifest": ("Manifest", "read_manifest"),
    "plan": ("Change", "Guards", "Plan", "Selection", "plan_digest", "plan_document"),
    "reconcile": ("Options", "apply_plan", "make_plan"),
    "types": ("Diagnostic",),
}
_FORMER = {"FileFault": "FileError"}  # names that programs may still import


def __getattr__(name: str) -> object:
    name = _FORMER.get(name, name)
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mmsync.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
