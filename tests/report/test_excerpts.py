"""Source lines under diagnostics: aligned whatever they hold, no wider than the terminal, harmless."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from mmsync.report.diagnostics import render_diagnostics
from mmsync.report.layout import columns
from mmsync.types import Diagnostic, Excerpt, Source

_SGR = re.compile("\x1b\\[[0-9;]*m")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def lines_of(text, caret, *, width=60, line=7, severity="error", colour=False):
    excerpt = Excerpt(text, caret)
    diagnostic = Diagnostic(severity, "manifest/x", "wrong", "", Source("models.yaml", line, caret + 1), "", excerpt)
    first, *more = render_diagnostics([diagnostic], width=width, colour=colour).splitlines()
    assert _SGR.sub("", first).startswith("models.yaml:7:" if line == 7 else "models.yaml")
    return more[-2:]


@pytest.mark.parametrize(
    ("text", "caret", "expected"),
    [
        ("  descripton: x", 2, ["  7 |   descripton: x", "    |   ^"]),
        ("a: b", 4, ["  7 | a: b", "    |     ^"]),
        ("\tname: x", 1, ["  7 |     name: x", "    |     ^"]),
        ("ab\tc", 3, ["  7 | ab  c", "    |     ^"]),
        ("漢字: x: y", 5, ["  7 | 漢字: x: y", "    |        ^"]),
        ("💥💥 x", 3, ["  7 | 💥💥 x", "    |      ^"]),
        ("e\u0301a: x", 2, ["  7 | e\u0301a: x", "    |  ^"]),
        ("\x1b[31mx: y", 5, ["  7 | \\x1b[31mx: y", "    |         ^"]),
        ("a\u202eb: c", 2, ["  7 | a\\u202eb: c", "    |        ^"]),
        ("x" * 80, 0, ["  7 | " + "x" * 52 + "…", "    | ^"]),
        ("x" * 80, 79, ["  7 | …" + "x" * 26, "    | " + " " * 26 + "^"]),
        ("漢" * 80, 40, ["  7 | …" + "漢" * 26 + "…", "    | " + " " * 25 + "^"]),
    ],
)
def test_a_caret_stands_under_its_character(text, caret, expected):
    assert lines_of(text, caret) == expected


def test_a_line_number_of_any_length_has_its_gutter():
    assert lines_of("a: b", 0, line=12345) == ["  12345 | a: b", "        | ^"]


_lines = st.text(st.characters(exclude_characters="\r\n") | st.sampled_from("\t漢💥e\u0301\x1b\u202e"), min_size=1)


@given(st.integers(24, 140), _lines, _lines, st.integers(1, 30))
def test_every_line_fits_is_harmless_and_aligned(width, before, behind, times):
    before, behind = (text.replace("@", "a") * times for text in (before, behind))
    line, under = lines_of(f"{before}@{behind}", len(before), width=width)
    assert max(columns(line), columns(under)) <= width
    assert not _UNSAFE.search(line + under)
    assert under == "    |" + " " * (columns(line[: line.index("@")]) - 5) + "^"


@given(st.integers(24, 140), _lines, st.integers(1, 30))
def test_a_caret_may_stand_behind_the_end(width, text, times):
    line, under = lines_of(text * times, len(text * times), width=width)
    assert columns(under) <= width
    assert columns(line) <= columns(under) - 1


@given(_lines, st.data())
def test_colour_changes_nothing_but_colours(text, data):
    caret = data.draw(st.integers(0, len(text)))
    plain, painted = (lines_of(text, caret, colour=colour) for colour in (False, True))
    assert [_SGR.sub("", line) for line in painted] == plain


def test_each_part_has_its_colour():
    excerpt = Excerpt("a: b", 3)
    found = [
        Diagnostic("error", "manifest/x", "wrong", "", Source("m.yaml", 7, 4), "", excerpt),
        Diagnostic("warning", "manifest/y", "odd", "", Source("m.yaml", 8, 4), "", excerpt),
    ]
    assert render_diagnostics(found, colour=True, explain=True).splitlines() == [
        "\x1b[1mm.yaml:7:4:\x1b[0m wrong \x1b[36m[manifest/x]\x1b[0m",
        "  \x1b[2m7 |\x1b[0m a: b",
        "  \x1b[2m  |\x1b[0m    \x1b[1;31m^\x1b[0m",
        "\x1b[1mm.yaml:8:4:\x1b[0m \x1b[1;33mwarning:\x1b[0m odd \x1b[36m[manifest/y]\x1b[0m",
        "  \x1b[2m8 |\x1b[0m a: b",
        "  \x1b[2m  |\x1b[0m    \x1b[1;33m^\x1b[0m",
        "What a code means: mmsync explain \x1b[36mmanifest/x\x1b[0m",
    ]


def test_of_several_about_one_place_the_last_has_the_line():
    excerpt = Excerpt("a: b", 0)
    found = [Diagnostic("error", "manifest/x", word, "", Source("m.yaml", 7), "", excerpt) for word in ("one", "two")]
    assert render_diagnostics(found) == (
        "m.yaml:7:1: one [manifest/x]\nm.yaml:7:1: two [manifest/x]\n  7 | a: b\n    | ^\n"
    )


def test_notes_alone_are_not_explained():
    assert (
        render_diagnostics([Diagnostic("info", "plan/scope", "a note")], explain=True) == "note: a note [plan/scope]\n"
    )
