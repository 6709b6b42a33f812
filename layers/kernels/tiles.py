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
from typing import NamedTuple

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
LEAST = 64  # tiles that a thread takes at least
STEP = 1 << 40  # multiplications of a product at most
FEW = 1 << 40  # tiles up to which the filters' matrices stay across, as BLAS turns them itself


def gather(
    x: np.ndarray, v: np.ndarray, first: int, last: int, origin: int, tiles: tuple[int, int], pad: tuple[int, int]
) -> None:
    """v := B^T d B of each tile's window d of 6x6 pixels of x; zeros stand around x, `pad` (above, left) of them seen."""
    height, width, channels = x.shape[1:]
    windows = buffers.empty((6, 6, last - first, channels), x.dtype)
    for piece in _pieces(first, last, tiles):
        strip = buffers.empty((4 * piece.lines + 2, 4 * piece.across + 2, channels), x.dtype)
        strip[...] = 0
        top, left = piece.top - pad[0], piece.left - pad[1]
        rows, columns = _inside(top, strip.shape[0], height), _inside(left, strip.shape[1], width)
        strip[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = x[
            piece.image, rows, columns
        ]
        down, along, each = strip.strides
        seen = (6, 6, piece.lines, piece.across, channels)
        view = as_strided(strip, seen, (down, along, 4 * down, 4 * along, each))
        windows[:, :, piece.some].reshape(seen)[...] = view
    _transform(np.kron(WINDOWS, WINDOWS), windows, v[:, :, first - origin : last - origin])


def gather_der(dy: np.ndarray, z: np.ndarray, first: int, last: int, origin: int, tiles: tuple[int, int]) -> None:
    """z := A d A^T of each tile's 4x4 pixels d of dy."""
    channels = dy.shape[3]
    pixels = buffers.empty((4, 4, last - first, channels), dy.dtype)
    for piece in _pieces(first, last, tiles):
        strip = buffers.empty((4 * piece.lines, 4 * piece.across, channels), dy.dtype)
        source = dy[piece.image, piece.top :, piece.left :][: strip.shape[0], : strip.shape[1]]
        strip[: source.shape[0], : source.shape[1]] = source
        strip[source.shape[0] :] = strip[:, source.shape[1] :] = 0
        squares = strip.reshape(piece.lines, 4, piece.across, 4, channels).transpose(1, 3, 0, 2, 4)
        pixels[:, :, piece.some].reshape(squares.shape)[...] = squares
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
        for piece in _pieces(first, last, tiles):
            target = y[piece.image, piece.top :, piece.left :, channels][: 4 * piece.lines, : 4 * piece.across]
            squares = made[:, :, piece.some, :real].reshape(4, 4, piece.lines, piece.across, real)
            source = squares.transpose(2, 0, 3, 1, 4).reshape(4 * piece.lines, 4 * piece.across, real)
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
    np.matmul(v[:, :tiles], u.transpose(0, 2, 1) if across else u, out=m[:, :tiles])


def add_products(v: np.ndarray, z: np.ndarray, p: np.ndarray, tiles: int, step: int, fresh: bool) -> None:
    """p := v^T z (+ p unless fresh), for one block of channels and one of filters."""
    products = np.matmul(
        v[:, :tiles].transpose(0, 2, 1), z[:, :tiles], out=p if fresh else buffers.empty(p.shape, p.dtype)
    )
    if not fresh:
        p += products


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


class _Piece(NamedTuple):
    """Tiles that make a rectangle of an image: which of a share, in so many lines; where their pixels start."""

    image: int
    some: slice
    lines: int
    across: int
    top: int
    left: int


def _pieces(first: int, last: int, tiles: tuple[int, int]) -> Iterator[_Piece]:
    """The tiles first to last in rectangles, as few as may be: the rest of a line, whole lines of an image, a line's start."""
    down, across = tiles
    at = first
    while at < last:
        line, column = divmod(at, across)
        lines = min((last - at) // across, down - line % down) if not column else 0
        end = at + lines * across if lines else min(last, at + across - column)
        image, top = divmod(line, down)
        yield _Piece(
            image, slice(at - first, end - first), max(lines, 1), (end - at) // max(lines, 1), 4 * top, 4 * column
        )
        at = end


def _inside(start: int, count: int, size: int) -> slice:
    """Which of so many pixels from `start` on lie in an image of that size."""
    return slice(min(max(start, 0), size), max(min(start + count, size), 0))


def _filled(w: np.ndarray, axis: int, size: int) -> np.ndarray:
    """w in C order, with zeros up to that size."""
    missing = [(0, size - w.shape[axis] if i == axis else 0) for i in range(4)]
    return np.pad(w, missing) if size != w.shape[axis] else np.ascontiguousarray(w)
