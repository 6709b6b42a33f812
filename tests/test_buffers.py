"""dagnet.layers.buffers: memory is handed out again once nobody refers to it, never before, and idle memory stays bounded."""

import ctypes
import gc
import itertools
import pickle
import threading

import numpy as np
import pytest
from dagnet.tools.benchmark import networks

from dagnet.layers import array, buffers, settings
from dagnet.models import lesion_fcn

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
        lambda a: np.frombuffer(a, np.uint8)[5:],
        lambda a: np.from_dlpack(a)[3:],
        lambda a: a.view(np.rec.recarray)[1:],
        lambda a: a.ctypes.data_as(ctypes.c_void_p),
        lambda a: pickle.PickleBuffer(a),
        lambda a: [a],
    ],
    ids=[
        *(
            "slice",
            "transposed",
            "other dtype",
            "memoryview",
            "as_strided",
            "frombuffer",
            "DLPack",
            "subclass",
            "ctypes",
        ),
        *("PickleBuffer", "list"),
    ],
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


def test_what_a_smaller_array_leaves_of_idle_memory_serves_others_and_is_one_again(pool):
    large = pool.empty((8 * MB,), np.uint8)
    where = place(large)
    del large
    parts = [pool.empty((2 * MB,), np.uint8) for _ in range(4)]
    assert [place(part) - where for part in parts] == [0, 2 * MB, 4 * MB, 6 * MB]
    for i in (2, 0, 3, 1):  # each joins what is free beside it
        parts[i] = None
    assert place(pool.empty((8 * MB,), np.uint8)) == where


def test_the_smallest_that_is_large_enough_is_taken(pool):
    sizes = [4 * MB, MB, 2 * MB]
    arrays = [pool.empty((size,), np.uint8) for size in sizes]
    where = [place(a) for a in arrays]
    arrays.clear()
    assert place(pool.empty((2 * MB - 5000,), np.uint8)) == where[2]


def test_arrays_begin_at_cache_lines_and_do_not_overlap(pool):
    rng = np.random.default_rng(0)
    held = [pool.empty((int(rng.integers(MB // 8, MB)),), np.uint8) for _ in range(40)]
    for i in rng.permutation(40)[:25]:
        held[i] = None
    held = [a for a in held if a is not None] + [
        pool.empty((int(rng.integers(MB // 8, MB)),), np.uint8) for _ in range(40)
    ]
    assert all(place(a) % buffers.LINE == 0 for a in held)
    ends = sorted((place(a), place(a) + a.nbytes) for a in held)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))


def test_steps_that_repeat_take_hardly_any_new_memory_and_hold_little_more_than_they_use(pool, monkeypatch):
    rng, taken, most = np.random.default_rng(1), [], 0
    step = [
        (int(rng.integers(1, 200)) * MB // 64, int(rng.integers(0, 12))) for _ in range(150)
    ]  # size, how long it lives
    new = pool._new
    monkeypatch.setattr(pool, "_new", lambda size: taken.append(size) or new(size))
    for i in range(10):
        held = {}
        taken.clear()
        for now, (size, life) in enumerate(step):
            held = {key: a for key, a in held.items() if key[0] > now}
            held[now + life, now] = pool.empty((size,), np.uint8)
            most = max(most, sum(a.nbytes for a in held.values()))
            assert i < 5 or sum(taken) < 0.01 * sum(size for size, _ in step)
    assert pool._held < 1.3 * most


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
        assert in_use + pool.idle() <= 1.3 * most + MB  # what lies between arrays in use cannot be given back


def test_release_gives_back_what_is_idle_and_no_more(pool):
    kept, gone = pool.empty((MB,), np.uint8), pool.empty((2 * MB,), np.uint8)
    kept[:] = 5
    del gone
    assert pool.idle() == 2 * MB
    pool.release()
    assert pool.idle() == 0 and (kept == 5).all()
    del kept
    assert pool.idle() == MB


def test_after_release_what_was_in_use_at_once_counts_anew(pool):
    large = pool.empty((8 * MB,), np.uint8)
    del large
    pool.release()
    for size in (MB, 2 * MB):  # each of its own, and let go at once
        assert pool.empty((size,), np.uint8).nbytes == size
    assert pool.idle() == 2 * MB


def test_of_idle_memory_the_one_used_last_is_kept(pool):
    arrays = [pool.empty((2 * MB,), np.uint8) for _ in range(3)]
    first = place(arrays[0])
    arrays.clear()
    assert place(pool.empty((2 * MB,), np.uint8)) == first
    larger = pool.empty((3 * MB,), np.uint8)  # has room in place of two of the three
    assert pool.idle() == 2 * MB and larger.nbytes == 3 * MB
    assert place(pool.empty((2 * MB,), np.uint8)) == first


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


@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])
def test_a_training_step_needs_no_memory_that_the_steps_before_it_had_not(monkeypatch, fast):
    if fast:
        pytest.importorskip("numba")
    fresh, chunk = [], buffers._Chunk
    net = lesion_fcn.lesion_fcn(None, width=0.25, fc_width=256)
    step = networks.training_steps(net, networks.batch((64, 64, 3, 4)))["step"]
    with settings.using(threads=1, fast=fast):  # one thread: several finish in another order each time
        for _ in range(5):
            step()
        monkeypatch.setattr(buffers, "_Chunk", lambda size: fresh.append(size) or chunk(size))
        for _ in range(3):
            step()
        assert fresh == []
        buffers.release()
        step()
        assert fresh  # else nothing was counted
