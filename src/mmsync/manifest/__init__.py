"""Manifests: YAML to desired models, with every error at once, each with its file, line and column."""

import importlib
from typing import TYPE_CHECKING

from mmsync.manifest.reader import manifests_in, read_manifest, schema
from mmsync.manifest.types import SCHEMA_NAME, DiscoverRule, Manifest, ServerSettings

if TYPE_CHECKING:
    from mmsync.manifest.discovery import Discovery, discover

__all__ = [
    "SCHEMA_NAME",
    "DiscoverRule",
    "Discovery",
    "Manifest",
    "ServerSettings",
    "discover",
    "manifests_in",
    "read_manifest",
    "schema",
]


def __getattr__(name: str) -> object:
    # Most manifests have no rules to discover models by, and go without the module.
    if name not in ("Discovery", "discover"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("mmsync.manifest.discovery"), name)
