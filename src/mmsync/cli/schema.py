"""``mmsync schema``: the JSON Schema of models.yaml."""

from __future__ import annotations

import json

import click

from mmsync.cli.exits import ExitCode
from mmsync.cli.output import answer

__all__ = ["schema"]


@click.command("schema")
def schema() -> int:
    """Print the JSON Schema of models.yaml, for editors and other checkers.

    \b
    Save it beside the manifest:
      mmsync schema > models.schema.json
    and begin models.yaml with this line, which VS Code (YAML extension) and
    other editors with yaml-language-server understand:
      # yaml-language-server: $schema=models.schema.json
    """  # noqa: D301 - \b is click's mark for lines to keep as they are
    from mmsync.manifest import schema as manifest_schema  # noqa: PLC0415 - only when run

    answer(json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.DONE
