"""Copies to the GPU beside its computing, and what is said of its memory; on a fake of CuPy, held to the real one's names."""

import importlib
import inspect
import re

import numpy as np
import pytest

from dagnet.layers import array, device
from tests import fakecupy, little


@pytest.fixture
def cupy(monkeypatch):
    return fakecupy.installed(monkeypatch)


def batches(rng, count, n=2):
    """Batches in our memory order, in Fortran's, with gaps, and of other types."""
    for _ in range(count):
        x = rng.standard_normal((n, 5, 4, 3)).astype(np.float32).transpose(1, 2, 3, 0)
        yield {
            "input": x,
            "label": np.asfortranarray(x[:, ::2, :1] > 0).astype(np.uint8),
            "weight": x[0, 0, 0, ::-1],
            "one": 3.0,
        }


def compute_all(feed, made):
    """What a step on each batch would read, where the GPU does what it is given as late as it may."""
    seen = []

    def step(arrays):
        fakecupy.Stream.now += 1
        seen.append({name: np.array(x) for name, x in arrays.items()})

    for arrays in feed.through(made):
        fakecupy.Stream.current.launch(lambda arrays=arrays: step(arrays))
    fakecupy.Stream.current.synchronize()
    return seen


@pytest.mark.parametrize("eager", [False, True], ids=["late copies", "early copies"])
def test_every_step_reads_its_own_batch_however_late_the_gpu_is(cupy, rng, eager):
    fakecupy.Stream.eager = eager
    made = list(batches(rng, 9))
    seen = compute_all(device.Feed(), iter(made))
    assert len(seen) == 9
    for theirs, ours in zip(seen, made, strict=True):
        assert theirs.keys() == ours.keys()
        assert all(
            np.array_equal(theirs[name], x) and theirs[name].dtype == np.asarray(x).dtype for name, x in ours.items()
        )


def test_the_memory_order_stays(cupy, rng):
    for arrays, ours in zip(device.Feed().through(list(batches(rng, 3))), batches(rng, 3), strict=True):
        assert arrays["input"].transpose(3, 0, 1, 2).flags.c_contiguous and arrays["label"].flags.f_contiguous
        assert all(x.shape == np.shape(ours[name]) and isinstance(x, cupy.ndarray) for name, x in arrays.items())


def test_memory_is_used_again_and_grows_with_a_larger_batch(cupy, rng):
    feed = device.Feed()
    made = [*batches(rng, 4), *batches(rng, 4, n=7), *batches(rng, 4)]
    seen = compute_all(feed, made)
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(seen, made, strict=True) for name in b)
    assert len(feed._slots) == device.SLOTS
    first = [slot.there for slot in feed._slots]
    compute_all(feed, batches(rng, 4))
    assert all(slot.there is there for slot, there in zip(feed._slots, first, strict=True))


def test_pinned_memory_is_let_go_only_when_it_has_been_copied(cupy, rng):
    given = []

    def alloc(size):
        if len(given) >= device.SLOTS:  # the pool may hand out what a slot held before, and others write to it
            given[-device.SLOTS][:] = bytes(len(given[-device.SLOTS]))
        given.append(bytearray(size))
        return given[-1]

    cupy.cuda.alloc_pinned_memory = alloc
    made = [*batches(rng, 4), *batches(rng, 4, n=7)]
    seen = compute_all(device.Feed(), made)
    assert len(given) == 2 * device.SLOTS
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(seen, made, strict=True) for name in b)


def test_the_host_waits_for_pinned_memory_alone_and_the_copies_have_a_stream_of_their_own(cupy, rng):
    feed = device.Feed()
    assert feed._stream.non_blocking and feed._stream is not fakecupy.Stream.current
    compute_all(feed, batches(rng, 5))
    assert fakecupy.Event.synchronised == 5  # once a batch, for a copy of two batches before


def test_what_is_on_the_gpu_already_is_handed_on(cupy, rng):
    there = cupy.empty((2, 3), np.float32)
    (arrays,) = device.Feed().through([{"input": np.zeros(3), "there": there}])
    assert arrays["there"] is there


def test_a_batch_without_images_passes(cupy):
    (arrays,) = device.Feed().through([{"input": np.zeros((4, 4, 3, 0), np.float32)}])
    assert arrays["input"].shape == (4, 4, 3, 0)


def test_only_the_time_between_steps_counts_as_waiting(cupy, rng):
    def slow(count):
        for batch in batches(rng, count):
            fakecupy.Stream.current.synchronize()
            fakecupy.Stream.now += 0.25  # the GPU has nothing to do
            yield batch

    feed = device.Feed()
    compute_all(feed, slow(4))
    assert feed.waited == pytest.approx(4 * 0.25)
    feed = device.Feed()
    compute_all(feed, batches(rng, 4))
    assert feed.waited == 0


def test_memory_is_set_aside_in_one_piece_where_there_is_room(cupy):
    cupy.pool.used = 1 << 20
    assert device.reserve(1 << 29) and cupy.pool.kept == (1 << 29) - (1 << 20)
    assert not device.reserve(1 << 30) and cupy.pool.kept == 0
    assert not device.reserve(1000 << 20)  # there is room for it, and for nothing beside it


def test_a_pool_that_holds_enough_is_left_as_it_is(cupy, monkeypatch):
    device.reserve(1 << 21)
    cupy.pool.used, cupy.pool.kept = 1 << 20, 1 << 20  # some of it is in use now
    monkeypatch.setattr(cupy.pool, "free_all_blocks", None)
    assert device.reserve(1 << 20) and device.reserve(1 << 21)


def test_running_out_of_memory_says_what_was_needed_and_what_to_lower(cupy):
    cupy.pool.used, cupy.pool.others = 700 << 20, 100 << 20
    error = device.told(fakecupy.OutOfMemoryError(600 << 20, 700 << 20), "num_sub_batches=2 is right")
    assert isinstance(error, device.OutOfMemory)
    assert str(error) == (
        "GPU: its memory does not suffice: at least 1.27 GiB are needed at once and it has 1.00 GiB, of which others use "
        "0.10 GiB; num_sub_batches=2 is right"
    )
    other = ValueError("another")
    assert device.told(other, "nothing") is other


def test_a_net_that_does_not_fit_stays_where_it_was(monkeypatch, cupy):
    def full(x):
        raise fakecupy.OutOfMemoryError(1 << 31, 0)

    net = little.net()
    before = {name: param.value for name, param in net.params.items()}
    monkeypatch.setattr(array, "mover", lambda destination: full)
    with pytest.raises(device.OutOfMemory, match=r"at least 2\.00 GiB .* narrower layers are right"):
        net.move("gpu")
    assert net.device == "cpu" and all(param.value is before[name] for name, param in net.params.items())


def test_without_cupy_an_error_stays_what_it_is(monkeypatch):
    monkeypatch.delitem(device.sys.modules, "cupy", raising=False)
    error = MemoryError("on the CPU")
    assert device.told(error, "nothing") is error


# -- the real CuPy's names and arguments


def test_memory_that_others_hold_is_taken_too(cupy):
    cupy.pool.others = 300
    before = device.taken()
    block = cupy.pool.malloc(500)
    assert before == 300 and device.taken() - before == cupy.pool.total_bytes() >= 500
    del block


def test_the_gpu_is_described_by_name_memory_and_versions(cupy):
    told = device.described()
    assert told["device"] == "Invented GPU" and told["cupy"] == "14.2.0" and told["cuda"] == told["driver"] == 13020
    assert told["memory"] == f"{cupy.pool.room / 2**30:.2f} GiB"


USED = """
    cuda.Stream(null, non_blocking, ptds, priority)
    cuda.Stream.wait_event(event)
    cuda.Stream.synchronize()
    cuda.Stream.begin_capture(mode)
    cuda.Stream.end_capture()
    cuda.Stream.is_capturing()
    cuda.Graph.launch(stream)
    cuda.using_allocator(allocator)
    cuda.alloc(size)
    cuda.Event(block, disable_timing, interprocess)
    cuda.Event.record(stream)
    cuda.Event.synchronize()
    cuda.Event.done
    cuda.get_elapsed_time(start_event, end_event)
    cuda.get_current_stream(device_id)
    cuda.alloc_pinned_memory(size)
    cuda.memory.OutOfMemoryError(size, total, limit)
    cuda.MemoryPool.malloc(size)
    cuda.MemoryPool.free_all_blocks(stream)
    cuda.MemoryPool.used_bytes()
    cuda.MemoryPool.total_bytes()
    cuda.runtime.memGetInfo()
    cuda.runtime.getDeviceCount()
    cuda.runtime.getDevice()
    cuda.runtime.getDeviceProperties(device)
    cuda.runtime.driverGetVersion()
    cuda.runtime.runtimeGetVersion()
    ndarray.set(arr, stream)
    get_default_memory_pool()
"""


def arguments(function):
    """The names of a function's arguments; of compiled ones from the first line of their docstring."""
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:
        words = re.match(r"\S*\((.*?)\)", function.__doc__)[1].split(",")
        names = [re.sub(r"=.*", "", word).split()[-1] for word in words if word.strip()]
    return [name for name in names if name != "self"]


@pytest.mark.parametrize("call", USED.split("\n")[1:-1], ids=str.strip)
def test_cupy_has_the_names_and_arguments_that_are_used(call):
    cupy = pytest.importorskip("cupy")
    path, _, names = call.strip().rstrip(")").partition("(")
    found = cupy
    for name in path.split("."):
        found = importlib.import_module("cupy.cuda.memory") if name == "memory" else getattr(found, name)
    if "(" in call:
        function = found.__init__ if isinstance(found, type) else found
        assert arguments(function) == [name for name in names.split(", ") if name]
