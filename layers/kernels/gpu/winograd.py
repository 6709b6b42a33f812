"""3x3 convolution on the GPU by Winograd's F(4x4, 3x3): a quarter of the multiplications, around batched matrix products.

../winograd.cu has the transforms and their formulas. Each of 36 products takes one of the 36 values of every tile:
forward   m (tiles, K) = v (tiles, C) u (C, K)             v from x, u from the filters, y from m
dx        the same of dy, with the filters turned and transposed: the adjoint would have to add up overlapping tiles
dw        sums (C, K) = v' (C, tiles) z (tiles, K)         z from dy, dw from sums
Tiles are done in parts, so that v, m, z and the filters stay within settings.scratch bytes.

Rounding: of VGG-16's layers on a real image the largest error is 2e-6 of the largest value in y and dx and 6e-7 in dw, where
matrix products have 5e-7, 2e-7 and 6e-7. So it serves float32, and neither settings.exact nor TF32.
"""

import numpy as np

from ... import array, settings
from ...array import Array
from ...im2col import Plan
from . import launch

SIDE, PRODUCTS = 4, 36
LEAST_CHANNELS = LEAST_TILES = 32  # with fewer the transforms, in all C + K planes, outweigh the C * K products


def serves(plan: Plan, dtype: np.dtype) -> bool:
    """Whether this convolution is done by Winograd's algorithm."""
    (yh, yw, k, n), c, now = plan.output, plan.input[2], settings.current()
    return (
        (plan.window, plan.stride, plan.dilate, plan.g) == ((3, 3), (1, 1), (1, 1), 1)
        and (dtype, now.exact, now.precision) == (np.float32, False, "float32")
        and min(c, k) >= LEAST_CHANNELS
        and n * _tiles(yh) * _tiles(yw) >= LEAST_TILES
        and 2 * PRODUCTS * c * k * dtype.itemsize <= now.scratch
    )


def forward(plan: Plan, x: Array, w: Array, b: Array | None, rectify: bool) -> Array:
    """y (N, YH, YW, K), with rectify max(y, 0), from x (N, H, W, C), w (3, 3, C, K) and K biases or none."""
    return _correlated(x, _filters(w, False), b, plan.output[:2], (plan.pad[0], plan.pad[2]), rectify)


def data_derivative(plan: Plan, dy: Array, w: Array) -> Array:
    """dx (N, H, W, C), from dy (N, YH, YW, K) and w."""
    turned = _filters(w, True).transpose(0, 2, 1)
    return _correlated(dy, turned, None, plan.input[:2], (2 - plan.pad[0], 2 - plan.pad[2]), False)


def filter_derivative(plan: Plan, x: Array, dy: Array) -> Array:
    """dw (3, 3, C, K), from x (N, H, W, C) and dy (N, YH, YW, K)."""
    xp, (n, h, width, c), (yh, yw, k, _) = array.module_of(x, dy), x.shape, plan.output
    down, across = _tiles(yh), _tiles(yw)
    tiles = n * down * across
    shares = _shares(c, k, tiles, x.itemsize)
    step = _step(tiles, x.itemsize, c, k, shares)
    v, z = (xp.empty((PRODUCTS, step, channels), x.dtype) for channels in (c, k))
    sums = xp.empty((PRODUCTS * shares, c, k), x.dtype)
    in_shares = [a.reshape(len(sums), step // shares, -1) for a in (v, z)]
    place = down, across, plan.pad[0], plan.pad[2]
    for first in range(0, tiles, step):
        _launch("transform_input", step, c, (x, v, n, h, width, c, *place, first, step))
        _launch("transform_gradient", step, k, (dy, z, n, yh, yw, k, down, across, first, step))
        launch.gemm_batched(in_shares[0].transpose(0, 2, 1), in_shares[1], sums, 1.0 if first else 0.0)
    dw = xp.empty((3, 3, c, k), x.dtype)
    kernel = launch.kernel("winograd", "transform_sums", dw.dtype)
    kernel(launch.blocks(c * k), launch.BLOCK, (sums, dw, c * k, shares))
    return dw


def _correlated(
    x: Array, u: Array, b: Array | None, size: tuple[int, int], before: tuple[int, int], rectify: bool
) -> Array:
    """y (N, *size, K), from x (N, H, W, C) with `before` zeros above and to the left, and u (36, C, K), the filters."""
    xp, (n, h, width, c), k = array.module_of(x, u), x.shape, u.shape[2]
    down, across = map(_tiles, size)
    tiles = n * down * across
    step = _step(tiles, x.itemsize, c, k)
    biases = b.ravel() if b is not None and b.size else None
    y = xp.empty((n, *size, k), x.dtype)
    v, m = (xp.empty((PRODUCTS * step * channels), x.dtype) for channels in (c, k))
    for first in range(0, tiles, step):
        count = min(step, tiles - first)
        inputs, products = (a[: PRODUCTS * count * d].reshape(PRODUCTS, count, d) for a, d in ((v, c), (m, k)))
        _launch("transform_input", count, c, (x, inputs, n, h, width, c, down, across, *before, first, count))
        launch.gemm_batched(inputs, u, products)
        _launch("transform_output", count, k, (products, biases, y, *size, k, down, across, first, count, rectify))
    return y


def _filters(w: Array, flipped: bool) -> Array:
    """u (36, C, K)."""
    xp, (c, k) = array.module_of(w), w.shape[2:]
    u = xp.empty((PRODUCTS, c, k), w.dtype)
    kernel = launch.kernel("winograd", "transform_filters", w.dtype)
    kernel(launch.blocks(c * k), launch.BLOCK, (xp.ascontiguousarray(w), u, c * k, flipped))
    return u


def _tiles(length: int) -> int:
    return -(-length // SIDE)


def _step(tiles: int, itemsize: int, c: int, k: int, shares: int = 1) -> int:
    """How many tiles to take at a time, so that they and the filters fit the scratch: parts about equal, in equal shares."""
    left = settings.current().scratch // (PRODUCTS * itemsize) - shares * c * k
    most = max(1, left // (c + k))
    return shares * -(-tiles // (-(-tiles // most) * shares))


def _shares(c: int, k: int, tiles: int, itemsize: int) -> int:
    """In how many sums, added at the end, to cut the long sums of dw."""
    fitting = settings.current().scratch // (2 * PRODUCTS * itemsize * c * k)
    return max(1, min(launch.shares(PRODUCTS, c, k, tiles), fitting))


def _launch(name: str, tiles: int, channels: int, args: tuple) -> None:
    grid, block = launch.plane(tiles, channels)
    launch.kernel("winograd", name, args[0].dtype)(grid, block, args)
