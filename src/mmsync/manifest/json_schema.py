"""The JSON Schema of a manifest, for editors and other checkers."""

from __future__ import annotations

from typing import Any

__all__ = ["schema"]


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a manifest, a new copy at each call.

    It says what can be said without the file system: positions, duplicate names, scope and files are
    `mmsync.manifest.read_manifest`'s to check. It asks for ``version``, whose absence the reader only warns of.
    """
    # Imported here: reading a manifest needs neither.
    import json  # noqa: PLC0415
    from importlib.resources import files  # noqa: PLC0415

    found: dict[str, Any] = json.loads((files("mmsync.manifest") / "schema.json").read_text("utf-8"))
    return found
