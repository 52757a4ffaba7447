"""The rules of ``discover``, read from a manifest and checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmsync.manifest.nodes import (
    boolean,
    engine_of,
    extension_warning,
    given,
    items,
    pairs,
    required,
    text,
    unknown_engine,
)
from mmsync.manifest.types import DiscoverRule
from mmsync.manifest.yaml_loader import Page
from mmsync.printable import printable
from mmsync.types import is_glob

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.sections import Defaults

_KEYS = ("glob", "engine", "name", "protect")
_MAX_GLOB = 1_000  # characters
_MOST_PARTS = 50  # between slashes: each may have to be looked for in every folder
_MOST_RULES = 100
PLACEHOLDER = re.compile(r"\{(stem|parent)\}")


def read_rules(
    page: Page, node: Node, defaults: Defaults, folder: str, admitted: tuple[str, ...], scope: tuple[str, ...] | None
) -> list[DiscoverRule]:
    """Return the rules of a list without those that have errors, which are noted on ``page``.

    ``defaults`` are what models get where the rule does not say, ``folder`` is the manifest's as the user named it;
    files may lie in the folders ``admitted``, links resolved.
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
        name = _name(page, found["name"]) if "name" in found else "{stem}"
        protect = given(page, found, "protect", boolean, defaults.protect)
        if page.errors == errors_before and glob is not None and engine is not None and name is not None:
            rules.append(
                DiscoverRule(
                    glob=glob,
                    engine=engine,
                    name=name,
                    description=defaults.description,
                    allow_signature_change=defaults.allow_signature_change,
                    inspect=defaults.inspect,
                    protect=protect,
                    folder=folder,
                    admitted=admitted,
                    scope=scope,
                    source=page.place(item),
                )
            )
    return rules


def _glob(page: Page, item: Node, found: dict[str, Node]) -> str | None:
    glob = required(page, item, found, "glob", "the rule", 'say which files: glob: "drop/*.onnx"')
    if glob is None:
        return None
    at = found["glob"]
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


def _engine(page: Page, item: Node, found: dict[str, Node], defaults: Defaults, glob: str | None) -> str | None:
    engine = engine_of(page, item, found, "the rule", defaults.engine)
    if engine is not None and "engine" in found:
        suffix = re.search(r"\.\w+\Z", glob or "")
        if error := unknown_engine(engine, " under defaults"):
            if defaults.inspect:
                page.add_error(found["engine"], *error)
        elif suffix and (warning := extension_warning(engine, suffix[0])):
            page.add_warning(found["engine"], *warning)
    return engine


def _name(page: Page, at: Node) -> str | None:
    if at.tag.endswith(":map"):
        page.add_error(at, "wrong-type", "name must be text, but this is a mapping", 'quote it: name: "{stem}"')
        return None
    name = text(page, at, "name")
    if name is None:
        return None
    rest = PLACEHOLDER.sub("", name)
    if "{" in rest or "}" in rest or not name:
        shown = printable(name, 60)
        page.add_error(at, "bad-template", f"the name {shown!r} is no template", "it may hold {stem} and {parent}")
    return name
