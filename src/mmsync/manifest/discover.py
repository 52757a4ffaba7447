"""Models found by rule: every matching file that no entry lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from yaml.nodes import Node

    from mmsync.manifest.model import DiscoverRule
    from mmsync.manifest.page import Page
    from mmsync.manifest.settings import Defaults
    from mmsync.states import Desired, Diagnostic, Source

__all__ = ["Discovery", "discover", "read_rules"]


class Discovery(NamedTuple):
    """What the rules found."""

    models: tuple[Desired, ...]
    stats: Mapping[str, os.stat_result]
    diagnostics: tuple[Diagnostic, ...]


def discover(rules: Sequence[DiscoverRule], listed: Sequence[Desired], taken: Mapping[str, Source]) -> Discovery:
    return Discovery((), {}, ())


def read_rules(
    page: Page, node: Node, defaults: Defaults, folder: str, admitted: tuple[str, ...], scope: tuple[str, ...] | None
) -> list[DiscoverRule]:
    return []
