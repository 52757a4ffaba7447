"""What a manifest says, as values."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - a dataclass field's type, which get_type_hints may ask for
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from mmsync.types import Desired, Diagnostic, Source

__all__ = ["DiscoverRule", "Manifest", "ServerSettings"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The ``server`` part: where the models go. Never a token.

    Attributes:
        url: The server's address, as written.
        profile: A profile of the profiles file.
        auth_type: ``standalone`` or ``bearer``.
        domain: The domain on a server of the older generation.
        source: The place of the first ``server`` part, or None where no manifest has one.
    """

    url: str | None = None
    profile: str | None = None
    auth_type: str | None = None
    domain: str | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class DiscoverRule:
    """One rule of ``discover``: every matching file is a model.

    Attributes:
        glob: The pattern, ``/`` between folders, relative to ``folder``; ``**`` stands for any number of folders.
        engine: The engine of every model found.
        name: The template of the model's name, with ``{stem}`` and ``{parent}`` filled in.
        description: As in `Desired`; from ``defaults``.
        allow_signature_change: As in `Desired`; from ``defaults``.
        inspect: As in `Desired`; from ``defaults``.
        folder: The manifest's folder as the user named it; empty means the working directory.
        admitted: The folders, links resolved, a file must be in: the manifest's own and the ``models_dirs``.
        scope: The globs one of which a name must match; None where the manifest gives none.
        source: The rule's place.
    """

    glob: str
    engine: str
    name: str
    description: str | None
    allow_signature_change: bool
    inspect: bool
    folder: str
    admitted: tuple[str, ...]
    scope: tuple[str, ...] | None
    source: Source


@dataclass(frozen=True, slots=True)
class Manifest:
    """All manifests of a run, read together and found without fault.

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
