"""The lines that diagnostics point into: those that were read, and none that may hold a secret."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest
from mmsync.manifest.excerpts import MOST_EXCERPTS, with_excerpts
from mmsync.report.diagnostics import render_diagnostics
from mmsync.types import Diagnostic, Source

MARK = "hunter2"
HEAD = "version: 1\nmodels:\n"


@pytest.fixture
def diagnostics_of(folder):
    def read(text):
        try:
            return read_manifest([folder.manifest(text)], check_files=False).warnings
        except ManifestError as error:
            return error.diagnostics

    return read


@pytest.fixture
def excerpts_of(diagnostics_of):
    def read(text):
        found = [diagnostic.excerpt for diagnostic in diagnostics_of(text)]
        return [(excerpt.text, excerpt.caret) if excerpt else None for excerpt in found]

    return read


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", ["", "\ufeff"])
def test_an_excerpt_is_the_line_as_it_was_read(end, before, excerpts_of):
    text = before + (HEAD + "  - name: m\n    engin:\tONNX # 漢字\n    file: m.onnx\n").replace("\n", end)
    assert excerpts_of(text) == [("  - name: m", 4), ("    engin:\tONNX # 漢字", 4)]


def test_a_line_ends_where_an_editor_ends_it(excerpts_of):
    text = 'version: 1\nmodels:\n  - {name: "a\u2028b", engine: ONNX, file: m.onnx}\n'
    assert excerpts_of(text) == [('  - {name: "a\u2028b", engine: ONNX, file: m.onnx}', 11)]


def test_an_entry_of_a_large_manifest_has_its_line(excerpts_of):
    plain = "".join(f"  - name: m{number}\n    engine: ONNX\n    file: m.onnx\n" for number in range(2000))
    assert excerpts_of(HEAD + plain + "  - name: last\n    engin: ONNX\n    file: m.onnx\n") == [
        ("  - name: last", 4),
        ("    engin: ONNX", 4),
    ]


def test_what_was_read_is_quoted_whatever_the_file_holds_since(folder):
    path = folder.manifest(HEAD + "  - {name: m, engin: ONNX, file: m.onnx}\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest([path], check_files=False)
    Path(path).write_text("token: other\n" * 5)
    assert "  3 |   - {name: m, engin: ONNX, file: m.onnx}\n" in render_diagnostics(caught.value.diagnostics)


# Wherever people put a secret by mistake, and whatever is wrong beside it.
@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}  - {{name: m, engine: ONNX, file: m.onnx, token: {MARK}}}\n",
        f"{HEAD}  - name: m\n    engin: ONNX\n    Password: {MARK}\n",
        f"{HEAD}  - name: m\n    api-key:\n      - {MARK}\n      - {MARK}: [\n",
        f"{HEAD}  - name: m\n    secret: >\n      {MARK}\n     {MARK}: x\n",
        f'{HEAD}  - name: m\n    authorization: "Bearer\n      {MARK}\n',
        f"{HEAD}  - name: m\n    file: https://me:{MARK}@host/m.onnx\n    engine: [\n",
        f"{HEAD}  - name: m\n    engine: 1\n    fiel: https://host/m.onnx?sig={MARK}\n",
        f"version: 1\npw: {MARK}\nmodels: []\n",
        f"version: 1\n{MARK}: 1\nmodels: []\n",
        f"version: 1\n? {MARK}-2\n: 1\nmodels: []\n",
        f"version: 1\nserver: {MARK}\nmodels: []\n",
        f"version: 1\nserver:\n  ulr: http://{MARK}\nmodels: []\n",
        f"version: 1\nserver:\n  url: {MARK}\nmodels: []\n",
        f"version: 1\nserver: {{ulr: {MARK}}}\nmodels: []\n",
        f"version: 1\nserver: {{url: &u\n{MARK}}}\nmodels: []\n",
        f"version: 1\nserver:\n  - {MARK}\n  -{MARK}: [\n",
        f"{HEAD}  - name: eyJhbGciOiJIUzI1NiJ9.{MARK}\n",
        f"{HEAD}  - name: ghp_{MARK}abcdefgh0123\n",
        f"{HEAD}  - name: {MARK}Zm9vYmFyYmF6cXV4Zm9v\n",
        MARK,
        f"{MARK}\n",
        f"DB={MARK}\n",
        f"[profile]\nurl = https://host\nlogin = {MARK}\n",
        f"me:{MARK}\n",
        f"machine host login me pass {MARK}\n",
        f'{{"data": {{"x": "{MARK}"}}}}',
        f"apiVersion: v1\nkind: Secret\ndata:\n  x: {MARK}\n",
        f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----\n",
    ],
)
def test_no_secret_is_quoted(text, diagnostics_of):
    found = diagnostics_of(text)
    assert found
    excerpts = [diagnostic.excerpt.text for diagnostic in found if diagnostic.excerpt]
    assert not [line for line in excerpts if MARK in line]
    if f"\n{MARK}: 1" not in text:  # a word for a key is repeated by the message itself, as it always was
        assert MARK not in "".join(excerpts)


def test_of_an_unknown_key_at_the_top_no_value_is_quoted(excerpts_of):
    assert excerpts_of("version: 1\nmodel: [a]\nmodels: []\n") == [("model: …", 0)]
    assert excerpts_of("version: 1\nmodel: 12\nmodels: []\n") == [("model: 12", 0)]


@pytest.mark.parametrize("name", ["missing.yaml", "utf-16.yaml"])
def test_where_there_is_no_text_there_is_no_line(name, folder):
    if name != "missing.yaml":
        folder.manifest((HEAD + "- x\n").encode("utf-16"), name)
    with pytest.raises(ManifestError) as caught:
        read_manifest([str(folder.path / name)])
    assert [diagnostic.excerpt for diagnostic in caught.value.diagnostics] == [None]


def test_ten_thousand_diagnostics_have_a_hundred_lines_and_take_no_time(diagnostics_of):
    found = diagnostics_of(HEAD + "".join(f"  - {{name: m{n}, engin: ONNX, file: m.onnx}}\n" for n in range(10_000)))
    assert len(found) == 20_000
    assert sum(diagnostic.excerpt is not None for diagnostic in found) == MOST_EXCERPTS
    began = time.thread_time()
    with_excerpts(found, {found[0].source.file: (HEAD + "  - {name: m}\n" * 10_000, set())})
    assert time.thread_time() - began < 1


def test_of_a_line_of_megabytes_a_part_is_kept(excerpts_of):
    text = HEAD + "  - {name: m, engine: ONNX, file: m.onnx, description: " + "x " * 600_000 + ", fiel: y}\n"
    ((line, caret),) = excerpts_of(text)
    assert (line[caret : caret + 4], len(line) < 1000) == ("fiel", True)


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=50), max_size=5), st.data())
def test_an_excerpt_is_the_line_and_its_caret_the_column(lines, data):
    text = "models:\n" + "\n".join(lines)
    whole = text.split("\n")
    line = data.draw(st.integers(1, len(whole) + 2))
    column = data.draw(st.integers(1, 60))
    (made,) = with_excerpts(
        [Diagnostic("error", "manifest/x", "x", "", Source("f", line, column))], {"f": (text, set())}
    )
    if made.excerpt is not None:
        assert made.excerpt.text == whole[line - 1]
        assert made.excerpt.caret == min(column - 1, len(whole[line - 1]))
        assert made == Diagnostic("error", "manifest/x", "x", "", Source("f", line, column))
