"""Several at a time, and one after another where no thread starts."""

import threading

import pytest

from mmsync.parallel import parallel_map


def test_without_threads_all_is_done_in_the_callers(no_threads):
    here = threading.current_thread()
    done = dict(parallel_map(lambda item: (item * 2, threading.current_thread() is here), range(5), jobs=3))
    assert done == {item: (item * 2, True) for item in range(5)}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_without_threads_an_error_or_interrupt_ends_it_at_once(no_threads, error):
    begun = []

    def work(item):
        begun.append(item)
        if item == 1:
            raise error
        return item

    stop = threading.Event()
    with pytest.raises(error):
        list(parallel_map(work, range(6), jobs=3, stop=stop))
    assert begun == [0, 1]
    assert stop.is_set()
