"""Arrays in parts that fit a core's cache, for threads to share: for layers that are a few passes over their data.

On the GPU there is one part, which is everything.
"""

from collections.abc import Sequence

import numpy as np

from . import array, threads
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


def copy(goal: Array, x: Array) -> None:
    """goal[...] = x for data (H, W, C, N), shared among our threads.

    Where the channels of a pixel are neighbours they move as one number of their size: NumPy would take few of them one by one.
    """
    if array.module_of(goal, x) is not np:
        goal[...] = x
        return
    to, data = goal.transpose(3, 0, 1, 2), x.transpose(3, 0, 1, 2)
    size = goal.itemsize
    if goal.dtype == x.dtype and goal.size and all(a.strides[3] == size for a in (to, data)):
        to, data = (a.view(np.dtype((np.void, size * goal.shape[2])))[..., 0] for a in (to, data))
    rows = max(1, PART_BYTES // max(1, goal.shape[1] * goal.shape[2] * size))
    cuts = [(n, slice(first, first + rows)) for n in range(len(to)) for first in range(0, goal.shape[0], rows)]
    threads.run(np.copyto, [(to[cut], data[cut]) for cut in cuts])


def column_sums(rows: Array) -> Array:
    """The sums (C,) of rows (pixels, C), as a product: BLAS is the faster adder."""
    return array.module_of(rows).ones(len(rows), rows.dtype) @ rows
