"""When files count as at rest: by examples, and for any history at all."""

from __future__ import annotations

import os

from hypothesis import given, settings, strategies as st

from mmsync.ledger import Ledger
from mmsync.types import Desired, FileKey, Source
from mmsync.watch.reconciler import ForcedRead, read_settled
from mmsync.watch.settle import MISSING, Settler

SETTLE = 2.0


def key(n):
    return FileKey(1, n, 10, n, n)


def test_two_looks_a_settle_time_apart_make_rest():
    settling = Settler(SETTLE)
    assert not settling.update(0.0, {"a": key(1)})
    assert settling.next_due() == SETTLE
    assert not settling.update(1.9, {"a": key(1)})
    assert settling.settled_state("a") is None
    assert settling.update(2.0, {"a": key(1)})
    assert settling.settled_state("a") == key(1)
    assert settling.next_due() is None


def test_a_change_begins_the_time_anew_and_a_restless_file_delays_no_other():
    settling = Settler(SETTLE)
    settling.update(0.0, {"a": key(1), "b": key(1)})
    settling.update(1.0, {"a": key(2), "b": key(1)})
    assert settling.update(2.0, {"a": key(3), "b": key(1)})
    assert settling.settled_state("b") == key(1)
    assert settling.unsettled() == {"a"}
    assert settling.next_due() == 4.0


def test_absence_comes_to_rest_as_well():
    settling = Settler(SETTLE)
    settling.update(0.0, {"a": key(1)})
    settling.update(2.0, {"a": key(1)})
    settling.update(3.0, {"a": MISSING})
    assert settling.settled_state("a") is None
    settling.update(3.5, {"a": key(2)})
    settling.update(5.5, {"a": key(2)})
    assert settling.settled_state("a") == key(2)


def test_what_is_no_longer_looked_at_is_forgotten():
    settling = Settler(SETTLE)
    settling.update(0.0, {"a": key(1), "b": key(1)})
    assert settling.update(1.0, {"b": key(1)})
    assert settling.unsettled() == {"b"}
    assert not settling.update(1.5, {"c": key(1)}, whole=False)
    assert settling.unsettled() == {"b", "c"}


def test_a_file_restless_for_long_is_overdue():
    settling = Settler(SETTLE, force=60.0)
    settling.update(0.0, {"a": key(0)})
    settling.update(2.0, {"a": key(0)})
    for n in range(1, 61):
        settling.update(2.0 + n, {"a": key(n)})
        assert settling.overdue(2.0 + n) == set()
    settling.update(63.0, {"a": key(61)})
    assert settling.overdue(63.0) == {"a"}


# A history: at rising times each path is one of a few things. What was seen is what the code is told.
histories = st.lists(
    st.tuples(
        st.floats(0.01, 3.0),
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 2).map(lambda n: key(n) if n else MISSING)),
        st.booleans(),
    ),
    max_size=40,
)


@settings(database=None)  # nothing is left behind
@given(histories)
def test_at_rest_means_seen_twice_a_settle_time_apart_with_nothing_else_in_between(history):
    settling = Settler(SETTLE)
    now, looks = 0.0, []
    for pause, seen, whole in history:
        now += pause
        settling.update(now, seen, whole=whole)
        if whole:
            looks = [(at, {path: state for path, state in what.items() if path in seen}) for at, what in looks]
        looks.append((now, seen))
        for path in "abc":
            of_path = [(at, what[path]) for at, what in looks if path in what]
            state = settling.settled_state(path)
            run = [at for at, found in of_path if found == state]
            if state is not None:
                last = of_path[-1]
                assert last[1] == state
                changes = [at for at, found in of_path if found != state]
                steady = [at for at in run if not changes or at > changes[-1]]
                assert steady[-1] >= steady[0] + SETTLE
            elif of_path:
                changes = [at for at, found in of_path if found != of_path[-1][1]]
                steady = [at for at, _ in of_path if not changes or at > changes[-1]]
                assert steady[-1] < steady[0] + SETTLE
                assert settling.next_due() <= steady[0] + SETTLE


def test_a_file_that_never_settles_is_read_only_where_it_may_be(tmp_path):
    """An overdue file is read to compare its bytes; one that a link puts outside is not read for that either."""
    (tmp_path / "in").mkdir()
    outside, inside = tmp_path / "secret", tmp_path / "in" / "b"
    for file in (outside, inside):
        file.write_bytes(b"x")
    (tmp_path / "in" / "a").symlink_to(outside)
    models = [
        Desired(
            name, "MLSTATS", name, str(tmp_path / "in" / name), None, None, False, Source(str(tmp_path / "m.yaml"), 1)
        )
        for name in "ab"
    ]
    settler = Settler(SETTLE, force=10.0)
    for now in range(12):
        settler.update(float(now), {desired.path: key(now) for desired in models})
    asked = []

    class Recording(ForcedRead):
        def content(self, path, found, now):
            asked.append(path)
            return super().content(path, found, now)

    read = read_settled(
        models,
        settler,
        Recording(SETTLE, 10.0),
        Ledger(None, warn=print, now=0),
        lambda _manifest: (os.path.realpath(tmp_path / "in"),),
        now=11.0,
        now_ns=0,
        on_progress=lambda *_: None,
    )
    assert asked == [str(inside)]
    assert read.waiting == {"a", "b"}
