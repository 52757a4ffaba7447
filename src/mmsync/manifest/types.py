"""Values of a manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mmsync.types import Desired, Diagnostic, Source

SCHEMA_NAME = "models.schema.json"
"""What the schema is called where it lies beside a manifest, for editors: never a model."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The ``server`` part: where the models go. Never a token."""

    url: str | None = None  # the server's address, as written
    profile: str | None = None  # A profile of the profiles file
    auth_type: str | None = None  # ``standalone`` or ``bearer``
    domain: str | None = None  # the domain on a server of the older generation
    source: Source | None = None  # the place of the first ``server`` part, or None where no manifest has one


@dataclass(frozen=True, slots=True)
class DiscoverRule:
    """One rule of ``discover``: every matching file is a model."""

    glob: str  # the pattern, ``/`` between folders, relative to ``folder``; ``**`` stands for any number of folders
    engine: str  # the engine of every model found
    name: str  # the template of the model's name, with ``{stem}`` and ``{parent}`` filled in
    description: str | None  # as in `Desired`; from ``defaults``
    allow_signature_change: bool  # as in `Desired`; from ``defaults``
    inspect: bool  # as in `Desired`; from ``defaults``
    protect: bool  # as in `Desired`; from ``defaults`` where the rule does not say
    folder: str  # the manifest's folder as the user named it; empty means the working directory
    # the folders, links resolved, a file must be in: the manifest's own and the ``models_dirs``
    admitted: tuple[str, ...]
    scope: tuple[str, ...] | None  # the globs one of which a name must match; None where the manifest gives none
    source: Source  # the rule's place


@dataclass(frozen=True, slots=True)
class Manifest:
    """All manifests of a run, read together and found without errors.

    Attributes:
        models: What is asked for, by name, discovered models included.
        scope: The globs of all manifests, sorted and unique; empty means that no name is owned.
        server: Where the models go.
        paths: The manifests read, as given (for a folder: the folder and the name), sorted.
        stats: What ``stat`` said of each model file, links followed, by ``Desired.path``; empty where files were
            not checked.
        warnings: What is doubtful, by file, line and column.
        discover: The rules, in the order of their manifests.
    """

    models: tuple[Desired, ...]
    scope: tuple[str, ...] = ()
    server: ServerSettings = ServerSettings()
    paths: tuple[str, ...] = ()
    stats: Mapping[str, os.stat_result] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[Diagnostic, ...] = ()
    discover: tuple[DiscoverRule, ...] = ()
