"""What a person wrote stays: of manifests in every style nothing but the new lines differs."""

from __future__ import annotations

import difflib
import re

import pytest

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest
from mmsync.manifest.append import CannotAppend, append_entries
from mmsync.manifest.writer import Entry
from support.commands import Shell, names
from support.hand_written import BLOCK, FLOW, NO_LIST, REFUSED
from support.model_files import catboost, regression_onnx

ADDED = [
    Entry("new", "new.onnx", "ONNX"),
    Entry("yes", "sub folder/it's, new.onnx", "ONNX", "one: two\n\n  # three"),
    Entry("several", "s.onnx", "ONNX", "one\n\ntwo", "0" * 64),
    Entry("日本", "日本.onnx", "ONNX", 'says "no" \\ {x}'),
]
KINDS = {**BLOCK, **FLOW, **NO_LIST}


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    for name in ("new.onnx", "a.onnx", "b.onnx", "c.onnx", "日本.onnx"):
        (tmp_path / name).write_bytes(regression_onnx())
    (tmp_path / "b.cbm").write_bytes(catboost())
    (tmp_path / "drop").mkdir()
    return Shell(tmp_path, capsys, monkeypatch)


def models(text, folder):
    path = folder / "read.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [model._replace(source=None) for model in read_manifest([str(path)], check_files=False).models]


def lines(text):
    """The lines without their ends: of a file that ends in the middle of its last one, that is the only difference."""
    return re.split("\r\n|\r|\n", text.decode().removesuffix("\n").removesuffix("\r"))


def inserted(before, after):
    """The lines that came in; fails where any other went or changed."""
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    assert {step[0] for step in steps} <= {"equal", "insert"}, "\n".join(difflib.ndiff(before, after))
    return [line for tag, _, _, start, end in steps if tag == "insert" for line in after[start:end]]


def test_there_are_fifty_of_them():
    assert len(BLOCK) >= 50


@pytest.mark.parametrize("style", KINDS)
def test_what_is_added_is_read_back_and_the_rest_as_before(style, tmp_path):
    before = KINDS[style].encode()
    after = append_entries(before, ADDED)
    old = models(before, tmp_path)
    found = {model.name: model for model in models(after, tmp_path)}
    assert [found.pop(model.name) for model in old] == old
    for entry in ADDED:
        model = found.pop(entry.name)
        for key in ("engine", "file", "description", "sha256"):
            assert getattr(model, key) == getattr(entry, key), key
    assert found == {}
    with pytest.raises(ManifestError, match="the name new is given twice"):  # it is added once more, and found
        models(append_entries(after, ADDED[:1]), tmp_path)


@pytest.mark.parametrize("style", [*BLOCK, *NO_LIST])
def test_only_lines_come_in(style):
    text = {**BLOCK, **NO_LIST}[style].encode()
    after = append_entries(text, ADDED)
    new = inserted(lines(text), lines(after))
    assert (
        sum(bool(re.match(r"\s*(- )?\{?\s*name: ", line)) for line in new) + sum("- file:" in line for line in new) >= 1
    )
    assert after.endswith(b"\n") == text.endswith(b"\n")
    assert after.startswith(b"\xef\xbb\xbf") == text.startswith(b"\xef\xbb\xbf")
    # One kind of line ends stays one kind.
    ends = {match[0] for match in re.finditer(b"\r\n|\r|\n", text)}
    assert {match[0] for match in re.finditer(b"\r\n|\r|\n", after)} == ends


@pytest.mark.parametrize("style", FLOW)
def test_of_a_list_in_brackets_no_character_goes_but_the_brackets_of_an_empty_one(style):
    before, after = FLOW[style], append_entries(FLOW[style].encode(), ADDED).decode()
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    gone = "".join(before[start:end] for tag, start, end, _, _ in steps if tag in ("delete", "replace"))
    assert gone.replace(" ", "") in ("", "[]")
    assert not gone or re.search(r"models: \[ ?\]", before)
    assert [line for line in before.splitlines() if line.lstrip().startswith("#")] == [
        line for line in after.splitlines() if line.lstrip().startswith("#")
    ]


@pytest.mark.parametrize("style", REFUSED)
def test_what_cannot_be_added_by_lines_alone_is_refused(style):
    text, why = REFUSED[style]
    with pytest.raises(CannotAppend, match=re.escape(why)):
        append_entries(text.encode(), ADDED[:1])


@pytest.mark.parametrize("command", [("add", "new.onnx"), ("init", "--update")], ids=" ".join)
@pytest.mark.parametrize("style", BLOCK)
def test_the_commands_change_nothing_but_the_new_lines(style, command, shell):
    before = BLOCK[style].encode()
    path = shell.folder / "models.yaml"
    path.write_bytes(before)
    ran = shell(*command)
    assert ran.code == 0, ran.err
    assert "+ new  ONNX  new.onnx\n" in ran.out
    new = inserted(lines(before), lines(path.read_bytes()))
    assert any("new.onnx" in line for line in new)
    assert "new" in [model.name for model in read_manifest([str(path)]).models]
    assert [name for name in names(shell.folder) if name.startswith(".")] == []


def test_the_style_of_the_last_entry_is_taken_over():
    cases = {
        "four spaces": "    -   name: new\n        engine: ONNX\n        file: new.onnx\n",
        "indentless": "- name: new\n  engine: ONNX\n  file: new.onnx\n",
        "dash alone": "  -\n    name: new\n    engine: ONNX\n    file: new.onnx\n",
        "aligned": "  - name:   new\n    engine: ONNX\n    file:   new.onnx\n",
        "double quotes": '  - name: "new"\n    engine: ONNX\n    file: "new.onnx"\n',
        "keys in another order": "  - file: new.onnx\n    name: new\n    engine: ONNX\n",
        "default engine": "  - name: new\n    file: new.onnx\n",
        "blank line between": "\n  - name: new\n    engine: ONNX\n    file: new.onnx\n",
        "flow items": "  - {name: new, engine: ONNX, file: new.onnx}\n",
        "flow items with room": "  - { name: new, engine: ONNX, file: new.onnx }\n",
    }
    for style, expected in cases.items():
        after = append_entries(BLOCK[style].encode(), ADDED[:1]).decode()
        assert after == BLOCK[style] + expected, style
    json = append_entries(FLOW["JSON with tabs"].encode(), ADDED[:1]).decode()
    assert '"},\n\t\t{"name": "new", "engine": "ONNX", "file": "new.onnx"}\n\t]\n}\n' in json


def test_without_the_quick_parser_it_is_the_same(monkeypatch):
    from mmsync.manifest import layout
    from mmsync.manifest.yaml_loader import loader_class

    # The parser in Python takes no tab between tokens: such a manifest is refused before.
    texts = [text.encode() for text in KINDS.values() if "\t" not in text]
    quick = [append_entries(text, ADDED) for text in texts]
    monkeypatch.setattr(layout, "loader_class", lambda: loader_class(pure=True))
    assert [append_entries(text, ADDED) for text in texts] == quick


def test_ten_thousand_entries_are_no_matter():
    text = "version: 1\nmodels:\n" + "".join(
        f"  - name: m{n}\n    engine: ONNX\n    file: {n}.onnx\n" for n in range(10_000)
    )
    assert append_entries(text.encode(), ADDED[:1]).decode() == (
        text + "  - name: new\n    engine: ONNX\n    file: new.onnx\n"
    )
