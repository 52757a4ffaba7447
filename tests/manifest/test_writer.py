from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from mmsync.manifest import read_manifest
from mmsync.manifest.writer import Entry, manifest_text, scalar, unlistable

TRICKY = [
    "", " ", "yes", "No", "~", "null", "1", "1e5", "0o7", "0x1F", "12:30", "2024-01-01", ".inf", "=", "<<", "- a",
    "a: b", "a:", "a #b", "#a", "*a", "&a", "!a", "%a", "@a", "`a", "'a'", '"a"', "a\\b", "[a]", "{a}", "a,b", "? a",
    "a ", " a", "a\tb", "\ta", "a\nb", "a\nb\n", "a\nb\n\n", "\na", "a\n\nb", "a\n b", "a \nb", "a\r\nb", "a\rb",
    "\x00", "\x1b[31m", "\x7f", "\x85", "\xa0", "\u2028", "\u200b", "\ufeff", "\ufffe", "é", "日本", "😀", "---", "...",
    "--- a", "a\n---\nb", "a\n# b", "key: |\n  x", "on_call", "it's", "a  b", "|", ">",
]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(TRICKY), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))


def read(text, tmp_path):
    file = tmp_path / "models.yaml"
    file.write_bytes(text.encode())
    return read_manifest([str(file)], check_files=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("written")


@pytest.mark.parametrize("text", TRICKY, ids=ascii)
def test_a_description_is_read_back_as_it_was(text, folder):
    [model] = read(manifest_text([Entry("m", "m.onnx", "ONNX", text)]), folder).models
    assert model.description == text


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXTS, st.tuples(TEXTS, st.one_of(st.none(), TEXTS)), max_size=4))
def test_what_is_written_is_read_back(folder, models):
    entries = [
        Entry(name, f"f/{index}", engine, description)
        for index, (name, (engine, description)) in enumerate(sorted(models.items()))
        if unlistable(name, engine) is None
    ]
    found = read(manifest_text(entries, heading=["a\nb: \x00"], scope_hint=["a*\n"]), folder)
    assert [(m.name, m.engine, m.file, m.description) for m in found.models] == [
        (entry.name, entry.engine, entry.file, entry.description) for entry in entries
    ]
    assert found.scope == ()


@given(TEXTS, st.one_of(st.none(), TEXTS))
@settings(max_examples=200, deadline=None)
def test_what_is_refused_is_what_cannot_be_read(folder, name, engine):
    from mmsync.errors import ManifestError

    text = manifest_text([Entry(name, "f", engine)])
    if unlistable(name, engine) is None:
        assert len(read(text, folder).models) == 1
    else:
        with pytest.raises(ManifestError):
            read(text, folder)


def test_lines_of_text_are_written_as_lines():
    text = manifest_text([Entry("m", "m.onnx", "ONNX", "Card fraud.\n\nTrained weekly.")])
    assert "    description: |-\n      Card fraud.\n\n      Trained weekly.\n" in text


def test_plain_text_stays_without_quotes():
    assert scalar("Is this login an intruder's? CatBoost.") == "Is this login an intruder's? CatBoost."
    assert scalar("no") == '"no"'


def test_server_and_defaults_and_pins_are_written(folder):
    text = manifest_text(
        [Entry("m", "m.onnx", sha256="1" * 64)],
        server={"url": "https://example.com/x", "domain": "on"},
        default_engine="ONNX",
    )
    found = read(text, folder)
    assert (found.server.url, found.server.domain) == ("https://example.com/x", "on")
    assert (found.models[0].engine, found.models[0].sha256) == ("ONNX", "1" * 64)


def test_what_yaml_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="surrogate"):
        scalar("\ud800")
