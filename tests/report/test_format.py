from __future__ import annotations

import doctest
import sys

import pytest
from hypothesis import given, strategies as st

from mmsync.quantities import human_bytes, human_seconds


def test_the_examples_hold():
    assert doctest.testmod(sys.modules[human_bytes.__module__]).failed == 0
    assert doctest.testmod(sys.modules[human_bytes.__module__]).attempted == 3


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (10**21, "1,000,000 PB"),
    ],
)
def test_bytes(size, shown):
    assert human_bytes(size) == shown


@given(st.integers(0, 10**18))
def test_bytes_are_within_five_percent(size):
    number, unit = human_bytes(size).split(" ")
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}[unit]
    assert float(number.replace(",", "")) * factor == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_seconds(seconds, shown):
    assert human_seconds(seconds) == shown
