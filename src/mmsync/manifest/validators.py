"""The rules of ``discover``, checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmsync.manifest.nodes import Pair, absent, engine_error, engine_warning, extension_warning, items, pairs, text
from mmsync.manifest.types import DiscoverRule
from mmsync.manifest.yaml_loader import Page
from mmsync.printable import printable
from mmsync.types import is_glob

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.sections import Defaults

_KEYS = ("glob", "engine", "name")
_MAX_GLOB = 1_000  # characters
_MOST_PARTS = 50  # between slashes: each may have to be looked for in every folder
_MOST_RULES = 100
_PLACEHOLDER = re.compile(r"\{(stem|parent)\}")


def read_rules(
    page: Page, node: Node, defaults: Defaults, folder: str, admitted: tuple[str, ...], scope: tuple[str, ...] | None
) -> list[DiscoverRule]:
    """Read the list of rules; those with errors are left out.

    Args:
        page: Where errors go.
        node: The value of ``discover``.
        defaults: What models get where the rule does not say.
        folder: The manifest's folder as the user named it.
        admitted: The folders, links resolved, that files may lie in.
        scope: The manifest's scope, or None.
    """
    rules: list[DiscoverRule] = []
    if isinstance(node.value, list) and len(node.value) > _MOST_RULES:
        summary = f"discover has {len(node.value):,} rules, each of which searches folders"
        page.add_error(node, "bad-discover", summary, f"at most {_MOST_RULES} are taken")
        return rules
    for item in items(page, node, "discover", 'list rules: - {glob: "drop/*.onnx", engine: ONNX, name: "{stem}"}'):
        errors_before = page.errors
        found = pairs(page, item, _KEYS, "a rule of discover")
        if not found and page.errors > errors_before:
            continue
        glob = _glob(page, item, found)
        engine = _engine(page, item, found, defaults, glob)
        name = _name(page, found)
        if page.errors == errors_before and glob is not None and engine is not None and name is not None:
            rules.append(
                DiscoverRule(
                    glob=glob,
                    engine=engine,
                    name=name,
                    description=defaults.description,
                    allow_signature_change=defaults.allow_signature_change,
                    inspect=defaults.inspect,
                    folder=folder,
                    admitted=admitted,
                    scope=scope,
                    source=page.place(item),
                )
            )
    return rules


def _glob(page: Page, item: Node, found: dict[str, Pair]) -> str | None:
    if absent(page, item, found, "glob", "the rule", 'say which files: glob: "drop/*.onnx"'):
        return None
    at = found["glob"].value
    glob = text(page, at, "glob")
    if glob is None:
        return None
    last = glob.rpartition("/")[2]
    if len(glob) > _MAX_GLOB or glob.count("/") >= _MOST_PARTS:
        summary = f"the glob is {len(glob):,} characters long and has {glob.count('/') + 1:,} parts"
        page.add_error(at, "bad-glob", summary, f"at most {_MAX_GLOB:,} and {_MOST_PARTS} are taken")
        return None
    if not glob.strip() or not glob.isprintable() or last in ("", ".", ".."):
        page.add_error(at, "bad-glob", "the glob is empty or names no files", "write one such as drop/*.onnx")
    elif any("**" in part and part != "**" for part in glob.split("/")):
        page.add_error(at, "bad-glob", "`**` beside other characters", "write `**` between slashes: drop/**/*.onnx")
    elif ".." in (parts := glob.split("/")) and any(is_glob(part) for part in parts[: parts.index("..")]):
        page.add_error(at, "bad-glob", "`..` behind a pattern", "put it first, or leave it out")
    return glob


def _engine(page: Page, item: Node, found: dict[str, Pair], defaults: Defaults, glob: str | None) -> str | None:
    if "engine" not in found:
        if defaults.engine is None:
            absent(page, item, found, "engine", "the rule", "give it one, or one for all under defaults")
        return defaults.engine
    at = found["engine"].value
    engine = text(page, at, "engine")
    if engine is None:
        return None
    suffix = re.search(r"\.\w+\Z", glob or "")
    if error := engine_error(engine):
        page.add_error(at, "bad-engine", *error)
    elif warning := engine_warning(engine) or (extension_warning(engine, suffix[0]) if suffix else None):
        page.add_warning(at, *warning)
    return engine


def _name(page: Page, found: dict[str, Pair]) -> str | None:
    if "name" not in found:
        return "{stem}"
    at = found["name"].value
    if at.tag.endswith(":map"):
        page.add_error(at, "wrong-type", "name must be text, but this is a mapping", 'quote it: name: "{stem}"')
        return None
    name = text(page, at, "name")
    if name is None:
        return None
    rest = _PLACEHOLDER.sub("", name)
    if "{" in rest or "}" in rest or not name:
        shown = printable(name, 60)
        page.add_error(at, "bad-template", f"the name {shown!r} is no template", "it may hold {stem} and {parent}")
    return name
