"""Whether aliases blow a small file up (`billion laughs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yaml.nodes import Node

__all__ = ["expands_too_far"]

_FREE = 10_000
_RATIO = 10
_MAX_DEPTH = 100  # through aliases; an alias inside its own anchor has no end


def expands_too_far(root: Node) -> bool:
    """Tell whether ``root`` with every alias written out is over ten times as many nodes as the file holds.

    Up to 10,000 nodes are free, so that a small file may repeat itself. Time is linear in the nodes of the file.
    """
    sizes: dict[int, int] = {}
    try:
        expanded = _size(root, sizes, 0)
    except RecursionError:
        return True
    return expanded > _FREE + _RATIO * len(sizes)


def _size(node: Node, sizes: dict[int, int], depth: int) -> int:
    if depth > _MAX_DEPTH:
        raise RecursionError
    known = sizes.get(id(node))
    if known is not None:
        return known
    size = 1
    if not isinstance(node.value, str):
        for item in node.value:
            if isinstance(item, tuple):
                size += _size(item[0], sizes, depth + 1) + _size(item[1], sizes, depth + 1)
            else:
                size += _size(item, sizes, depth + 1)
    sizes[id(node)] = size
    return size
