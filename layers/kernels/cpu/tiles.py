"""Tiles and filters for Winograd's convolution, to 36 numbers a channel and back: ../tiles.py's functions, as loops.

Shapes and matrices as there; each matrix here is the formula of one column. A tile's numbers for CHUNK channels lie in a small
array, number i, j at (6*i + j) * CHUNK: with these fixed distances the compiler makes vector instructions.
"""

import numpy as np

from ..tiles import OVER_0, OVER_A, OVER_B, A, B
from . import loops

WIDTH = CHUNK = 64
CACHE = 1 << 20
LEAST = 16
STEP = 10**6  # multiplications up to which BLAS does not arrange its operands anew
FEW = 32
DOWN, ACROSS = 6 * CHUNK, CHUNK  # from a number to the next in its column, in its line
A2, B2, A3, B3 = A**2, B**2, A**3, B**3
MATHS = {"contract"}  # a * b + c is rounded once


@loops.compiled
def gather(
    x: np.ndarray, v: np.ndarray, first: int, last: int, origin: int, tiles: tuple[int, int], pad: tuple[int, int]
) -> None:
    """v := B^T d B of each tile's window d of 6x6 pixels of x; zeros stand around x, `pad` (above, left) of them seen."""
    height, width, channels = x.shape[1:]
    one, two = np.zeros(36 * CHUNK, x.dtype), np.zeros(36 * CHUNK, x.dtype)
    for s in range(first, last):
        n, top, left = s // (tiles[0] * tiles[1]), s // tiles[1] % tiles[0] * 4 - pad[0], s % tiles[1] * 4 - pad[1]
        for block in range(v.shape[0]):
            for start in range(0, v.shape[3], CHUNK):
                stop = min(start + CHUNK, v.shape[3])
                place = block * v.shape[3] + start
                real = max(min(stop - start, channels - place), 0)
                for i in range(6):
                    for j in range(6):
                        inside = 0 <= top + i < height and 0 <= left + j < width
                        source = x[n, top + i if inside else 0, left + j if inside else 0, place : place + real]
                        _copy(source[: real if inside else 0], one[(6 * i + j) * CHUNK :], stop - start)
                _windows(one, two, DOWN, 6 * CHUNK, 1)
                _windows(two, one, ACROSS, CHUNK, 6)
                for number in range(36):
                    _copy(one[number * CHUNK :], v[block, number, s - origin, start:stop], stop - start)


@loops.compiled
def gather_der(dy: np.ndarray, z: np.ndarray, first: int, last: int, origin: int, tiles: tuple[int, int]) -> None:
    """z := A d A^T of each tile's 4x4 pixels d of dy."""
    height, width, channels = dy.shape[1:]
    one, two = np.zeros(36 * CHUNK, dy.dtype), np.zeros(36 * CHUNK, dy.dtype)
    for s in range(first, last):
        n, top, left = s // (tiles[0] * tiles[1]), s // tiles[1] % tiles[0] * 4, s % tiles[1] * 4
        for block in range(z.shape[0]):
            place = block * z.shape[3]
            real = max(min(z.shape[3], channels - place), 0)
            for i in range(4):
                for j in range(4):
                    inside = top + i < height and left + j < width
                    source = dy[n, top + i if inside else 0, left + j if inside else 0, place : place + real]
                    _copy(source[: real if inside else 0], one[(6 * i + j) * CHUNK :], z.shape[3])
            _pixels(one, two, DOWN, 4 * CHUNK, 1)
            _pixels(two, one, ACROSS, CHUNK, 6)
            for number in range(36):
                _copy(one[number * CHUNK :], z[block, number, s - origin], z.shape[3])


@loops.compiled
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
    height, width, channels = y.shape[1:]
    one, two = np.zeros(36 * CHUNK, y.dtype), np.zeros(36 * CHUNK, y.dtype)
    zero = y.dtype.type(0)
    for s in range(first, last):
        n, top, left = s // (tiles[0] * tiles[1]), s // tiles[1] % tiles[0] * 4, s % tiles[1] * 4
        for block in range(m.shape[0]):
            place = block * m.shape[3]
            real = max(min(m.shape[3], channels - place), 0)
            for number in range(36):
                _copy(m[block, number, s - origin], one[number * CHUNK :], m.shape[3])
            _sums(one, two, DOWN, 6 * CHUNK, 1)
            _sums(two, one, ACROSS, CHUNK, 4)
            added = bias[place : place + real]
            for i in range(min(4, height - top)):
                for j in range(min(4, width - left)):
                    source, target = one[(6 * i + j) * CHUNK :], y[n, top + i, left + j, place : place + real]
                    if rectify:
                        for c in range(real):
                            value = source[c] + added[c]
                            target[c] = zero if value < zero else value  # NaN is passed on
                    else:
                        for c in range(real):
                            target[c] = source[c] + added[c]


@loops.compiled
def filters(w: np.ndarray, u: np.ndarray, block: int) -> None:
    """u (36, C, width) := G g G^T of a block of the filters g."""
    place, size = block * u.shape[2], u.shape[2]
    one, two = np.zeros(36 * CHUNK, w.dtype), np.zeros(36 * CHUNK, w.dtype)
    for channel in range(w.shape[2]):
        for i in range(3):
            for j in range(3):
                _copy(w[i, j, channel, place : place + size], one[(6 * i + j) * CHUNK :], size)
        _filters(one, two, DOWN, 3 * CHUNK, 1)
        _filters(two, one, ACROSS, CHUNK, 6)
        for number in range(36):
            _copy(one[number * CHUNK :], u[number, channel], size)


@loops.compiled
def turned_filters(w: np.ndarray, u: np.ndarray, block: int) -> None:
    """u (36, K, width) := G g G^T of the filters from y's side, which are w turned by half a turn, for a block of channels."""
    size = u.shape[2]
    square = np.empty((36, size, CHUNK), w.dtype)
    for start in range(0, w.shape[3], CHUNK):
        some = min(CHUNK, w.shape[3] - start)
        filters_across(w[:, :, :, start : start + some], square[:, :, :some], block)
        for number in range(36):
            for k in range(some):
                target = u[number, start + k]
                for c in range(size):
                    target[c] = square[number, c, k]


@loops.compiled
def filters_across(w: np.ndarray, u: np.ndarray, block: int) -> None:
    """The same before the exchange of C and K: u (36, width, K)."""
    size = u.shape[1]
    one, two = np.zeros(36 * CHUNK, w.dtype), np.zeros(36 * CHUNK, w.dtype)
    for c in range(size):
        channel = block * size + c
        for start in range(0, w.shape[3], CHUNK):
            some = min(CHUNK, w.shape[3] - start)
            real = some if channel < w.shape[2] else 0
            for i in range(3):
                for j in range(3):
                    source = w[2 - i, 2 - j, channel if real else 0, start : start + real]
                    _copy(source, one[(6 * i + j) * CHUNK :], some)
            _filters(one, two, DOWN, 3 * CHUNK, 1)
            _filters(two, one, ACROSS, CHUNK, 6)
            for number in range(36):
                _copy(one[number * CHUNK :], u[number, c, start : start + some], some)


@loops.compiled
def filter_der(p: np.ndarray, dw: np.ndarray, channel: int, filter: int) -> None:
    """dw := G^T p G, for a block of channels from `channel` on and of filters from `filter` on."""
    one, two = np.zeros(36 * CHUNK, dw.dtype), np.zeros(36 * CHUNK, dw.dtype)
    for c in range(min(p.shape[1], dw.shape[2] - channel)):
        for number in range(36):
            _copy(p[number, c], one[number * CHUNK :], p.shape[2])
        _taps(one, two, DOWN, 6 * CHUNK, 1)
        _taps(two, one, ACROSS, CHUNK, 3)
        for i in range(3):
            for j in range(3):
                target = dw[i, j, channel + c, filter : filter + p.shape[2]]
                _copy(one[(6 * i + j) * CHUNK :], target, len(target))


@loops.compiled
def multiply(v: np.ndarray, u: np.ndarray, m: np.ndarray, tiles: int, step: int, across: bool) -> None:
    """m (36, tiles, width) := v u, or v u^T where u is across; `step` tiles at a time: BLAS is fastest at small products."""
    for number in range(36):
        for start in range(0, tiles, step):
            stop = min(start + step, tiles)
            if across:
                np.dot(v[number, start:stop], u[number].T, m[number, start:stop])
            else:
                np.dot(v[number, start:stop], u[number], m[number, start:stop])


@loops.compiled
def add_products(v: np.ndarray, z: np.ndarray, p: np.ndarray, tiles: int, step: int, fresh: bool) -> None:
    """p := v^T z (+ p unless fresh), for one block of channels and one of filters."""
    product = np.empty(p.shape[1:], p.dtype)
    for number in range(len(p)):
        total = p[number]
        for start in range(0, tiles, step):
            stop = min(start + step, tiles)
            left, right = v[number, start:stop].T, z[number, start:stop]
            if fresh and not start:
                np.dot(left, right, total)
            else:
                np.dot(left, right, product)
                total += product


@loops.compiled
def _copy(source: np.ndarray, target: np.ndarray, size: int) -> None:
    """target[:size] := source, and zeros where that ends before."""
    real = min(len(source), size)
    for c in range(real):
        target[c] = source[c]
    for c in range(real, size):
        target[c] = 0


@loops.compiled(fastmath=MATHS)
def _windows(a: np.ndarray, b: np.ndarray, step: int, count: int, lines: int) -> None:
    """b := B^T a, six numbers `step` apart to six, for `count` columns side by side in each of some lines."""
    number = a.dtype.type
    for line in range(lines):
        for i in range(line * DOWN, line * DOWN + count):
            a1, a2, a3, a4 = a[i + step], a[i + 2 * step], a[i + 3 * step], a[i + 4 * step]
            p, q = a4 - number(B2) * a2, number(A) * (a3 - number(B2) * a1)
            r, s = a4 - number(A2) * a2, number(B) * (a3 - number(A2) * a1)
            b[i] = number(A2 * B2) * a[i] - number(A2 + B2) * a2 + a4
            b[i + step] = p + q
            b[i + 2 * step] = p - q
            b[i + 3 * step] = r + s
            b[i + 4 * step] = r - s
            b[i + 5 * step] = number(A2 * B2) * a1 - number(A2 + B2) * a3 + a[i + 5 * step]


@loops.compiled(fastmath=MATHS)
def _sums(a: np.ndarray, b: np.ndarray, step: int, count: int, lines: int) -> None:
    """b := A^T a, six numbers to four."""
    number = a.dtype.type
    for line in range(lines):
        for i in range(line * DOWN, line * DOWN + count):
            a1, a2, a3, a4 = a[i + step], a[i + 2 * step], a[i + 3 * step], a[i + 4 * step]
            p, q, r, s = a1 + a2, a1 - a2, a3 + a4, a3 - a4
            b[i] = a[i] + p + r
            b[i + step] = number(A) * q + number(B) * s
            b[i + 2 * step] = number(A2) * p + number(B2) * r
            b[i + 3 * step] = number(A3) * q + number(B3) * s + a[i + 5 * step]


@loops.compiled(fastmath=MATHS)
def _pixels(a: np.ndarray, b: np.ndarray, step: int, count: int, lines: int) -> None:
    """b := A a, four numbers to six."""
    number = a.dtype.type
    for line in range(lines):
        for i in range(line * DOWN, line * DOWN + count):
            a0, a1, a2, a3 = a[i], a[i + step], a[i + 2 * step], a[i + 3 * step]
            p, q = a0 + number(A2) * a2, number(A) * a1 + number(A3) * a3
            r, s = a0 + number(B2) * a2, number(B) * a1 + number(B3) * a3
            b[i] = a0
            b[i + step] = p + q
            b[i + 2 * step] = p - q
            b[i + 3 * step] = r + s
            b[i + 4 * step] = r - s
            b[i + 5 * step] = a3


@loops.compiled(fastmath=MATHS)
def _filters(a: np.ndarray, b: np.ndarray, step: int, count: int, lines: int) -> None:
    """b := G a, three numbers to six."""
    number = a.dtype.type
    for line in range(lines):
        for i in range(line * DOWN, line * DOWN + count):
            a0, a1, a2 = a[i], a[i + step], a[i + 2 * step]
            p, q = number(OVER_A) * a0 + number(OVER_A * A2) * a2, number(OVER_A * A) * a1
            r, s = number(OVER_B) * a0 + number(OVER_B * B2) * a2, number(OVER_B * B) * a1
            b[i] = number(OVER_0) * a0
            b[i + step] = p + q
            b[i + 2 * step] = p - q
            b[i + 3 * step] = r + s
            b[i + 4 * step] = r - s
            b[i + 5 * step] = a2


@loops.compiled(fastmath=MATHS)
def _taps(a: np.ndarray, b: np.ndarray, step: int, count: int, lines: int) -> None:
    """b := G^T a, six numbers to three."""
    number = a.dtype.type
    for line in range(lines):
        for i in range(line * DOWN, line * DOWN + count):
            a1, a2, a3, a4 = a[i + step], a[i + 2 * step], a[i + 3 * step], a[i + 4 * step]
            p, q, r, s = a1 + a2, a1 - a2, a3 + a4, a3 - a4
            b[i] = number(OVER_0) * a[i] + number(OVER_A) * p + number(OVER_B) * r
            b[i + step] = number(OVER_A * A) * q + number(OVER_B * B) * s
            b[i + 2 * step] = number(OVER_A * A2) * p + number(OVER_B * B2) * r + a[i + 5 * step]
