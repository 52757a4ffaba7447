"""The manifest as a backdrop: commands that work without one use what it says where there is one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from mmsync.cli.output import warn
from mmsync.cli.settings import in_ci
from mmsync.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmsync.manifest import Manifest

__all__ = ["backdrop"]


def backdrop(given: Mapping[str, Any]) -> Manifest | None:
    """Read the manifest the options name; None where none was named and there is no usable models.yaml.

    Model files are not looked at, unless a discover rule needs them to say what the models are.

    Raises:
        ManifestError: A manifest that was named is at fault.
    """
    from mmsync.manifest import read_manifest  # noqa: PLC0415 - after the options were checked

    source = click.get_current_context().get_parameter_source("manifests")
    by_default = source == click.core.ParameterSource.DEFAULT
    paths, folders = given["manifests"], given.get("models_dirs", ())
    if by_default and not all(os.path.lexists(path) for path in paths):
        return None
    try:
        found = read_manifest(paths, check_files=False, confined=in_ci())
        return read_manifest(paths, models_dirs=folders, confined=in_ci()) if found.discover else found
    except ManifestError as faults:
        if not by_default:
            raise
        count = len(faults.diagnostics)
        warn(f"{paths[0]} has {count} fault{'s' * (count != 1)} and is not used; `mmsync validate` shows them")
        return None
