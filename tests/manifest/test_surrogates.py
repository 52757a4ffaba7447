"""Characters that JSON writes as two escapes, in manifests that are JSON and in others."""

from __future__ import annotations

import json
from functools import partial

import pytest
from hypothesis import given, strategies as st

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest, yaml_loader
from mmsync.manifest.surrogates import with_stand_ins
from mmsync.manifest.yaml_loader import compose

BOOM = "\N{COLLISION SYMBOL}"


@pytest.fixture(params=["libyaml", "python"])
def _each_parser(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(yaml_loader, "loader_class", partial(yaml_loader.loader_class, pure=True))


def error_of(folder, text):
    with pytest.raises(ManifestError) as caught:
        read_manifest([folder.manifest(text)], check_files=False)
    return str(caught.value).partition("models.yaml:")[2]


@pytest.mark.usefixtures("_each_parser")
def test_what_json_writes_is_read(folder):
    model = {"name": f"{BOOM}a", "engine": "ONNX", "file": f"{BOOM}/a.onnx", "description": f"\\ud83d {BOOM * 3}é\\"}
    text = json.dumps({"version": 1, "models": [model]})
    assert r"\ud83d\udca5" in text
    (found,) = read_manifest([folder.manifest(text)], check_files=False).models
    assert {key: getattr(found, key) for key in model} == model


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_that_json_writes_is_read(texts):
    data = json.dumps([BOOM, *texts]).encode()
    # Of a text with the stand-ins in it nobody could tell them from the rest: see below.
    if with_stand_ins(data) is not data:
        assert [node.value for node in compose(data).value] == [BOOM, *texts]


@pytest.mark.usefixtures("_each_parser")
def test_places_stay_what_they_are(folder):
    text = '{"version": 1, "models": [{"name": "\\ud83d\\udca5", "engine": "ONNX", "fiel": "\\uD83D\\uDCA5"}]}'
    lines = error_of(folder, text).splitlines()
    assert lines[0].startswith(f"1:{text.index('{', 1) + 1}: ")
    assert f":1:{text.index('fiel')}: a model has no key 'fiel'" in lines[1]
    broken = '{"version": 1, "models": [{"name": "\\ud83d\\udca5", "engine": *x}]}'
    assert error_of(folder, broken).startswith(f"1:{broken.index('*') + 1}: an alias without its anchor")


@pytest.mark.usefixtures("_each_parser")
@pytest.mark.parametrize(
    ("written", "shown", "at"),
    [
        (r"a\ud83d", r"\ud83d", 1),
        (r"\udca5\ud83d", r"\udca5", 0),
        (r"\ud83d\udca5 \uD83D!", r"\uD83D", 13),
        (r"\\ud83d\\\uDA3d", r"\uDA3d", 9),
    ],
)
def test_half_a_character_is_refused_in_its_place(folder, written, shown, at):
    text = f'version: 1\nmodels:\n  - name: a\n    engine: ONNX\n    file: a.onnx\n    description: "{written}"\n'
    said = f"6:{19 + at}: {shown} is half a character, without its other half (write both halves, such as "
    assert error_of(folder, text).startswith(said)


@pytest.mark.usefixtures("_each_parser")
def test_outside_double_quotes_an_escape_is_text(folder):
    text = (
        "version: 1  # \\ud83d\nmodels:\n"
        "  - {name: \"\\ud83d\\udca5\", engine: ONNX, file: a.onnx, description: '\\uD83d\\uDCA5 \\\\uDAAa'}\n"
        "  - name: b\n    engine: ONNX\n    file: b.onnx\n    description: |\n      \\ud83d\n      \\udAcA\n"
        "  - {name: c, engine: ONNX, file: c.onnx, description: it's \\ud83d}\n"
    )
    b, c, boom = read_manifest([folder.manifest(text)], check_files=False).models
    assert boom.name == BOOM
    described = [model.description for model in (boom, b, c)]
    assert described == ["\\uD83d\\uDCA5 \\\\uDAAa", "\\ud83d\n\\udAcA\n", "it's \\ud83d"]


def test_beside_characters_for_private_use_the_escapes_are_refused_as_before(folder):
    text = 'version: 1\nmodels: [{name: "\\ud83d\\udca5 \ue000", engine: ONNX, file: a.onnx}]\n'
    assert "an unknown escape" in error_of(folder, text)
