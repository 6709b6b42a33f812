"""Arrays in parts that fit a core's cache, for threads to share: for layers that are a few passes over their data.

On the GPU there is one part, which is everything.
"""

from collections.abc import Sequence

import numpy as np

from . import array
from .array import Array

PART_BYTES = 512 << 10  # of one array; a second one of that size has room beside it
ROW = 8192  # numbers that NumPy is to find side by side, where it can


def of(arrays: Sequence[Array], vectors: Sequence[Array] = ()) -> list[tuple[Array, ...]]:
    """Parts (the arrays' rows ..., the vectors ...) of arrays (pixels, C), which they write through to.

    The vectors (C,) are what meets every pixel. With them several pixels make a row, which is a view, and the vectors are
    repeated to its length: over many short rows NumPy would take its time.
    """
    xp, (pixels, channels) = array.module_of(*arrays), arrays[0].shape
    if xp is not np:
        return [(*arrays, *vectors)]
    side = max(1, ROW // channels) if vectors else 1
    repeated = [xp.tile(v, side) for v in vectors]
    step = side * max(1, PART_BYTES // (side * channels * arrays[0].itemsize))
    whole = pixels - pixels % side
    ends = [(start, min(start + step, whole)) for start in range(0, whole, step)] or [(0, 0)]
    parts = [(*(a[start:end].reshape(-1, side * channels) for a in arrays), *repeated) for start, end in ends]
    return parts if whole == pixels else [*parts, (*(a[whole:] for a in arrays), *vectors)]


def elements(*arrays: Array) -> list[tuple[Array, ...]]:
    """Parts of arrays of one shape, for what goes number by number: flat pieces, which write through to them.

    Where they lie in memory in different orders, or with gaps, there is one part: themselves.
    """
    axes = array.memory_axes(arrays[0])
    turned = [a.transpose(axes) for a in arrays]
    if array.module_of(*arrays) is not np or not all(a.flags.c_contiguous for a in turned):
        return [arrays]
    flat, step = [a.reshape(-1) for a in turned], PART_BYTES // arrays[0].itemsize
    return [tuple(a[i : i + step] for a in flat) for i in range(0, max(1, flat[0].size), step)]
