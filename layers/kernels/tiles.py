"""Tiles and filters for Winograd's convolution (winograd.py), to 36 numbers a channel and back: here by matrix products.

Shapes    x (N, H, W, C), y (N, YH, YW, K), w (3, 3, C, K)
          Tile s stands for 4x4 pixels of y, counted along lines, then images; `tiles` are those down and across an image.
          v of x, z and m of y (blocks, 36, tiles, width): the channels in blocks of one width, the last one filled up with
          zeros; the first of the tiles here is the tile `origin`. For forward, v is one block of all channels.
          u of w (36, C, width), for one block of K    p of dw (36, width of C, width of K), for one block of C and one of K
Matrices  A^T (4, 6), G (6, 3) and B^T (6, 6) of Winograd's algorithm for the points 0, +-A, +-B and infinity. Lavin and Gray
          have +-1 and +-2; with +-5/8 and +-3/2, whose powers are exact too, the rounding error is a third of theirs. Applied
          from both sides, A^T m A, they are one matrix for all 36 numbers (Kronecker's product).
Source    Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015; Blahut, Fast Algorithms for Signal
          Processing, 2010, section 5.2

Each function does a thread's share: some tiles, or a block of channels. cpu/tiles.py has the same functions as loops.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import buffers, gemm

A, B = 5 / 8, 3 / 2
SUMS = np.array([[1, 1, 1, 1, 1, 0]] + [[0, A**i, (-A) ** i, B**i, (-B) ** i, i == 3] for i in (1, 2, 3)])
OVER_A, OVER_B, OVER_0 = 1 / (2 * A**2 * (A**2 - B**2)), 1 / (2 * B**2 * (B**2 - A**2)), 1 / (A * B) ** 2
POINTS = ((A, OVER_A), (-A, OVER_A), (B, OVER_B), (-B, OVER_B))
FILTERS = np.array([[OVER_0, 0, 0], *([over, over * t, over * t * t] for t, over in POINTS), [0, 0, 1]])
WINDOWS = np.array(
    [
        [A**2 * B**2, 0, -(A**2) - B**2, 0, 1, 0],
        *([0, -t * other, -other, t, 1, 0] for t, other in ((A, B**2), (-A, B**2), (B, A**2), (-B, A**2))),
        [0, A**2 * B**2, 0, -(A**2) - B**2, 0, 1],
    ]
)

WIDTH = 128  # channels of a block at most
CACHE = 4 << 20  # bytes of the tiles that a thread takes at a time
STEP = 1 << 40  # multiplications of a product at most
FEW = 1 << 40  # tiles up to which the filters' matrices stay across, as BLAS turns them itself


def gather(
    x: np.ndarray, v: np.ndarray, first: int, last: int, origin: int, tiles: tuple[int, int], pad: tuple[int, int]
) -> None:
    """v := B^T d B of each tile's window d of 6x6 pixels of x; zeros stand around x, `pad` (above, left) of them seen."""
    height, width, channels = x.shape[1:]
    windows = buffers.empty((6, 6, last - first, channels), x.dtype)
    for n, line, some, column in _lines(first, last, tiles):
        count = some.stop - some.start
        strip = np.zeros((6, 4 * count + 2, channels), x.dtype)
        top, left = line - pad[0], column - pad[1]
        rows, columns = _inside(top, 6, height), _inside(left, strip.shape[1], width)
        strip[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = x[n, rows, columns]
        down, along, each = strip.strides
        windows[:, :, some] = as_strided(strip, (6, 6, count, channels), (down, along, 4 * along, each))
    _transform(np.kron(WINDOWS, WINDOWS), windows, v[:, :, first - origin : last - origin])


def gather_der(dy: np.ndarray, z: np.ndarray, first: int, last: int, origin: int, tiles: tuple[int, int]) -> None:
    """z := A d A^T of each tile's 4x4 pixels d of dy."""
    channels = dy.shape[3]
    pixels = buffers.empty((4, 4, last - first, channels), dy.dtype)
    for n, line, some, column in _lines(first, last, tiles):
        count = some.stop - some.start
        strip = np.zeros((4, 4 * count, channels), dy.dtype)
        source = dy[n, line : line + 4, column : column + 4 * count]
        strip[: source.shape[0], : source.shape[1]] = source
        pixels[:, :, some] = strip.reshape(4, count, 4, channels).transpose(0, 2, 1, 3)
    _transform(np.kron(SUMS, SUMS).T, pixels, z[:, :, first - origin : last - origin])


def scatter(
    m: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    first: int,
    last: int,
    origin: int,
    tiles: tuple[int, int],
    rectify: bool,
) -> None:
    """y := A^T m A + bias, or the maximum of that and 0, at each tile's pixels."""
    made, size = buffers.empty((4, 4, last - first, m.shape[3]), y.dtype), m.shape[3]
    for block, numbers in enumerate(m):
        channels = slice(block * size, min((block + 1) * size, y.shape[3]))
        real = channels.stop - channels.start
        sums = np.kron(SUMS, SUMS).astype(y.dtype)
        gemm.add(sums, numbers[:, first - origin : last - origin].reshape(36, -1), made.reshape(16, -1))
        made[..., :real] += bias[channels]
        if rectify:
            np.maximum(made, 0, out=made)
        for n, line, some, column in _lines(first, last, tiles):
            target = y[n, line : line + 4, column : column + 4 * (some.stop - some.start), channels]
            source = made[:, :, some, :real].transpose(0, 2, 1, 3).reshape(4, -1, real)
            target[...] = source[: target.shape[0], : target.shape[1]]


def filters(w: np.ndarray, u: np.ndarray, block: int) -> None:
    """u (36, C, width) := G g G^T of a block of the filters g."""
    size = u.shape[2]
    _transform(np.kron(FILTERS, FILTERS), _filled(w[..., block * size : (block + 1) * size], 3, size), u[None])


def filters_across(w: np.ndarray, u: np.ndarray, block: int) -> None:
    """u (36, width, K) := G g G^T of the filters from y's side, which are w turned by half a turn, for a block of channels."""
    size = u.shape[1]
    turned = w[::-1, ::-1, block * size : (block + 1) * size]
    _transform(np.kron(FILTERS, FILTERS), _filled(turned, 2, size), u[None])


def filter_der(p: np.ndarray, dw: np.ndarray, channel: int, filter: int) -> None:
    """dw := G^T p G, for a block of channels from `channel` on and of filters from `filter` on."""
    target = dw[:, :, channel : channel + p.shape[1], filter : filter + p.shape[2]]
    made = buffers.empty((9, *p.shape[1:]), p.dtype)
    gemm.add(np.kron(FILTERS, FILTERS).T.astype(p.dtype), p.reshape(36, -1), made.reshape(9, -1))
    target[...] = made.reshape(3, 3, *p.shape[1:])[:, :, : target.shape[2], : target.shape[3]]


def multiply(v: np.ndarray, u: np.ndarray, m: np.ndarray, tiles: int, step: int, across: bool) -> None:
    """m (36, tiles, width) := v u, or v u^T where u is across."""
    for number in range(36):
        gemm.add(v[number, :tiles], u[number].T if across else u[number], m[number, :tiles])


def add_products(v: np.ndarray, z: np.ndarray, p: np.ndarray, tiles: int, step: int, fresh: bool) -> None:
    """p := v^T z (+ p unless fresh), for one block of channels and one of filters."""
    for number in range(36):
        gemm.add(v[number, :tiles].T, z[number, :tiles], p[number], beta=float(not fresh))


def _transform(matrix: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """b (blocks, 36, lines, width) := matrix a, of a (.., .., lines, channels); zeros where the channels end."""
    matrix, size = matrix.astype(a.dtype), b.shape[3]
    if len(b) == 1 and b.flags.c_contiguous:
        gemm.add(matrix, a.reshape(matrix.shape[1], -1), b.reshape(36, -1))
        return
    made = buffers.empty((36, *a.shape[2:]), a.dtype)
    gemm.add(matrix, a.reshape(matrix.shape[1], -1), made.reshape(36, -1))
    for block, target in enumerate(b):
        source = made[..., block * size : (block + 1) * size]
        target[..., : source.shape[2]] = source
        target[..., source.shape[2] :] = 0


def _lines(first: int, last: int, tiles: tuple[int, int]) -> Iterator[tuple[int, int, slice, int]]:
    """(image, its pixel line, which of the tiles first to last, their first pixel column), line by line of tiles."""
    for line in range(first // tiles[1], -(-last // tiles[1])):
        start, stop = max(first, line * tiles[1]), min(last, (line + 1) * tiles[1])
        yield line // tiles[0], 4 * (line % tiles[0]), slice(start - first, stop - first), 4 * (start - line * tiles[1])


def _inside(start: int, count: int, size: int) -> slice:
    """Which of so many pixels from `start` on lie in an image of that size."""
    return slice(min(max(start, 0), size), max(min(start + count, size), 0))


def _filled(w: np.ndarray, axis: int, size: int) -> np.ndarray:
    """w in C order, with zeros up to that size."""
    missing = [(0, size - w.shape[axis] if i == axis else 0) for i in range(4)]
    return np.pad(w, missing) if size != w.shape[axis] else np.ascontiguousarray(w)
