"""The few calls of CuPy's that layers/device.py makes, on NumPy arrays. Streams run as late as they may, when somebody waits;
with Stream.eager those that copy run as early as they may.

So what is read from memory too early, or written to too early, is wrong here in every run, and not only now and then.
Its names and arguments are held to the real CuPy's where that is installed (test_device).
"""

import contextlib
import sys
import types

import numpy as np

from dagnet.layers import array


class ndarray(np.ndarray):
    """An array on the GPU."""

    def set(self, arr, stream=None):
        assert (
            self.flags.c_contiguous and arr.flags.c_contiguous and arr.shape == self.shape and arr.dtype == self.dtype
        )
        (stream or Stream.current).launch(lambda: np.copyto(self.view(np.ndarray), arr))


class Stream:
    """Work that was launched and not yet done; the current one is what a test launches on."""

    current: "Stream"
    now = 0.0  # seconds on the GPU's clock
    eager = False

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.null, self.non_blocking, self.work, self.recorded = null, non_blocking, [], None

    def __enter__(self):
        self.before, Stream.current = Stream.current, self
        return self

    def __exit__(self, *_):
        Stream.current = self.before

    def begin_capture(self, mode=None):
        assert not self.null
        self.recorded = []

    def is_capturing(self):
        return self.recorded is not None

    def end_capture(self):
        graph, self.recorded = Graph(self.recorded), None
        return graph

    def launch(self, work):
        if self.recorded is not None:
            self.recorded.append(work)
            return
        self.work.append(work)
        if self.eager and self.non_blocking:
            self.synchronize()

    def wait_event(self, event):
        ticket = event.ticket
        self.launch(lambda: event.run_until(ticket))

    def synchronize(self):
        if self.recorded is not None:
            raise RuntimeError(
                "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing\nmore"
            )
        while self.work:
            self.work.pop(0)()


class Graph:
    """What was launched while a stream captured."""

    def __init__(self, work):
        self.work = work

    def launch(self, stream=None):
        (stream or Stream.current).launch(lambda: [work() for work in self.work])


class Event:
    """A place in a stream."""

    synchronised = 0  # how often the host waited

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.timed, self.ticket, self.stream, self.passed, self.time = not disable_timing, 0, None, 0, None

    def record(self, stream=None):
        self.ticket += 1
        ticket, self.stream = self.ticket, stream or Stream.current

        def passed():
            self.passed, self.time = ticket, Stream.now

        self.stream.launch(passed)

    def run_until(self, ticket):
        while self.passed < ticket:
            self.stream.work.pop(0)()

    @property
    def done(self):
        return self.passed == self.ticket

    def synchronize(self):
        Event.synchronised += 1
        self.run_until(self.ticket)


def get_elapsed_time(start_event, end_event):
    assert start_event.timed and end_event.timed and start_event.done and end_event.done
    return 1000 * (end_event.time - start_event.time)


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")
        self._size = size


class MemoryPool:
    """Counts; the GPU has `room` bytes, of which others hold some."""

    def __init__(self, allocator=None):
        self.room, self.others, self.used, self.kept = 1 << 30, 1 << 20, 0, 0

    current = None

    def malloc(self, size):
        if size > self.room - self.others - self.used:
            raise OutOfMemoryError(size, self.used)
        self.kept = max(self.kept, size)

    def free_all_blocks(self, stream=None):
        self.kept = 0

    def used_bytes(self):
        return self.used

    def total_bytes(self):
        return self.used + self.kept


@contextlib.contextmanager
def using_allocator(allocator=None):
    before, MemoryPool.current = MemoryPool.current, allocator
    try:
        yield
    finally:
        MemoryPool.current = before


def installed(monkeypatch):
    """A fresh fake that dagnet takes for CuPy until a test ends."""
    fake = module()
    monkeypatch.setattr(array, "cupy_module", lambda: fake)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


def module():
    """A fresh fake of the module cupy."""
    Stream.current, Stream.now, Stream.eager, Event.synchronised = Stream(null=True), 0.0, False, 0
    pool = MemoryPool()
    runtime = types.SimpleNamespace(
        memGetInfo=lambda: (pool.room - pool.others - pool.total_bytes(), pool.room),
        getDevice=lambda: 0,
        getDeviceProperties=lambda device: {"name": b"Invented GPU", "totalGlobalMem": pool.room},
        runtimeGetVersion=lambda: 13020,
        driverGetVersion=lambda: 13020,
    )
    cuda = types.SimpleNamespace(
        Stream=Stream,
        Event=Event,
        get_elapsed_time=get_elapsed_time,
        get_current_stream=lambda device_id=-1: Stream.current,
        alloc_pinned_memory=lambda size: bytearray(size),
        MemoryPool=MemoryPool,
        using_allocator=using_allocator,
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        runtime=runtime,
    )
    return types.SimpleNamespace(
        __version__="14.2.0",
        ndarray=ndarray,
        empty=lambda shape, dtype=float, order="C": np.empty(shape, dtype, order).view(ndarray),
        empty_like=lambda prototype: np.empty_like(prototype),
        cuda=cuda,
        get_default_memory_pool=lambda: pool,
        pool=pool,
    )
