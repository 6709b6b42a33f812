"""The GPU as a machine: copies beside the computing, memory set aside in one piece, and what an error of its memory means.

Streams   What is launched on a stream runs in its order, and streams run side by side. Layers compute on CuPy's current stream;
          batches are copied on a second one, and an event lets one stream wait for a place in the other without the host.
Pinned    Only host memory that the system may not move is copied while the host goes on.
Pool      CuPy keeps what is freed and hands it out again; cut from one large piece it does not crumble.

Every call of CuPy's here was read in its sources (14.2), and tests/test_device.py runs them on a fake whose names and arguments
are those of the real one. It has not yet been run on a GPU.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import array
from .array import Array

SLOTS = 2  # batches on the way: one is computed on while the next one is copied
ALIGNED = 512  # bytes, from which on an array in a slot starts
BESIDE = 256 << 20  # bytes that the pool is not to have: cuBLAS's own memory, the code of kernels


class OutOfMemory(RuntimeError):
    """The GPU's memory does not suffice; the message says how much was needed, and what to lower."""


def told(error: Exception, remedy: str) -> Exception:
    """The error itself, or where CuPy ran out of memory an OutOfMemory that says so in a sentence, ending in the remedy."""
    cupy = sys.modules.get("cupy")
    if cupy is None or not isinstance(error, cupy.cuda.memory.OutOfMemoryError):
        return error
    free, total = cupy.cuda.runtime.memGetInfo()
    pool = cupy.get_default_memory_pool()
    asked = getattr(error, "_size", 0)
    return OutOfMemory(
        f"GPU: its memory does not suffice: at least {_gigabytes(pool.used_bytes() + asked)} are needed at once and it has "
        f"{_gigabytes(total)}, of which others use {_gigabytes(total - free - pool.total_bytes())}; {remedy}"
    )


def reserve(total: int) -> bool:
    """Let CuPy's pool hold at least `total` bytes, those in use included, and what it lacks in one piece; False where the GPU
    has not as many, and some beside."""
    cupy = array.cupy_module()
    pool = cupy.get_default_memory_pool()
    if pool.total_bytes() >= total:
        return True
    pool.free_all_blocks()  # small pieces of before would stand in its way
    lacking, (free, _) = total - pool.used_bytes(), cupy.cuda.runtime.memGetInfo()
    if lacking + BESIDE > free:
        return False
    try:
        pool.malloc(lacking)  # given back at once, since nobody holds it: the pool keeps it
    except cupy.cuda.memory.OutOfMemoryError:
        return False
    return True


def taken() -> int:
    """Bytes of the current GPU's memory that are in use, by whomever. What CuPy's pool holds to hand out again is in use."""
    free, total = array.cupy_module().cuda.runtime.memGetInfo()
    return total - free


def described() -> dict[str, Any]:
    """The current GPU: its name and memory, and the versions of what drives it."""
    cupy = array.cupy_module()
    runtime = cupy.cuda.runtime
    facts = runtime.getDeviceProperties(runtime.getDevice())
    name = facts["name"]
    return {
        "device": name.decode() if isinstance(name, bytes) else str(name),
        "memory": _gigabytes(facts["totalGlobalMem"]),
        "cupy": cupy.__version__,
        "cuda": runtime.runtimeGetVersion(),
        "driver": runtime.driverGetVersion(),
    }


@dataclass
class _Slot:
    """Where a batch lies on its way: the same bytes in pinned memory and on the GPU."""

    pinned: np.ndarray
    there: Array
    copied: Any  # event: the copy is done, pinned memory may be written to again
    used: Any  # event: what reads the GPU's bytes is done, they may be copied to again


class Feed:
    """Brings batches to the GPU while it computes: through pinned memory that is used again, on a stream of their own.

    The host waits where it is SLOTS batches ahead of the copies, which wait for the steps that use what they overwrite: so it
    is never far ahead of the GPU. What it gives stands in memory that a later batch overwrites.

    waited   seconds that the GPU had nothing to do between what was given to it for one batch and for the next
    """

    def __init__(self) -> None:
        self._cupy = array.cupy_module()
        self._stream = self._cupy.cuda.Stream(non_blocking=True)  # one that others wait for only where they are told to
        self._slots: list[_Slot] = []
        self._pauses: list[tuple[Any, Any]] = []  # events: the GPU ran out of work, and got more
        self._waited = 0.0

    def through(self, batches: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Array]]:
        """The batches, name -> array, on the GPU in their memory order.

        All that is to be computed from one must have been launched when the next is asked for.
        """
        idle = self._cupy.cuda.Event()
        idle.record()
        for number, batch in enumerate(batches):  # the host waits for the batch here
            slot, arrays = self._copied(number % SLOTS, batch)
            busy = self._cupy.cuda.Event()
            busy.record()
            self._pauses.append((idle, busy))
            yield arrays
            slot.used.record()
            idle = self._cupy.cuda.Event()
            idle.record()

    @property
    def waited(self) -> float:
        """Of the batches so far, of which the last one has been begun with."""
        while self._pauses and self._pauses[0][1].done:
            self._waited += self._cupy.cuda.get_elapsed_time(*self._pauses.pop(0)) / 1000
        return self._waited

    def _copied(self, place: int, batch: Mapping[str, Any]) -> tuple[_Slot, dict[str, Array]]:
        """The slot and the arrays in it, which the current stream may read from now on."""
        there = {name: value for name, value in batch.items() if isinstance(value, self._cupy.ndarray)}
        packed = {name: _packed(value) for name, value in batch.items() if name not in there}
        starts, size = {}, 0
        for name, (values, _) in packed.items():
            starts[name], size = size, size + -(-values.nbytes // ALIGNED) * ALIGNED
        slot = self._slot(place, max(size, ALIGNED))
        slot.copied.synchronize()
        for name, (values, _) in packed.items():
            _part(slot.pinned, starts[name], values)[...] = values
        self._stream.wait_event(slot.used)
        slot.there[:size].set(slot.pinned[:size], stream=self._stream)
        slot.copied.record(self._stream)
        self._cupy.cuda.get_current_stream().wait_event(slot.copied)
        for name, (values, axes) in packed.items():
            there[name] = _part(slot.there, starts[name], values).transpose(axes)
        return slot, there

    def _slot(self, place: int, size: int) -> _Slot:
        """The slot at a place, made anew where it is absent or too small."""
        cuda = self._cupy.cuda
        if place < len(self._slots):
            if self._slots[place].there.size >= size:
                return self._slots[place]
            self._slots[place].copied.synchronize()  # pinned memory that is let go may be given to others at once
        events = cuda.Event(block=True, disable_timing=True), cuda.Event(disable_timing=True)
        pinned = np.frombuffer(cuda.alloc_pinned_memory(size), np.uint8, size)
        slot = _Slot(pinned, self._cupy.empty(size, np.uint8), *events)
        slot.used.record()  # this stream's earlier work may still read what the pool gave
        self._slots[place : place + 1] = [slot]
        return slot


def _packed(value: Any) -> tuple[np.ndarray, list[int]]:
    """An array's values in C order, in the order in which they lie in memory, and the axes that make it what it was."""
    value = np.asarray(value)
    axes = array.memory_axes(value)
    return value.transpose(axes), [axes.index(axis) for axis in range(value.ndim)]


def _part(room: Array, start: int, values: np.ndarray) -> Array:
    """The bytes of `room` from a place on, as an array in C order like `values`."""
    return room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
