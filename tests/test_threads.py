"""dagnet.layers.threads: work is shared, what goes wrong in a thread is heard of, BLAS is held and given back."""

import os
import sys
import threading
import time

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dagnet.layers import buffers, settings, threads


@pytest.fixture(params=[1, 3])
def workers(request):
    with settings.using(threads=request.param):
        yield request.param


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_results_come_in_the_parts_order(workers):
    assert threads.run(lambda a: a, [(i,) for i in range(50)]) == list(range(50))
    assert threads.run(lambda a: a, []) == []


def test_two_threads_work_at_the_same_time():
    both = threading.Barrier(2, timeout=20)  # passes only where two stand at it together
    with settings.using(threads=2):
        assert len(threads.run(lambda a: both.wait(), [(0,), (1,)])) == 2


def test_one_thread_is_the_callers_own():
    with settings.using(threads=1):
        assert set(threads.run(lambda a: threading.get_ident(), [(0,), (1,)])) == {threading.get_ident()}


def test_an_error_in_a_part_is_raised(workers):
    def work(a):
        if a == 20:
            raise ValueError("part 20")

    with pytest.raises(ValueError, match="part 20"):
        threads.run(work, [(i,) for i in range(50)])


def test_after_an_error_no_thread_works_on_or_begins_another_part():
    caller, both, begun, ended = threading.get_ident(), threading.Barrier(2, timeout=20), [], []

    def work(a):
        begun.append(a)
        both.wait()  # only the first two come
        if threading.get_ident() == caller:
            raise ValueError("the caller's part")
        time.sleep(0.05)  # goes on when the caller's has failed
        ended.append(a)

    with settings.using(threads=2), pytest.raises(ValueError, match="the caller's part"):
        threads.run(work, [(i,) for i in range(10)])
    assert len(begun) == 2 and len(ended) == 1


def test_slices_cover_all_in_order_and_none_is_empty():
    assert threads.slices(10, 3) == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert threads.slices(20, 3, multiple=8) == [slice(0, 8), slice(8, 16), slice(16, 20)]
    assert threads.slices(2, 5) == [slice(0, 1), slice(1, 2)]
    assert threads.slices(0, 3) == threads.slices(0, 0) == []


def test_work_may_share_work_again(workers):
    def outer(a):
        return sum(threads.run(lambda b: a * b, [(i,) for i in range(10)]))

    assert threads.run(outer, [(i,) for i in range(10)]) == [45 * i for i in range(10)]


def test_blas_is_held_to_one_thread_and_given_back(workers):
    with threadpool_limits(2, user_api="blas"):
        assert threads.run(lambda a: blas_threads(), [(0,), (1,)]) == [[1] * len(blas_threads())] * 2
        with threads.blas_alone():
            threads.run(lambda a: None, [(0,), (1,)])
            assert set(blas_threads()) == {1}  # the inner one does not give back what the outer one holds
        assert set(blas_threads()) == {2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_has_threads_of_its_own():
    with settings.using(threads=2):
        threads.run(lambda a: None, [(0,), (1,)])
        if not (child := os.fork()):
            both = threading.Barrier(2, timeout=10)
            try:
                threads.run(lambda a: both.wait(), [(0,), (1,)])
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, sys.platform


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("lock", [threads._blas.lock, buffers._pool.lock], ids=["threads", "buffers"])
def test_a_forked_process_waits_for_no_thread_that_it_does_not_have(lock):
    inside = threading.Event()

    def hold():
        with lock:
            inside.set()
            time.sleep(0.2)

    other = threading.Thread(target=hold)
    other.start()
    inside.wait(20)
    if not (child := os.fork()):
        os._exit(not lock.acquire(timeout=10))
    other.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
