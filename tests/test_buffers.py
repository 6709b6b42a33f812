"""dagnet.layers.buffers: memory is handed out again once nobody refers to it, never before, and idle memory stays bounded."""

import gc
import threading

import numpy as np
import pytest

from dagnet.layers import array, buffers

MB = 1 << 20


@pytest.fixture
def pool():
    return buffers.Pool()


def place(a):
    return a.__array_interface__["data"][0]


def test_memory_that_nobody_refers_to_is_used_again(pool):
    first = pool.empty((MB,), np.uint8)
    where = place(first)
    del first
    again = pool.empty((512, 512), np.float32)
    assert place(again) == where and again.flags.c_contiguous and again.shape == (512, 512)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[1:],
        lambda a: a.reshape(4, -1).T[2:],
        lambda a: a.view(np.int32)[::2],
        lambda a: memoryview(a),
        lambda a: np.lib.stride_tricks.as_strided(a, (3,), (4,)),
        lambda a: [a],
    ],
    ids=["slice", "transposed", "other dtype", "memoryview", "as_strided", "list"],
)
def test_memory_is_not_used_again_while_a_view_of_it_lives(pool, view):
    first = pool.empty((MB // 4,), np.float32)
    first[:] = 7
    kept = view(first)
    where = place(first)
    del first
    assert place(pool.empty((MB // 4,), np.float32)) != where
    del kept
    gc.collect()
    assert place(pool.empty((MB // 4,), np.float32)) == where


def test_small_arrays_are_left_to_numpy(pool):
    pool.empty((100,), np.float32)
    assert pool.idle() == 0


def test_a_much_larger_buffer_is_not_spent_on_a_small_array(pool):
    large = pool.empty((8 * MB,), np.uint8)
    where = place(large)
    del large
    assert place(pool.empty((MB,), np.uint8)) != where


def test_idle_memory_never_adds_to_the_most_that_was_in_use(pool):
    in_use = most = 0
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        if held and rng.random() < 0.5:
            in_use -= held.pop(rng.integers(len(held))).nbytes
        else:
            held.append(pool.empty((int(rng.integers(1, 40)) * MB // 8,), np.uint8))
            in_use += held[-1].nbytes
        most = max(most, in_use)
        assert in_use + pool.idle() <= buffers.WASTE * most + 40 * MB // 8


def test_release_gives_back_what_is_idle_and_no_more(pool):
    kept, gone = pool.empty((MB,), np.uint8), pool.empty((2 * MB,), np.uint8)
    kept[:] = 5
    del gone
    assert pool.idle() == 2 * MB
    pool.release()
    assert pool.idle() == 0 and (kept == 5).all()
    del kept
    assert pool.idle() == MB


def test_threads_never_get_the_same_memory(pool):
    wrong = []

    def work(number):
        for _ in range(200):
            mine = pool.empty((MB // 4,), np.uint8)
            mine[:] = number
            if (mine != number).any():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_an_array_like_another_has_its_order(xp, rng):
    x = xp.asarray(rng.standard_normal((2, 3, 4, 5)).astype(np.float32))
    for axes in [(0, 1, 2, 3), (3, 0, 1, 2), (1, 2, 3, 0)]:
        turned = x.transpose(axes)
        twin = array.empty_like(turned)
        assert twin.shape == turned.shape and twin.strides == turned.strides and twin.dtype == turned.dtype
