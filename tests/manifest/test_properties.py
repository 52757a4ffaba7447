from __future__ import annotations

import re
from functools import partial

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest, yaml_loader

# One folder serves all examples of a test: nothing is left in it that the next one would see.
# The same examples in every run, and no database of them in the working tree.
quickly = settings(
    max_examples=250,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

FRAGMENTS = [
    "version: 1\n",
    "models:\n",
    "models: ",
    "server: ",
    "scope: ",
    "defaults: ",
    "discover: ",
    "  - name: a\n",
    "    engine: ONNX\n",
    "    file: a.onnx\n",
    "    sha256: ",
    "- ",
    "  ",
    "\t",
    "&a ",
    "*a ",
    "<<: ",
    "!!int ",
    "!x ",
    '"',
    "'",
    "[",
    "]",
    "{",
    "}",
    ": ",
    ",",
    "|\n",
    ">\n",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "#",
    "~",
    "1e3",
    "yes",
    "\u2028",
    "\x85",
    "\r",
    "\x00",
    "\ufeff",
    "é",
    "\n",
    "a",
    "\\ud800",
    "\U0001f600",
]


def lines(data: bytes) -> list[str]:
    return re.split("\r\n|[\n\r]", data.decode("utf-8", "replace"))


def read_or_faults(path, data: bytes):
    path.write_bytes(data)
    try:
        return read_manifest([str(path)], check_files=False)
    except ManifestError as error:
        return error


def assert_told_well(path, data: bytes) -> None:
    result = read_or_faults(path, data)
    diagnostics = result.diagnostics if isinstance(result, ManifestError) else result.warnings
    assert diagnostics or not isinstance(result, ManifestError)
    rows = lines(data)
    for diagnostic in diagnostics:
        source = diagnostic.source
        assert source.file == str(path)
        assert 1 <= source.line <= len(rows)
        assert 1 <= source.column <= len(rows[source.line - 1]) + 1
        assert str(diagnostic).isprintable() or any(mark in str(diagnostic) for mark in "\u200c\u200d")
        assert len(diagnostic.summary) < 500


@quickly
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_places_inside_them(tmp_path, data):
    assert_told_well(tmp_path / "models.yaml", data)


@quickly
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_anything_like_a_manifest_is_read_or_refused_with_places_inside_it(tmp_path, text):
    assert_told_well(tmp_path / "models.yaml", text.encode())


@quickly
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join))
def test_the_parser_in_python_never_fails_otherwise(tmp_path, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_loader, "loader_class", partial(yaml_loader.loader_class, pure=True))
        assert_told_well(tmp_path / "models.yaml", text.encode())


@quickly
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join), st.integers(0, 200))
def test_a_manifest_cut_or_broken_anywhere_is_told(tmp_path, junk, at):
    whole = "version: 1\nscope: ['*']\nmodels:\n  - name: a\n    engine: ONNX\n    file: a.onnx\n    description: x\n"
    assert_told_well(tmp_path / "models.yaml", (whole[:at] + junk + whole[at:]).encode())


# PyYAML writes 1e3 without quotes, and other readers take it for a number: that is refused, and tested elsewhere.
words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12).filter(
    lambda word: not re.fullmatch(r"[-+.\d]+[eE][-+]?\d+|0o[0-7]+", word, re.ASCII)
)
entries = st.lists(
    st.fixed_dictionaries(
        {"name": words, "engine": st.sampled_from(["ONNX", "H2O", "onnx", "MLSTATS"]), "file": words},
        optional={
            "description": st.text(st.characters(exclude_categories=["C", "N"]), max_size=20),
            "sha256": st.text("0123456789abcdef", min_size=64, max_size=64),
            "allow_signature_change": st.booleans(),
        },
    ).filter(lambda entry: entry["name"] not in (".", "..")),
    unique_by=lambda entry: entry["name"],
    max_size=6,
)


@quickly
@given(entries, st.sampled_from([None, False, True]), st.booleans())
def test_what_a_program_writes_is_what_is_read(tmp_path, models, flow, unicode):
    text = yaml.safe_dump({"version": 1, "models": models}, default_flow_style=flow, allow_unicode=unicode)
    manifest = read_or_faults(tmp_path / "models.yaml", text.encode())
    assert [(m.name, m.engine, m.file, m.description, m.sha256, m.allow_signature_change) for m in manifest.models] == [
        (
            e["name"],
            e["engine"].upper(),  # a known one in another case is read as what it is
            e["file"],
            e.get("description"),
            e.get("sha256"),
            e.get("allow_signature_change", False),
        )
        for e in sorted(models, key=lambda entry: entry["name"])
    ]


@quickly
@given(entries)
def test_the_quick_pass_and_the_thorough_one_agree(tmp_path, models):
    path = tmp_path / "models.yaml"
    plain = [{key: entry[key] for key in ("name", "engine", "file")} for entry in models]
    quick = read_or_faults(path, yaml.safe_dump({"version": 1, "models": plain}).encode())
    # An unusual key sends every entry the thorough way.
    slow_models = [{**entry, "allow_signature_change": False} for entry in plain]
    slow = read_or_faults(path, yaml.safe_dump({"version": 1, "models": slow_models}).encode())
    assert [model._replace(source=None) for model in quick.models] == [m._replace(source=None) for m in slow.models]
    assert sorted(w.summary for w in quick.warnings) == sorted(w.summary for w in slow.warnings)
