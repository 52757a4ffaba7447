"""Work is bounded by the size of what a stranger sends: in steps, bytes and counts, never by the clock."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest, yaml_loader
from mmsync.manifest.discovery import Walk
from mmsync.plan import Scope, Selection
from mmsync.types import MOST_GLOBS, Patterns

SOURCE = Path(__file__).parents[2] / "src"


def faults(tmp_path, text):
    (tmp_path / "models.yaml").write_text(text, "utf-8")
    try:
        return "", read_manifest([str(tmp_path / "models.yaml")], check_files=False)
    except ManifestError as error:
        return str(error), None


def steps(work):
    """How many lines of Python are run by ``work``: what grows with the square shows, on any machine."""
    count = 0

    def trace(_frame, _event, _arg):
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


# --- every expression in the source -------------------------------------------------------------------------------


def expressions():
    """Yield every regular expression that the source writes out, with its place."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            is_re = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if not is_re or not isinstance(node.func.value, ast.Name) or node.func.value.id != "re" or not node.args:
                continue
            if node.func.attr == "escape":
                continue
            text = node.args[0]
            if isinstance(text, ast.Constant) and isinstance(text.value, (str, bytes)):
                value = text.value.decode("latin-1") if isinstance(text.value, bytes) else text.value
                yield pytest.param(value, id=f"{file.stem}:{node.lineno}")


def unbounded_inside_unbounded(pattern, *, inside=False):
    """Whether a repeat without an end holds another: ``(a+)+`` takes time that doubles with each letter.

    Repeats over disjoint characters cannot be told apart from the others here, and are written another way.
    """
    for kind, argument in pattern:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, inner = argument
            endless = most == re._constants.MAXREPEAT
            if endless and inside:
                return True
            if unbounded_inside_unbounded(inner, inside=inside or endless):
                return True
        elif name in ("POSSESSIVE_REPEAT", "ATOMIC_GROUP"):
            continue
        elif name == "SUBPATTERN":
            if unbounded_inside_unbounded(argument[-1], inside=inside):
                return True
        elif name == "BRANCH" and any(unbounded_inside_unbounded(branch, inside=inside) for branch in argument[1]):
            return True
    return False


@pytest.mark.parametrize("text", [*expressions()])
def test_no_expression_repeats_a_repeat(text):
    assert not unbounded_inside_unbounded(re._parser.parse(text))


def test_the_finder_finds():
    for text in ("(a+)+", "(?:a*b?)*c", "((x|y+)z)*"):
        assert unbounded_inside_unbounded(re._parser.parse(text))
    for text in ("a+b+", "(?:ab)+", "(?>a+)+", "[^x]*x"):
        assert not unbounded_inside_unbounded(re._parser.parse(text))


# --- names, patterns, addresses -----------------------------------------------------------------------------------

BOMBS = {
    "brackets": "scope: ['" + "[" * 400_000 + "']\nmodels: []\n",
    "brackets closed": "scope: ['" + "[]" * 200_000 + "']\nmodels: []\n",
    "stars": "scope: ['" + "*a" * 200_000 + "b']\nmodels: []\n",
    "scopes": "scope:\n" + "".join(f"  - 'a*{n}'\n" for n in range(20_000)) + "models: []\n",
    "name": "models:\n  - {name: " + "a" * 400_000 + ", engine: ONNX, file: a.onnx}\n",
    "address": "server: {url: 'https://h/" + "?a" * 6_000 + "'}\nmodels: []\n",
    "address of users": "server: {url: '" + "a:" * 6_000 + "'}\nmodels: []\n",
    "parts": "discover: [{glob: '" + "**/" * 2_000 + "*.onnx', engine: ONNX}]\n",
    "parts that differ": "discover: [{glob: '" + "**/a/" * 100 + "*.onnx', engine: ONNX}]\n",
    "rules": "discover:\n" + "".join(f"  - {{glob: '{n}/*.onnx', engine: ONNX}}\n" for n in range(20_000)),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_too_long_or_too_many_is_one_clear_fault(bomb, tmp_path):
    text = f"version: 1\n{BOMBS[bomb]}"
    told, _ = faults(tmp_path, text)
    assert "taken" in told or "characters long" in told, told[:300]
    assert len(told) < 1000
    # The size of the fault does not multiply the work: a few lines of Python for each node of the text.
    nodes = sum(1 for _ in yaml.parse(text, yaml.CSafeLoader)) if hasattr(yaml, "CSafeLoader") else len(text)
    assert steps(lambda: faults(tmp_path, text)) < 20_000 + 100 * nodes


def test_plain_names_in_scope_are_not_counted_and_cost_next_to_nothing(tmp_path):
    names = [f"name_{n}" for n in range(20_000)]
    text = "version: 1\nscope: [" + ", ".join(names) + "]\nmodels:\n"
    text += "".join(f"  - {{name: {name}, engine: ONNX, file: a.onnx}}\n" for name in names[:5000])
    told, manifest = faults(tmp_path, text)
    assert told == ""
    assert len(manifest.models) == 5000
    scope = Scope(manifest.scope)
    assert steps(lambda: [name in scope for name in names]) < 10 * len(names)


@pytest.mark.parametrize("glob", ["*a" * 450, "a" * 500 + "*" * 400 + "b", "[ab]*" * 190 + "b", "?*" * 450])
def test_a_glob_never_goes_back(glob):
    """The expressions are atomic: with one that goes back, this would not end in anybody's lifetime."""
    patterns = Patterns([glob])
    assert ("a" * 1000 + "c") not in patterns or glob.startswith("?")
    assert Selection(target=(glob,)).target == (glob,)


def test_the_most_globs_against_the_most_names():
    patterns = Patterns([f"*{n}x" for n in range(MOST_GLOBS)])
    assert "y999x" in patterns
    assert all(f"n{n}" not in patterns for n in range(2000))


def test_a_run_of_double_stars_looks_into_a_folder_once(tmp_path):
    for n in range(20):
        (tmp_path / f"f{n}/g").mkdir(parents=True)
        (tmp_path / f"f{n}/g/m.onnx").touch()
    one = Walk(("**", "*.onnx"), lambda _: True).run(str(tmp_path))
    many = Walk(("**",) * 40 + ("*.onnx",), lambda _: True).run(str(tmp_path))
    assert one.matches == many.matches
    assert len(one.matches) == 20
    assert steps(lambda: Walk(("**",) * 40 + ("*.onnx",), lambda _: True).run(str(tmp_path))) < 2 * steps(
        lambda: Walk(("**", "*.onnx"), lambda _: True).run(str(tmp_path))
    )


# --- whole documents ----------------------------------------------------------------------------------------------


def test_reading_gives_up_when_its_time_is_over(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("version: 1\nmodels:\n" + "- {name: a, engine: ONNX, file: a.onnx}\n" * 20_000, "utf-8")
    with pytest.raises(ManifestError, match="takes more than 0 s"):
        read_manifest([str(path)], check_files=False, budget=0.0)
    nodes = []
    with pytest.raises(RuntimeError, match="over"):
        yaml_loader.compose(path.read_bytes(), lambda: nodes.append(1) or (_ for _ in ()).throw(RuntimeError("over")))
    assert len(nodes) == 1


@pytest.mark.parametrize("form", ["one line", "two lines each"])
def test_the_entries_are_counted_wherever_they_stand(form, tmp_path, monkeypatch):
    """The text is parsed in no time here, so that it is the entries that are given up."""
    monkeypatch.setattr(yaml_loader, "_checked", lambda _loader, _node: 10**9)
    models = [f"{{name: a{number}, engine: ONNX,\n    file: a.onnx}}" for number in range(1000)]
    text = "version: 1\nmodels:\n" + "".join(f"  - {model}\n" for model in models)
    if form == "one line":
        text = "version: 1\nmodels: [" + ", ".join(model.replace("\n   ", "") for model in models) + "]\n"
    path = tmp_path / "models.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ManifestError, match="takes more than 0 s"):
        read_manifest([str(path)], check_files=False, budget=0.0)


def test_a_saved_plan_is_read_no_further_than_any_plan_goes(tmp_path, monkeypatch, capsys):
    from mmsync.cli.main import _run

    monkeypatch.chdir(tmp_path)
    plan = tmp_path / "plan.json"
    with plan.open("wb") as file:
        file.write(b'{"format_version": "1", "fill": "')
        file.truncate(20 * 2**30)  # sparse
    assert _run(["apply", "plan.json", "--url", "local:srv"]) == 1
    assert "larger than any plan (256 MiB)" in capsys.readouterr().err
