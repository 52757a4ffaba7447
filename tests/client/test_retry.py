"""How long is waited, how often it is tried, and when it is given up."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from mmsync.client import RetryPolicy
from mmsync.client.error import ModelManagerError, TransportError
from support.clients import Clock, client_of
from support.wire import answer


def failing(clock, *errors, takes=0.0):
    left = list(errors)

    def attempt():
        clock.time += takes
        if left:
            raise left.pop(0)
        return "done"

    return attempt, left


def busy(**settings):
    return ModelManagerError(msg="busy", status=503, **settings)


def test_waits_double_up_to_a_limit_and_are_jittered_down_to_a_half():
    full, half = Clock().policy(attempts=9), RetryPolicy(random=lambda: 0.0)
    assert [full.wait_before(attempt) for attempt in range(2, 9)] == [0.25, 0.5, 1, 2, 4, 8, 8]
    assert [half.wait_before(attempt) for attempt in range(2, 5)] == [0.125, 0.25, 0.5]


def test_it_is_tried_so_often_and_no_more():
    clock = Clock()
    attempt, left = failing(clock, *[busy() for _ in range(9)])
    with pytest.raises(ModelManagerError, match="busy"):
        clock.policy(attempts=4).run(attempt)
    assert len(left) == 5
    assert clock.slept == [0.25, 0.5, 1.0]


def test_the_deadline_counts_from_the_first_failure():
    clock = Clock()
    attempt, left = failing(clock, *[busy() for _ in range(9)], takes=40)
    with pytest.raises(ModelManagerError):
        clock.policy(deadline=60).run(attempt)
    assert len(left) == 6  # failed at 0, 40 and 80


def test_what_asks_for_more_than_the_deadline_is_given_up_at_once():
    clock = Clock()
    attempt, _ = failing(clock, busy(retry_after=20.0))
    with pytest.raises(ModelManagerError):
        clock.policy(deadline=10).run(attempt)
    assert clock.slept == []


def test_a_server_that_cannot_be_reached_is_given_up_soon():
    clock = Clock()
    attempt, left = failing(clock, *[TransportError("down", sent=False, connected=False) for _ in range(9)])
    with pytest.raises(TransportError):
        clock.policy().run(attempt)
    assert len(left) == 6
    clock = Clock()
    attempt, left = failing(clock, *[TransportError("down", sent=False, connected=False) for _ in range(9)], takes=30)
    with pytest.raises(TransportError):
        clock.policy().run(attempt)
    assert len(left) == 8


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), ("1.5", None), ("-3", None), ("soon", None), (None, None), ("", None), ("9" * 400, 999999999.0),
     (format_datetime(datetime.fromtimestamp(1_000_012, UTC), usegmt=True), 12.0), (format_datetime(datetime.fromtimestamp(999_000, UTC), usegmt=True), 0.0)],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_a_date(header, seconds):
    assert Clock().policy().retry_after(header) == seconds


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("2", 2.0),
        ("99999", 30.0),
        (format_datetime(datetime.fromtimestamp(1_000_009, UTC), usegmt=True), 9.0),
        ("junk", 0.25),
    ],
)
def test_a_server_is_given_the_time_it_asks_for_up_to_a_limit(wire, header, waited):
    clock = Clock()
    replies = iter([answer(429, headers={"Retry-After": header}), answer(200, [])])
    assert client_of(wire(lambda _: next(replies)).url, retry=clock.policy()).get_models() == []
    assert clock.slept == [waited]


def test_an_interrupt_ends_the_wait(wire):
    def interrupted(_seconds):
        raise KeyboardInterrupt

    server = wire(lambda _: answer(503))
    with pytest.raises(KeyboardInterrupt):
        client_of(server.url, retry=RetryPolicy(sleep=interrupted)).get_models()
    assert len(server.requests) == 1
