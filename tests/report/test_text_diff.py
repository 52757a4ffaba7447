"""What two texts have in common: all of both is there, in order, and the cost is bounded."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from mmsync.report.text_diff import STEPS, compare

_words = st.lists(st.sampled_from(["a", "b", "c", " ", "\n", ".", "漢", "字", "12"]), max_size=14).map("".join)


def sides(old, new, **more):
    stretches = compare(old, new, **more).stretches
    shown = [(one.old, one.new) if one.is_common else (f"[{one.old}]", f"[{one.new}]") for one in stretches]
    return "".join(one for one, _ in shown), "".join(other for _, other in shown)


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("trained on 2023", "trained on 2024", ("trained on [2023]", "trained on [2024]")),
        ("on 2023, by risk", "on 2023 and 2024, by risk", ("on 2023[], by risk", "on 2023[ and 2024], by risk")),
        ("one two three", "four five six", ("[one two three]", "[four five six]")),
        ("a x b y c", "a b c", ("a [x ]b[ y] c", "a []b[] c")),
        ("カード不正スコア", "カード得点スコア", ("カード[不正]スコア", "カード[得点]スコア")),
        ("cafe au lait", "café au lait", ("[cafe] au lait", "[café] au lait")),
        ("same", "same", ("same", "same")),
        ("", "new", ("[]", "[new]")),
        ("end ", "end", ("end[ ]", "end[]")),
    ],
)
def test_differences_are_marked_by_words(old, new, shown):
    assert sides(old, new) == shown


@given(old=_words, new=_words)
@settings(max_examples=300, deadline=None)
def test_both_texts_are_whole_and_what_is_common_is_the_same_on_both_sides(old, new):
    stretches = compare(old, new).stretches
    assert "".join(one.old for one in stretches) == old
    assert "".join(one.new for one in stretches) == new
    assert all(one.is_common != following.is_common for one, following in pairwise(stretches))
    if old == new:
        assert all(one.is_common for one in stretches)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ab " * 3333, "ba " * 3333),
        ("!?" * 5000, "?!!" * 3333),
        ("漢字" * 5000, "字漢" * 5000),
        (" " * 10_000, "\n" * 10_000),
        (
            "".join(chr(97 + n * n % 23) + " " * (n % 2) for n in range(10_000)),
            "".join(chr(97 + n % 19) + " " for n in range(5000)),
        ),
        ("x" * 10_000, "y" * 10_000),
    ],
)
def test_hostile_texts_cost_no_more_than_others(old, new):
    started = time.process_time()
    found = compare(old, new)
    assert time.process_time() - started < 2
    assert found.steps < STEPS + 40_000
    assert "".join(one.new for one in found.stretches) == new


def test_without_steps_to_spend_what_is_between_the_ends_differs_as_a_whole():
    assert sides("a x b y c", "a z b w c", steps=0) == ("a [x b y] c", "a [z b w] c")
