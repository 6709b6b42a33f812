"""Reused memory for large NumPy arrays.

A fresh large array costs a page fault for every 4 KB at its first touch, more than many a layer's arithmetic. Here the memory
of arrays that nobody refers to any more is handed out again. Whether somebody does, Python itself knows: every view of an
array counts as a reference to the buffer under it. CuPy has its own pool.

Idle buffers never make the process larger than what was in use at once: before a new buffer would, idle ones are let go.
"""

import sys
import threading
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

LEAST = 128 << 10  # bytes; below, the C library reuses memory itself
WASTE = 1.25  # how much larger than asked for a reused buffer may be


class Pool:
    """Buffers, oldest first, and the most bytes that were in use at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buffers: list[np.ndarray] = []
        self._most = 0
        self._alone = 0
        self._buffers.append(np.empty(1, np.uint8))
        self._alone = self._references(0)  # what Python counts for a buffer that only this list holds
        self._buffers.clear()

    def empty(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """An uninitialised C-contiguous array."""
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        if size < LEAST:
            return np.empty(shape, dtype)
        with self._lock:
            return self._buffer(size)[:size].view(dtype).reshape(shape)

    def release(self) -> None:
        """Give all that is idle back to the system."""
        with self._lock:
            self._buffers = [self._buffers[i] for i in range(len(self._buffers)) if not self._idle(i)]
            self._most = sum(buffer.nbytes for buffer in self._buffers)

    def idle(self) -> int:
        """Bytes that are kept and not in use."""
        with self._lock:
            return sum(self._buffers[i].nbytes for i in range(len(self._buffers)) if self._idle(i))

    def _buffer(self, size: int) -> np.ndarray:
        idle = [i for i in range(len(self._buffers)) if self._idle(i)]
        fitting = [i for i in idle if size <= self._buffers[i].nbytes <= WASTE * size]
        held = sum(buffer.nbytes for buffer in self._buffers)
        spare = sum(self._buffers[i].nbytes for i in idle)
        if fitting:
            best = min(fitting, key=lambda i: self._buffers[i].nbytes)
            found = self._buffers.pop(best)
            self._buffers.append(found)  # used last
            self._most = max(self._most, held - spare + found.nbytes)
            return found
        self._most = max(self._most, held - spare + size)
        for i in reversed(self._too_many(idle, held + size - self._most)):
            del self._buffers[i]
        self._buffers.append(np.empty(size, np.uint8))
        return self._buffers[-1]

    def _too_many(self, idle: list[int], excess: int) -> list[int]:
        """Of the idle buffers the oldest ones that together hold the excess."""
        gone = []
        for i in idle:
            if excess <= 0:
                break
            gone.append(i)
            excess -= self._buffers[i].nbytes
        return gone

    def _references(self, i: int) -> int:
        return sys.getrefcount(self._buffers[i])

    def _idle(self, i: int) -> bool:
        return self._references(i) == self._alone


_pool = Pool()
empty = _pool.empty
release = _pool.release
idle = _pool.idle
