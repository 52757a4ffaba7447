from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from mmsync.apply.outcome import Outcome
from mmsync.printable import printable
from mmsync.report.diagnostics import render_diagnostics
from mmsync.report.layout import columns
from mmsync.report.outcome_text import render_outcomes
from mmsync.report.plan_text import render_plan
from mmsync.types import Diagnostic
from support.sample_plans import (
    DIGEST,
    NEW,
    OLD,
    add,
    at,
    changed,
    delete,
    every_kind,
    partial,
    plan,
    signatures_differ,
    some_outcomes,
    unchanged,
)

if TYPE_CHECKING:
    from mmsync.plan.model import Plan

_SGR = re.compile("\x1b\\[[0-9;]*m")
_anything = st.text(st.characters(), max_size=120)
_hostile = _anything | st.sampled_from(
    [
        "\x1b[2J\x1b[31mred",
        "a\u202egpj.exe",
        "x" * 500,
        "::stop-commands::t",
        "##[set-output name=changes]0",
        "\ud800",
        "漢" * 90,
        "",
    ]
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_plan_of_every_kind_reads_as_agreed(width, is_golden):
    is_golden(f"plan-{width}.txt", render_plan(every_kind(), digest=DIGEST, width=width))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_differences_of_signatures_read_as_agreed(width, is_golden):
    is_golden(f"signatures-{width}.txt", render_plan(signatures_differ(), width=width))


def test_a_plan_in_colour_reads_as_agreed(is_golden):
    is_golden("plan-80-colour.txt", render_plan(every_kind(), width=80, colour=True))


def test_colour_changes_nothing_but_colours():
    plain = render_plan(every_kind(), digest=DIGEST, width=72)
    assert _SGR.sub("", render_plan(every_kind(), digest=DIGEST, width=72, colour=True)) == plain


@pytest.mark.parametrize("width", [60, 100])
def test_outcomes_read_as_agreed(width, is_golden):
    made = every_kind()
    is_golden(f"outcomes-{width}.txt", render_outcomes(made, some_outcomes(made), width=width))


def test_what_many_models_failed_of_is_told_of_the_first_few():
    made = plan(*(add(f"m{n:03}") for n in range(300)))
    outcomes = [Outcome(made.changes[0], "verified")]
    why = "Cannot send {}: connection refused, correlation id {} (try again)"
    outcomes += [
        Outcome(change, "failed", "network", why.format(change.name, n)) for n, change in enumerate(made.changes[1:200])
    ]
    outcomes += [Outcome(made.changes[200], "failed", "server", "another reason")]
    outcomes += [
        Outcome(change, "not-attempted", "interrupted", "the run was stopped first") for change in made.changes[201:]
    ]
    text = render_outcomes(made, outcomes, width=100)
    assert text.count("connection refused") == text.count("the run was stopped first") == 3
    assert (
        "    models.yaml:3:5: Cannot send m003: connection refused, correlation id 2 (try again)\n"
        "! and 196 more failed for the same reason: m004, m005, m006, m007, m008, m009, m010, m011, m012,\n"
        "    m013, …\n"
    ) in text
    assert "? and 96 more not attempted for the same reason: m204, m205, " in text
    assert text.count("another reason") == 1
    assert (
        "\nTo go on with what is missing, apply the manifest again; what is done is not sent again.\nApplied: 1 "
        in text
    )
    assert "\n\n\n" not in text


def test_nothing_is_to_be_gone_on_with_where_trying_again_is_pointless():
    made = plan(add("a"), add("b"))
    outcomes = [
        Outcome(made.changes[0], "failed", "refused", "no", permanent=True),
        Outcome(made.changes[1], "verified"),
    ]
    assert "To go on" not in render_outcomes(made, outcomes)


def test_models_held_back_are_named_once_more_and_not_explained_again():
    names = tuple(f"m{n:02}" for n in range(25))
    why = tuple(Diagnostic("error", "plan/pin", f"{name}: why so", "", at(3), name) for name in names)
    text = render_outcomes(plan(add("x"), blocked=names, diagnostics=why), [])
    assert "! m00  blocked, as told above\n! m01  " in text
    assert "! m19  blocked, as told above\n! and 5 more blocked\n" in text
    assert "why so" not in text


def test_what_a_rule_has_against_many_models_is_told_of_the_first_few():
    found = [
        Diagnostic(
            "error", "manifest/outside-scope", f"d/m{n}.onnx: the name m{n} is outside", "widen it", at(5), f"m{n}"
        )
        for n in range(1500)
    ]
    text = render_diagnostics([*found, Diagnostic("error", "x/y", "Broken", "", at(5))])
    assert text.count("widen it") == 3
    assert "  and 1,497 more of the same place and code: m3, m4, m5, m6, m7, m8, m9, m10,\n    m11, m12, …\n" in text
    assert text.endswith("models.yaml:5:5: Broken [x/y]\n")
    apart = [replace(each, source=at(n)) for n, each in enumerate(found[:9])]
    assert render_diagnostics(apart).count("widen it") == 9


def test_the_order_in_which_outcomes_arrive_is_irrelevant():
    made = every_kind()
    outcomes = some_outcomes(made)
    assert render_outcomes(made, outcomes[::-1]) == render_outcomes(made, outcomes)


def test_a_plan_of_a_part_says_which_part():
    assert render_plan(partial(), width=70) == (
        "4 manifests → https://mm.example.com/api (domain acme)\n"
        "Only --target 'fraud_*' --target 'o'\"'\"'brien' --exclude '*_old'\n"
        "  --shard 1/4\n"
        "\n"
        "+ fraud_score  ONNX\n"
        "    content      2c26b46b68ff (12.3 kB)\n"
        "    file         onnx/fraud_score.onnx (models.yaml:3)\n"
        "\n"
        "1 orphan, inside the scope but in no manifest; kept:\n"
        "    fraud_gone\n"
        "\n"
        "Plan: 1 to add, 0 to change, 0 to delete; 0 unchanged;\n"
        "      12.3 kB to upload.\n"
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"unchanged": unchanged(12)}, "No changes. The server holds all 12 models as listed."),
        ({"unchanged": unchanged(1)}, "No changes. The server holds the one model as listed."),
        ({}, "No changes. No models are listed."),
        (
            {"unchanged": unchanged(3), "unknown": ("kept_00001",), "blocked": ("b", "c")},
            "No changes, but not all is well: 2 as listed, 2 blocked, 1 of unknown content.",
        ),
        (
            {"unchanged": unchanged(3), "diagnostics": (Diagnostic("error", "x/y", "Broken"),)},
            "No changes, but not all is well: 3 as listed.",
        ),
    ],
)
def test_nothing_to_do_claims_no_more_than_is_known(fields, sentence):
    assert render_plan(plan(**fields)).splitlines()[-1] == sentence
    assert render_outcomes(plan(**fields), []).splitlines()[-1] == sentence


def test_a_refused_plan_says_so_and_why():
    refusal = Diagnostic(
        "error", "guard/max-delete", "7 models would be deleted; at most 5 are allowed", "--max-delete 7"
    )
    text = render_plan(plan(delete("a"), refusals=(refusal,), diagnostics=(refusal,)))
    assert "error: 7 models would be deleted; at most 5 are allowed (--max-delete 7)\n" in text
    assert "\nRefused: as it stands, nothing of this plan can be applied.\nPlan: 0 to add" in text


def test_all_lists_the_unchanged_and_every_orphan():
    made = plan(unchanged=unchanged(2), orphans=tuple(f"orphan_{n:03}" for n in range(50)))
    assert "kept_00000" not in render_plan(made)
    assert "    orphan_019\n    and 30 more (--all lists them)\n" in render_plan(made)
    everything = render_plan(made, show_all=True)
    assert "= kept_00000  ONNX\n= kept_00001  ONNX\n" in everything
    assert "    orphan_049\n" in everything


def test_models_of_unknown_content_are_counted_when_there_are_many():
    names = tuple(f"unsure_{n:03}" for n in range(25))
    text = render_plan(plan(unknown=names))
    assert "? unsure_019  content on the server unknown" in text
    assert "? and 5 more unknown (--all lists them)" in text
    assert "? unsure_024  content on the server unknown" in render_plan(plan(unknown=names), show_all=True)


def test_unchanged_models_cost_nothing():
    class Uncounted(tuple):
        __slots__ = ()

        def __iter__(self):
            raise AssertionError("the unchanged models were gone through")

    made = plan(add("new"), unchanged=Uncounted(unchanged(10)))
    assert "; 10 unchanged;" in render_plan(made)


def test_diagnostics_stand_with_place_message_and_way_on():
    faults = [
        Diagnostic("error", "manifest/unknown-key", "unknown key 'engin'", "did you mean 'engine'?", at(3)),
        Diagnostic("warning", "manifest/x", "a warning", "", at(4, "my models/m.yaml")),
        Diagnostic("info", "manifest/y", "a note"),
        Diagnostic("error", "manifest/z", "no place"),
    ]
    assert render_diagnostics(faults) == (
        "models.yaml:3:5: unknown key 'engin' (did you mean 'engine'?)\n"
        "  [manifest/unknown-key]\n"
        "my models/m.yaml:4:5: warning: a warning [manifest/x]\n"
        "note: a note [manifest/y]\n"
        "error: no place [manifest/z]\n"
    )
    assert render_diagnostics([]) == ""


def test_a_name_with_spaces_is_not_broken_in_a_message():
    fault = Diagnostic(
        "error", "x/y", "the model MY VERY FIRST MODEL OF ALL cannot be read", "", None, "MY VERY FIRST MODEL OF ALL"
    )
    for width in range(30, 60):
        assert "MY VERY FIRST MODEL OF ALL" in render_diagnostics([fault], width=width)


def test_descriptions_that_look_alike_are_told_apart():
    made = plan(
        changed("m", ("description",), before={"description": "cafe\u0301"}, after={"description": "caf\u00e9"})
    )
    assert r'"cafe\u0301" → "caf\xe9"' in render_plan(made)
    made = plan(changed("m", ("description",), before={"description": "a b"}, after={"description": "a\nb"}))
    assert r'"a b" → "a\nb"' in render_plan(made)


def test_sizes_that_round_alike_are_given_to_the_byte():
    made = plan(changed("m", ("content",), before={"sha256": None, "size": 240_405}))
    assert "240,405 B → 2c26b46b68ff (240,406 B)" in render_plan(made)


def _plans(names, texts) -> Plan:
    name, other, third = names
    text, second = texts
    return plan(
        add(name, description=text, file=f"d/{third}.onnx"),
        changed(
            other,
            ("engine", "content", "description"),
            before={"description": text, "engine": second[:40]},
            after={"description": second},
        ),
        changed(third, ("description",), before={"description": second}, after={"description": text}),
        delete(name),
        orphans=(other, third),
        blocked=(third,),
        unknown=(other,),
        diagnostics=(Diagnostic("error", "x/y", text, second, at(1, f"{name}.yaml"), third),),
    )


@given(names=st.tuples(_hostile, _hostile, _hostile), texts=st.tuples(_hostile, _hostile), width=st.integers(20, 200))
@settings(max_examples=150, deadline=None)
def test_foreign_text_neither_escapes_nor_widens(names, texts, width):
    made = _plans(names, texts)
    outcomes = [Outcome(change, "failed", "server", texts[0]) for change in made.changes]
    words = [word for text in texts for word in f'({printable(text, 10_000)})"'.split(" ")]
    longest = max(columns(printable(atom, 10_000)) for atom in (*names, *words, "https://mm.example.com/api"))
    for text in (render_plan(made, width=width), render_outcomes(made, outcomes, width=width)):
        text.encode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800-\udfff]", text)
        for line in text.splitlines():
            # Wider than the terminal only as far as the longest thing that must not be broken makes it.
            assert columns(line) <= max(width, longest + 22), line


@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=90), width=st.integers(20, 200))
@settings(max_examples=100, deadline=None)
def test_names_and_paths_are_whole_on_one_line(name, width):
    made = plan(add(name, file=f"dir/{name}"), orphans=(f"o{name}o",))
    lines = render_plan(made, width=width).splitlines()
    shown = printable(name).rstrip()
    assert any(shown in line for line in lines if line.startswith("+ "))
    assert any(f"dir/{shown}" in line for line in lines)
    assert any(f"o{shown}" in line for line in lines)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_ordinary_lines_keep_to_the_width(width):
    made = every_kind()
    for text in (
        render_plan(made, digest=DIGEST, width=width),
        render_outcomes(made, some_outcomes(made), width=width),
    ):
        for line in text.splitlines():
            copied = any(piece in line for piece in ("x" * 60, OLD, NEW, DIGEST))
            assert columns(line) <= width or copied, line


def test_wide_and_combining_characters_are_counted_as_terminals_do():
    assert columns("abc") == 3
    assert columns("カード") == 6
    assert columns("cafe\u0301") == 4
    assert columns("\x1b[31mカ\x1b[0m") == 2
    assert columns("각") == columns(unicodedata.normalize("NFD", "각")) == 2
