"""Convolution of 3x3 windows by Winograd's F(4x4, 3x3): a quarter of the multiplications, at a larger rounding error.

Shapes and formulas as in ../conv.py, for stride 1, dilate 1 and one group.
Forward   y = A^T [(G g G^T) * (B^T d B)] A for 4x4 pixels of y, the 6x6 pixels d of x that they see, and a filter g, channel by
          channel; * is a product of each of 36 numbers, summed over the channels: 36 matrix products (tiles, C) (C, K)
Backward  dx is the convolution of dy with the filters turned by half a turn, C and K exchanged, in the same way
          dg = G^T [(B^T d B) * (A dy A^T)] G, where * is summed over the tiles: 36 matrix products (C, tiles) (tiles, K)
Error     against float64, relative to the largest number: 1e-6 to 5e-6 in float32, where products of windows have 2e-7 to 1e-6;
          a number that is not finite takes all 4x4 pixels of y whose 6x6 hold it along
Source    Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; dg is the derivative of that y
"""

from collections.abc import Sequence
from math import prod
from types import ModuleType

import numpy as np

from .. import buffers, threads
from ..im2col import Plan
from . import serving, tiles

TILES = 8 << 20  # bytes of the tiles that are summed into dw at a time, or as many as the sums would have


def forward(plan: Plan, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, rectify: bool) -> np.ndarray:
    """y (N, YH, YW, K)."""
    h, width, k, n = plan.output
    bias = np.zeros(k, x.dtype) if b is None or not b.size else np.ascontiguousarray(b.ravel())
    y = buffers.empty((n, h, width, k), x.dtype)
    return _correlated(x, np.ascontiguousarray(w), False, bias, y, (plan.pad[0], plan.pad[2]), rectify)


def data_derivative(plan: Plan, dy: np.ndarray, w: np.ndarray) -> np.ndarray:
    """dx (N, H, W, C)."""
    h, width, c, n = plan.input
    dx, pad = buffers.empty((n, h, width, c), dy.dtype), (2 - plan.pad[0], 2 - plan.pad[2])
    return _correlated(dy, np.ascontiguousarray(w), True, np.zeros(c, dy.dtype), dx, pad, False)


def filter_derivative(plan: Plan, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """dw (3, 3, C, K). All threads lay out some tiles, then each sums them up for a block of channels and one of filters."""
    c, k, dtype, pad, work = x.shape[3], dy.shape[3], x.dtype, (plan.pad[0], plan.pad[2]), _tier(x)
    grid, count = _grid(plan.output), len(x) * prod(_grid(plan.output))
    (c_blocks, c_width), (k_blocks, k_width) = _blocks(c, work.WIDTH), _blocks(k, work.WIDTH)
    size = 36 * dtype.itemsize
    groups = threads.slices(count, -(-size * (c + k) * count // max(TILES, size * c * k)))
    most, step = max(s.stop - s.start for s in groups), max(work.STEP // (c_width * k_width), 1)
    v, z = buffers.empty((c_blocks, 36, most, c_width), dtype), buffers.empty((k_blocks, 36, most, k_width), dtype)
    pairs = c_blocks * k_blocks
    each = threads.slices(
        36, threads.count() if pairs < threads.count() else 1
    )  # where pairs are few, of each some numbers
    kept = len(groups) > 1 or len(each) > 1  # else a pair is finished while its sums are in the cache
    sums = buffers.empty((pairs if kept else 0, 36, c_width, k_width), dtype)
    dw = buffers.empty((3, 3, c, k), dtype)

    def lay_out(origin: int, some: slice) -> None:
        first, last = origin + some.start, origin + some.stop
        work.gather(x, v, first, last, origin, grid, pad)
        work.gather_der(dy, z, first, last, origin, grid)

    def add_up(group: slice, share: slice, some: slice) -> None:
        own = sums if kept else buffers.empty((1, 36, c_width, k_width), dtype)
        for pair in range(share.start, share.stop):
            (i, j), p = divmod(pair, k_blocks), own[pair if kept else 0]
            work.add_products(v[i, some], z[j, some], p[some], group.stop - group.start, step, not group.start)
            if not kept:
                finish(pair, p)

    def finish(pair: int, p: np.ndarray) -> None:
        i, j = divmod(pair, k_blocks)
        work.filter_der(p, dw, i * c_width, j * k_width)

    for group in groups:
        threads.run(lay_out, [(group.start, s) for s in _shares(group.stop - group.start, work.LEAST)])
        threads.run(add_up, [(group, share, some) for share in _shares(pairs) for some in each])
    threads.run(finish, list(enumerate(sums)))
    return dw


def _correlated(
    x: np.ndarray, w: np.ndarray, turned: bool, bias: np.ndarray, y: np.ndarray, pad: tuple[int, int], rectify: bool
) -> np.ndarray:
    """y, of x and w, which is turned by half a turn on the way from y's side to x's.

    Of many tiles each thread takes some through all steps, while they are in its cache. Of few tiles, all are laid out, then
    each thread multiplies them with some blocks of filters, which it transforms itself: these are what is large then.
    """
    (n, height, width, k), c, dtype, work = y.shape, x.shape[3], x.dtype, _tier(x)
    (blocks, size), grid = _blocks(k, work.WIDTH), _grid((height, width))
    count, step = n * prod(grid), max(work.STEP // (c * size), 1)
    most = max(work.CACHE // (36 * (c + k) * dtype.itemsize), work.LEAST)
    across = turned and count <= work.FEW

    def filters(block: int) -> np.ndarray:
        u = buffers.empty((36, size, c) if across else (36, c, size), dtype)
        transform = work.filters_across if across else work.turned_filters if turned else work.filters
        transform(w, u, block)
        return u

    if count < 2 * most * threads.count() and blocks >= threads.count():
        v, m = buffers.empty((1, 36, count, c), dtype), buffers.empty((blocks, 36, count, size), dtype)
        shares = [(s.start, s.stop) for s in threads.slices(count, threads.count())]
        threads.run(lambda *s: work.gather(x, v, *s, 0, grid, pad), shares)
        threads.run(lambda i: work.multiply(v[0], filters(i), m[i], count, step, across), [(i,) for i in range(blocks)])
        threads.run(lambda *s: work.scatter(m, bias, y, *s, 0, grid, rectify), shares)
        return y

    bank = threads.run(filters, [(i,) for i in range(blocks)])

    def make(share: slice) -> None:
        length = min(most, share.stop - share.start)
        v, m = buffers.empty((1, 36, length, c), dtype), buffers.empty((blocks, 36, length, size), dtype)
        for first in range(share.start, share.stop, length):
            last = min(first + length, share.stop)
            work.gather(x, v, first, last, first, grid, pad)
            for u, part in zip(bank, m, strict=True):
                work.multiply(v[0], u, part, last - first, step, across)
            work.scatter(m, bias, y, first, last, first, grid, rectify)

    threads.run(make, [(share,) for share in _shares(count, work.LEAST)])
    return y


def _shares(length: int, least: int = 1) -> list[slice]:
    """As many for each thread, of at least about so much: a few, so that one that is held up leaves some to the others."""
    return threads.slices(length, threads.count() * max(1, min(4, length // (least * threads.count()))))


def _tier(x: np.ndarray) -> ModuleType:
    """The transforms: numba's loops, or matrix products."""
    return serving("tiles", x) or tiles


def _grid(size: Sequence[int]) -> tuple[int, int]:
    """Tiles down and across, over y of that size (YH, YW, ...)."""
    return -(-size[0] // 4), -(-size[1] // 4)


def _blocks(channels: int, most: int) -> tuple[int, int]:
    """In how many blocks of what width the channels lie, which is at most so large."""
    count = -(-channels // most)
    return count, -(-channels // count)
