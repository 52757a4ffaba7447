"""When things are tried again."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from mmsync.watch.retry import Backoff, Retries, Timer


def test_delays_double_from_five_seconds_to_three_minutes():
    assert [Backoff().delay(n) for n in range(1, 9)] == [5, 10, 20, 40, 80, 160, 180, 180]
    assert Backoff().delay(10**6) == 180


@settings(database=None)  # nothing is left behind
@given(st.floats(0, 1, exclude_max=True), st.floats(0.1, 10_000))
def test_the_timer_is_jittered_by_a_tenth(chance, interval):
    timer = Timer(interval, lambda: chance)
    timer.start(100.0)
    assert 100 + interval * 0.9 <= timer.due_at <= 100 + interval * 1.1


def test_a_failure_waits_longer_each_time_and_success_forgets_it():
    retries = Retries()
    assert retries.may_try("m", "wish", 0.0)
    assert retries.failed("m", "wish", 0.0) == 5
    assert not retries.may_try("m", "wish", 4.9)
    assert retries.may_try("m", "wish", 5.0)
    assert retries.failed("m", "wish", 5.0) == 10
    assert retries.next_due() == 15
    retries.succeeded("m")
    assert retries.next_due() is None
    assert retries.failed("m", "wish", 20.0) == 5


def test_another_wish_is_tried_at_once():
    retries = Retries()
    retries.failed("m", "old", 0.0)
    assert retries.may_try("m", "new", 0.1)
    assert retries.failed("m", "new", 0.1) == 5


def test_a_permanent_failure_waits_for_another_wish_only():
    retries = Retries()
    retries.failed("m", "wish", 0.0, permanent=True)
    assert not retries.may_try("m", "wish", 1e9)
    assert retries.failed_for_good("m", "wish")
    assert not retries.failed_for_good("m", "other")
    assert retries.next_due() is None
    retries.hurry()
    assert not retries.may_try("m", "wish", 1e9)
    assert retries.may_try("m", "other", 0.0)


def test_hurrying_makes_everything_that_waits_for_time_due():
    retries = Retries()
    retries.failed("m", "wish", 0.0)
    retries.hurry()
    assert retries.may_try("m", "wish", 0.1)
    assert retries.failed("m", "wish", 0.1) == 10


def test_only_what_is_kept_is_remembered():
    retries = Retries()
    retries.failed("a", 1, 0.0)
    retries.failed("b", 1, 1.0)
    retries.keep({"b"})
    assert retries.next_due() == 6.0
