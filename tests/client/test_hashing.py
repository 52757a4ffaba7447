"""A digest made by a second thread is that of the very bytes, and the thread is gone afterwards."""

from __future__ import annotations

import hashlib
import threading

import pytest
from hypothesis import given, settings, strategies as st

from mmsync.client._hashing import _MAX_WAITING, _WORTH_A_THREAD, Sha256

ENOUGH = bytes(_WORTH_A_THREAD)


def hashing_threads():
    return [thread for thread in threading.enumerate() if thread.name == "mmsync-sha256"]


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.binary(max_size=100) | st.just(ENOUGH) | st.just(ENOUGH[:-1]), max_size=12))
def test_the_digest_is_that_of_the_pieces_in_their_order(pieces):
    with Sha256() as digest:
        for piece in pieces:
            digest.update(piece)
        assert bool(hashing_threads()) == (sum(map(len, pieces)) >= len(ENOUGH))
        assert digest.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()
        assert not hashing_threads()


def test_without_a_thread_to_be_had_the_caller_hashes(no_threads):
    with Sha256() as digest:
        for piece in (ENOUGH, b"more", ENOUGH, b"end"):
            digest.update(piece)
        assert digest.hexdigest() == hashlib.sha256(ENOUGH + b"more" + ENOUGH + b"end").hexdigest()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, GeneratorExit])
def test_no_thread_is_left_behind_by_an_error(error):
    def transfer():
        with Sha256() as digest:
            digest.update(ENOUGH)
            digest.update(b"more")
            assert hashing_threads()
            raise error

    with pytest.raises(error):
        transfer()
    assert not hashing_threads()


def test_a_piece_that_could_not_be_hashed_leaves_no_digest():
    with Sha256() as digest:
        digest.update(ENOUGH)
        for piece in ("text", *[b"more"] * 10):
            digest.update(piece)
        with pytest.raises(TypeError):
            digest.hexdigest()


def test_what_comes_faster_than_it_is_hashed_waits():
    permits, hashed, ahead = threading.Semaphore(0), [], []

    class Slow:
        def update(self, data):
            permits.acquire()
            hashed.append(data)

    with Sha256() as digest:
        digest.update(ENOUGH)
        digest._digest = Slow()

        def feed():
            for number in range(20):
                digest.update(b"%d" % number)
                ahead.append(number + 1 - len(hashed))

        feeder = threading.Thread(target=feed)
        feeder.start()
        while feeder.is_alive():
            permits.release()
            feeder.join(0.01)
        permits.release(20)
    assert len(hashed) == 20
    assert max(ahead) <= _MAX_WAITING
