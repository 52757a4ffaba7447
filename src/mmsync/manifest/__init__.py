"""Manifests: YAML to desired models, with every fault at once, each with its file, line and column."""

from mmsync.manifest.discover import Discovery, discover
from mmsync.manifest.json_schema import schema
from mmsync.manifest.model import DiscoverRule, Manifest, ServerSettings
from mmsync.manifest.read import read_manifest

__all__ = ["DiscoverRule", "Discovery", "Manifest", "ServerSettings", "discover", "read_manifest", "schema"]
