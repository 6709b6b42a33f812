"""Batch normalisation on the GPU: launches bnorm.cu.

x, y, dx, dy    (pixels, C), one pixel at least; g, b, dg, db (C,); moments (C, 2): all C-contiguous
"""

import numpy as np

from ... import array
from ...array import Array
from . import launch, sums

SOME = 256  # pixels whose mean is near enough to that of all


def forward(x: Array, g: Array, b: Array, moments: Array | None, epsilon: float) -> tuple[Array, Array]:
    """y and the moments used: those given, else the batch's."""
    xp = array.module_of(x)
    shift = mean = None
    if moments is None:
        moments, shift, mean = _moments(x, epsilon)
    moments = xp.ascontiguousarray(moments)
    y = xp.empty(x.shape, x.dtype)
    grid, block = launch.plane(*x.shape)
    launch.kernel("bnorm", "bnorm_forward", x.dtype)(grid, block, (x, g, b, moments, shift, mean, y, *x.shape))
    return y, moments


def backward(x: Array, g: Array, dy: Array, moments: Array | None, epsilon: float) -> tuple[Array, Array, Array, Array]:
    """dx, dg, db and the moments used."""
    xp, (rows, channels) = array.module_of(x, dy), x.shape
    moments = _moments(x, epsilon)[0] if moments is None else xp.ascontiguousarray(moments)
    cut = sums.parts(rows, channels)
    totals, products = xp.empty((2, cut.grid[0], channels), np.float64)
    launch.kernel("bnorm", "bnorm_products", x.dtype)(
        cut.grid, cut.block, (x, dy, moments, totals, products, rows, channels, cut.each)
    )
    dg, db = xp.empty((2, channels), x.dtype)
    launch.kernel("bnorm", "bnorm_derivatives", x.dtype)(
        *sums.last(channels), (totals, products, moments, dg, db, cut.grid[0], channels)
    )
    dx = xp.empty(x.shape, x.dtype)
    launch.kernel("bnorm", "bnorm_backward", x.dtype)(
        *launch.plane(rows, channels), (x, dy, g, moments, dg, db, dx, rows, channels)
    )
    return dx, dg, db, moments


def _moments(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """The moments, a shift near each channel's mean, and the means of x - shift."""
    xp, (rows, channels) = array.module_of(x), x.shape
    some = xp.ascontiguousarray(x[:: max(1, rows // SOME)])
    shift = sums.of_columns(some) / len(some)
    cut = sums.parts(rows, channels)
    totals, squares = xp.empty((2, cut.grid[0], channels), np.float64)
    launch.kernel("bnorm", "bnorm_sums", x.dtype)(
        cut.grid, cut.block, (x, shift, totals, squares, rows, channels, cut.each)
    )
    moments, mean = xp.empty((channels, 2), x.dtype), xp.empty(channels, x.dtype)
    launch.kernel("bnorm", "bnorm_moments", x.dtype)(
        *sums.last(channels), (shift, totals, squares, moments, mean, 1 / rows, cut.grid[0], channels, epsilon)
    )
    return moments, shift, mean
