"""Every code of the source has an entry in the page of codes, every entry a code; the examples provoke what they explain."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import pytest

from mmsync import help as pages
from mmsync.cli.main import cli
from mmsync.errors import ManifestError
from mmsync.ledger import Ledger
from mmsync.manifest import read_manifest
from mmsync.validate import check_files
from support.model_files import regression_onnx

PACKAGE = Path(pages.__file__).parents[1]
WORD = re.compile(r"[a-z]+(-[a-z]+)*")
WHOLE = re.compile(r"(apply|file|guard|import|manifest|plan|server|signature)/[a-z]+(-[a-z]+)*")
# What may stand where a code does without being one: each is made of what is collected elsewhere.
COMPOSED = {
    "code",  # a parameter
    "f'manifest/{code}'",
    "CHANGED",
    "PROTECTED",
    "found['code']",  # read back from JSON
    "diagnostic.code",
    "outcome.code",
    "guards[0].code",
    "error.diagnostics[0].code",
    "message",  # the name of a Python error
}


def words_of(node):
    """The words that an expression may come to; None in place of what cannot be known."""
    match node:
        case ast.Constant(value=str(word)):
            return [word] if word else []
        case ast.IfExp():
            return words_of(node.body) + words_of(node.orelse)
        case ast.Call(func=ast.Attribute(attr="get"), args=[_, default]):  # of a table of the operating system's names
            return words_of(default)
        case _:
            return [None]


# Of each function that is called with a code: the rooms to look in, which argument is the code, and the code's room.
CALLS = {
    **dict.fromkeys(("add_error", "add_warning", "_add_error"), (("manifest", "files"), 1, "manifest")),
    **{
        name: (("manifest", "files"), at, "manifest")
        for name, at in {"_diagnostic": 1, "Unreadable": 1, "Denial": 0}.items()
    },
    **{name: (("apply",), at, "apply") for name, at in {"Outcome": 2, "_skipped": 1}.items()},
    "Condition": (("watch",), 3, "watch"),
}


def codes_in_places(node, room):
    """Expressions that stand in a code's place, each with its room."""
    match node:
        case ast.Call(args=args, keywords=keywords):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            rooms, at, prefix = CALLS.get(name, ((room,) if name == "Diagnostic" else (), 1, room))
            if room in rooms and len(args) > at:
                yield args[at], prefix
            if name == "replace" and room == "apply":
                yield from ((keyword.value, room) for keyword in keywords if keyword.arg == "code")
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if room == "watch":
            pairs = zip(targets, values, strict=True)
            yield from ((value, room) for target, value in pairs if ast.unparse(target) == "code")
        case ast.AnnAssign(target=ast.Name(id="_CODES"), value=ast.Dict(values=values)) if room == "apply":
            yield from ((value.elts[0], room) for value in values)
        case ast.Tuple(elts=[ast.Constant(value=str(word)) as code, sentence, _]) if room == "manifest":
            # Code, summary and hint, as functions return them for a caller to add.
            if (
                WORD.fullmatch(word)
                and isinstance(sentence, (ast.JoinedStr, ast.Constant))
                and " " in ast.unparse(sentence)
            ):
                yield code, room


def codes_of(path):
    """The codes that a module can give, and the expressions in a code's place that say nothing by themselves."""
    room = path.relative_to(PACKAGE).parts[0]
    found, composed = set(), set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and WHOLE.fullmatch(node.value):
            found.add(node.value)
        for expression, prefix in codes_in_places(node, room):
            words = words_of(expression)
            found |= {word if "/" in word else f"{prefix}/{word}" for word in words if word}
            composed |= {ast.unparse(expression)} if None in words else set()
    return found, composed


def all_codes():
    found, composed = set(), set()
    for path in PACKAGE.rglob("*.py"):
        more, unclear = codes_of(path)
        found |= more
        composed |= unclear
    # Of an outcome without a code the status is the code on GitHub; these two are chosen by hand in apply/change.py.
    found |= {f"apply/{status}" for status in ("verified", "applied", "skipped", "failed", "not-attempted")}
    return found | {"apply/server", "apply/file"}, composed


def test_every_code_has_an_entry_and_every_entry_a_code():
    codes, _ = all_codes()
    explained = [entry.code for entry in pages.entries()]
    assert len(explained) == len(set(explained))
    assert set(explained) == codes


def test_what_stands_in_the_place_of_a_code_is_a_code_or_made_of_some():
    _, composed = all_codes()
    assert {each for each in composed if not re.match(r"\*|self\.|f'(manifest|apply)/", each)} <= COMPOSED


def test_the_outcomes_codes_are_those_that_the_docstring_promises():
    text = (PACKAGE / "apply" / "outcome.py").read_text("utf-8")
    promised = re.findall(r"``([a-z-]+)``", text.partition("code: ")[2].partition("message:")[0])
    explained = {entry.code for entry in pages.entries()}
    assert promised
    assert {f"apply/{code}" for code in promised} <= explained


def test_every_entry_says_what_to_do():
    assert [entry.code for entry in pages.entries() if "\nWhat to do: " not in entry.text] == []


EXAMPLES = [
    pytest.param(entry.code, block, id=entry.code)
    for entry in pages.entries()
    for block in re.findall(r"^```yaml\n(.*?)^```$", entry.text, re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize(("code", "manifest"), EXAMPLES)
def test_an_example_provokes_what_it_explains(code, manifest, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(regression_onnx())
    (folder / "text.onnx").write_text("no model at all\n")
    (folder / "models.yaml").write_text(manifest)
    try:
        read = read_manifest([str(folder / "models.yaml")])
        with Ledger(None, warn=pytest.fail, now=int(time.time())) as cache:
            found = [*read.warnings, *check_files(read, cache, now_ns=time.time_ns())]
    except ManifestError as error:
        found = error.diagnostics
    assert code in {diagnostic.code for diagnostic in found}


def test_the_examples_are_many():
    assert len(EXAMPLES) > 25


def test_explain_is_a_command():
    assert {"help", "explain"} <= set(cli.list_commands(None))
