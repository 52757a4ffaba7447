"""Docstrings name only what is there: arguments, attributes, exceptions, modules and whatever stands in backticks."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "src").rglob("*.py"))
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
CLASSES = [each for tree in TREES.values() for each in ast.walk(tree) if isinstance(each, ast.ClassDef)]


def every_name() -> set[str]:
    """Every name that the package, or a library it imports from, gives to anything."""
    found = set(dir(builtins)) | {file.stem for file in FILES} | {file.parent.name for file in FILES}
    for tree in TREES.values():
        for node in ast.walk(tree):
            match node:
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    found.add(node.name)
                case ast.Name():
                    found.add(node.id)
                case ast.Attribute():
                    found.add(node.attr)
                case ast.arg():
                    found.add(node.arg)
                case ast.alias():
                    found |= {node.name.rpartition(".")[2], node.asname or "", *node.name.split(".")}
                case ast.keyword(arg=str(name)):
                    found.add(name)
                case _:
                    pass
    return found


NAMES = every_name()


def documented(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def entries(text: str, section: str) -> list[str]:
    """The names that a section explains."""
    found = re.search(rf"^{section}:\n((?:    .*\n|\n)*)", text + "\n", re.MULTILINE)
    return re.findall(r"^ {4}([\w.*]+(?:, [\w.*]+)*):(?= |$)", found[1], re.MULTILINE) if found else []


def split(names: list[str]) -> set[str]:
    return {name.strip("*") for each in names for name in each.split(", ")}


def arguments(node: ast.AST) -> set[str]:
    """The arguments of a function, or of what a class is made with."""
    if isinstance(node, ast.ClassDef):
        made = [
            each for each in node.body if isinstance(each, ast.FunctionDef) and each.name in ("__init__", "__new__")
        ]
        fields = {
            each.target.id
            for each in node.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        }
        return set().union(fields, *map(arguments, made))
    return {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}  # type: ignore[attr-defined]


def attributes(node: ast.ClassDef) -> set[str]:
    """What is set, declared or defined in a class, or in one of the package that it is made from."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
            found.add(each.attr)
        elif isinstance(each, ast.AnnAssign | ast.Assign):
            targets = [each.target] if isinstance(each, ast.AnnAssign) else each.targets
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(each, ast.FunctionDef):
            found.add(each.name)
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    return found.union(*(attributes(each) for each in CLASSES if each.name in bases and each is not node))


def wrong(tree: ast.Module) -> Iterator[str]:
    for node, text in documented(tree):
        where = f"{getattr(node, 'name', 'module')}: "
        if re.match(r"(What|Whether|How|Which|Where|When)\b", text):
            yield f"{where}opens with a question, not with the noun"
        if not isinstance(node, ast.Module):
            for name in sorted(split(entries(text, "Args")) - arguments(node)):
                yield f"{where}no argument {name}"
        if isinstance(node, ast.ClassDef):
            for name in sorted(split(entries(text, "Attributes")) - attributes(node)):
                yield f"{where}no attribute {name}"
        raised = {name.rpartition(".")[2] for name in split(entries(text, "Raises"))}
        spoken = {
            name for each in re.findall(r"(?<!`)`([A-Za-z_][\w.]*)(?:\(\))?`(?!`)", text) for name in each.split(".")
        }
        modules = {Path(name).stem for name in re.findall(r"\b([a-z_]+\.py)\b", text)}
        for name in sorted((raised | spoken | modules) - NAMES):
            yield f"{where}nothing is called {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "src" / "mmsync")))
def test_a_docstring_names_what_is_there(file):
    assert list(wrong(TREES[file])) == []


def test_each_kind_of_stale_name_is_seen():
    tree = ast.parse('''
class Found(Exception):
    """See `gone_away` in old_module.py.

    Attributes:
        size: Kept.
        held: Not there.
    """
    size: int
    def read(self, path):
        """Whether it is read.

        Args:
            place: Was renamed.

        Raises:
            Misfit: It is not one.
        """
''')
    assert [line.split(": ")[1] for line in wrong(tree)] == [
        "no attribute held", "nothing is called gone_away", "nothing is called old_module",
        "opens with a question, not with the noun", "no argument place", "nothing is called Misfit",
    ]  # fmt: skip
