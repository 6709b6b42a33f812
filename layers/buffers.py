"""Reused memory for large NumPy arrays.

A fresh large array costs a page fault for every 4 KB at its first touch, more than many a layer's arithmetic. Here the memory
of arrays that nobody refers to any more is handed out again. Whether somebody does, Python itself knows: an array dies when
the last of its views has died, and tells. CuPy has its own pool.

Memory is taken from the system in chunks, each as large as the array for which nothing else was free. A chunk is cut into
blocks as smaller arrays need them, and blocks that are free side by side become one again: so a training step, once it has run
its course, finds all it needs in the memory that it has had. Idle chunks never make the process larger than what was in use at
once: before a new one would, those that are wholly free are let go.
"""

import os
import threading
import weakref
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from itertools import count
from math import prod
from typing import Any

import numpy as np

LEAST = 128 << 10  # bytes; below, the C library reuses memory itself
GRAIN = 4 << 10  # a block's size is a multiple of it: a page
LINE = 64  # bytes of the processor's cache line, where blocks begin


class _Chunk(np.ndarray):
    """Memory from the system.

    A class of its own, for a view refers to the innermost array of its own class: so the views of an array that is made of a
    chunk refer to that array, and keep it alive.
    """

    def __new__(cls, size: int) -> "_Chunk":
        """Memory of that size, and what brings its start to a cache line."""
        return super().__new__(cls, (size + LINE,), np.uint8)

    @property
    def start(self) -> int:
        """Where the first cache line begins."""
        return -self.ctypes.data % LINE


class _Block:
    """A part of a chunk, between its neighbours there."""

    __slots__ = ("after", "before", "chunk", "free", "number", "owner", "size", "start")
    numbers = count()

    def __init__(self, chunk: _Chunk, start: int, size: int) -> None:
        self.chunk, self.start, self.size, self.free = chunk, start, size, True
        self.before: _Block | None = None
        self.after: _Block | None = None
        self.owner: _Owner | None = None
        self.number = next(self.numbers)

    def __lt__(self, other: "_Block") -> bool:
        return (self.size, self.number) < (other.size, other.number)

    def cut(self, size: int) -> "_Block":
        """Shrink to that size; what is left, which comes after."""
        rest = _Block(self.chunk, self.start + size, self.size - size)
        rest.before, rest.after, self.after, self.size = self, self.after, rest, size
        if rest.after:
            rest.after.before = rest
        return rest

    def join(self) -> None:
        """Take in the block that comes after."""
        assert self.after
        self.size, self.after = self.size + self.after.size, self.after.after
        if self.after:
            self.after.before = self


class _Owner(weakref.ref):
    """A reference to the array that has a block."""

    __slots__ = ("block",)
    block: _Block


class Pool:
    """Chunks, the one used last at the end, their free blocks, smallest first, and the most bytes that were in use at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._chunks: dict[int, _Block] = {}  # by the identity of each, its first block
        self._free: list[_Block] = []
        self._gone: deque[_Owner] = deque()  # arrays that have died since the last look
        self._held = self._in_use = self._most = 0

    def empty(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """An uninitialised C-contiguous array."""
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        if size < LEAST:
            return np.empty(shape, dtype)
        with self.lock:
            self._collect()
            block = self._taken(-(-size // GRAIN) * GRAIN)
            made: np.ndarray = np.ndarray(shape, dtype, block.chunk, block.start)
            block.owner = _Owner(made, self._gone.append)  # and no more: an array may die at any time, in any thread
            block.owner.block = block
            return made

    def release(self) -> None:
        """Give all that is idle in whole chunks back to the system."""
        with self.lock:
            self._collect()
            self._drop(self._held)
            self._most = self._held

    def idle(self) -> int:
        """Bytes that are kept and not in use."""
        with self.lock:
            self._collect()
            return self._held - self._in_use

    def _collect(self) -> None:
        """Take back the blocks of arrays that have died."""
        while self._gone:
            block = self._gone.popleft().block
            self._in_use -= block.size
            block.owner, block.free = None, True
            if block.after and block.after.free:
                self._withdraw(block.after)
                block.join()
            if block.before and block.before.free:
                block = block.before
                self._withdraw(block)
                block.join()
            insort(self._free, block)

    def _taken(self, size: int) -> _Block:
        """A block of that size, cut from the smallest that is free and large enough; what is left over is free."""
        i = bisect_left(self._free, size, key=lambda block: block.size)
        block = self._free.pop(i) if i < len(self._free) else self._new(size)
        if block.size - size >= LEAST:
            insort(self._free, block.cut(size))
        block.free = False
        self._in_use += block.size
        self._chunks[id(block.chunk)] = self._chunks.pop(id(block.chunk))
        return block

    def _new(self, size: int) -> _Block:
        self._most = max(self._most, self._in_use + size)
        self._drop(self._held + size - self._most)
        chunk = _Chunk(size)
        block = self._chunks[id(chunk)] = _Block(chunk, chunk.start, size)
        self._held += size
        return block

    def _drop(self, excess: int) -> None:
        """Let go of wholly free chunks, those unused for longest first, until they hold the excess."""
        for chunk, first in list(self._chunks.items()):
            if excess > 0 and first.free and not first.after:
                self._withdraw(first)
                del self._chunks[chunk]
                self._held -= first.size
                excess -= first.size

    def _withdraw(self, block: _Block) -> None:
        """Take it off the list of the free ones."""
        del self._free[bisect_left(self._free, block)]


_pool = Pool()
empty = _pool.empty
release = _pool.release

if hasattr(os, "register_at_fork"):  # in a forked process nobody would open a lock that another thread held
    os.register_at_fork(
        before=_pool.lock.acquire, after_in_parent=_pool.lock.release, after_in_child=_pool.lock.release
    )
