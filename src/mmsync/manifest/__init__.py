"""Manifests: YAML to desired models, with every error at once, each with its file, line and column."""

from mmsync.manifest.discovery import Discovery, discover
from mmsync.manifest.reader import manifests_in, read_manifest, schema
from mmsync.manifest.types import DiscoverRule, Manifest, ServerSettings

__all__ = [
    "DiscoverRule",
    "Discovery",
    "Manifest",
    "ServerSettings",
    "discover",
    "manifests_in",
    "read_manifest",
    "schema",
]
