"""Pooling in compiled loops: each thread takes rows of what is made, each loop the channels of a pixel.

Arrays are C-contiguous: x, dx (N, H, W, C), y, dy, index (N, YH, YW, C). rows and columns are windows.Line.
index   which tap of its window the maximum is: p + PH * q for row p and column q; of equals the first in that order. Where the
        maximum is NaN it is NOWHERE, and no pixel gets a derivative.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import buffers, threads
from ...windows import Line
from . import loops

NOWHERE = np.uint8(255)
PART = 1 << 16  # numbers that a thread takes at a time, at least


def max_forward(x: np.ndarray, rows: Line, columns: Line) -> tuple[np.ndarray, np.ndarray]:
    """y and the index (uint8)."""
    y, index = _made(x, rows.positions, columns.positions), _made(x, rows.positions, columns.positions, np.uint8)
    _share(_maxima, y, (x, y, index), rows, columns)
    return y, index


def max_backward(index: np.ndarray, dy: np.ndarray, rows: Line, columns: Line) -> np.ndarray:
    """dx: each dy where the maximum was."""
    dx = _made(dy, rows.size, columns.size)
    _share(_routed, dx, (index, dy, dx), rows, columns)
    return dx


def avg_forward(x: np.ndarray, rows: Line, columns: Line) -> np.ndarray:
    """y: the mean of each window, of what of it lies in x."""
    y = _made(x, rows.positions, columns.positions)
    _share(_means, y, (x, y), rows, columns)
    return y


def avg_backward(dy: np.ndarray, rows: Line, columns: Line) -> np.ndarray:
    """dx: each dy shared out to its window."""
    dx = _made(dy, rows.size, columns.size)
    _share(_shares, dx, (dy, dx), rows, columns)
    return dx


def _made(like: np.ndarray, height: int, width: int, dtype: Any = None) -> np.ndarray:
    return buffers.empty((len(like), height, width, like.shape[3]), dtype or like.dtype)


def _share(
    loop: Callable[..., None], made: np.ndarray, arrays: tuple[np.ndarray, ...], rows: Line, columns: Line
) -> None:
    """The loop over all rows of all images that it makes."""
    n, height, width, channels = made.shape
    lines = n * height
    step = max(1, PART // max(1, width * channels))
    windows = [number for line in (rows, columns) for number in (line.window, line.stride, line.before)]
    threads.run(loop, [(*arrays, *windows, first, min(first + step, lines)) for first in range(0, lines, step)])


@loops.compiled
def _taps(i: int, window: int, stride: int, before: int, size: int) -> tuple[int, int, int]:
    """Of the window at position i: where its tap 0 lies, and its first and last but one tap within x."""
    start = i * stride - before
    return start, max(0, -start), min(window, size - start)


@loops.compiled
def _holders(r: int, window: int, stride: int, before: int, positions: int) -> tuple[int, int]:
    """The first and the last but one position whose windows hold pixel r."""
    reach = r + before - window
    return (0 if reach < 0 else reach // stride + 1), min((r + before) // stride + 1, positions)


@loops.compiled
def _maxima(x, y, index, ph, sv, top, pw, sh, left, first, end):  # noqa: ANN001, ANN202  # numba infers types
    _, yh, yw, channels = y.shape
    h, w = x.shape[1:3]
    for row in range(first, end):
        n, i = row // yh, row % yh
        up, p_first, p_end = _taps(i, ph, sv, top, h)
        for j in range(yw):
            at, q_first, q_end = _taps(j, pw, sh, left, w)
            best, place = y[n, i, j], index[n, i, j]
            if ph == 2 and pw == 2 and p_end - p_first == 2 and q_end - q_first == 2:
                a, b, c, d = x[n, up, at], x[n, up + 1, at], x[n, up, at + 1], x[n, up + 1, at + 1]
                for k in range(channels):
                    m, tap = a[k], np.uint8(0)
                    better = (b[k] > m) | (b[k] != b[k])
                    m, tap = (b[k] if better else m), (np.uint8(1) if better else tap)
                    better = (c[k] > m) | (c[k] != c[k])
                    m, tap = (c[k] if better else m), (np.uint8(2) if better else tap)
                    better = (d[k] > m) | (d[k] != d[k])
                    m, tap = (d[k] if better else m), (np.uint8(3) if better else tap)
                    best[k] = m
                    place[k] = tap if m == m else NOWHERE
                continue
            best[:] = x[n, up + p_first, at + q_first]
            place[:] = p_first + ph * q_first
            for q in range(q_first, q_end):
                for p in range(p_first, p_end):
                    new, tap = x[n, up + p, at + q], np.uint8(p + ph * q)
                    for k in range(channels):
                        better = (new[k] > best[k]) | (new[k] != new[k])
                        best[k] = new[k] if better else best[k]
                        place[k] = tap if better else place[k]
            for k in range(channels):
                place[k] = place[k] if best[k] == best[k] else NOWHERE


@loops.compiled
def _routed(index, dy, dx, ph, sv, top, pw, sh, left, first, end):  # noqa: ANN001, ANN202
    _, h, w, channels = dx.shape
    yh, yw = dy.shape[1:3]
    for row in range(first, end):
        n, r = row // h, row % h
        i_first, i_end = _holders(r, ph, sv, top, yh)
        alone = pw <= sh and i_end - i_first == 1  # each pixel is of one window at most
        if not (alone and pw == sh and yw * sh - left >= w):
            dx[n, r] = 0
        for i in range(i_first, i_end):
            p = r + top - i * sv
            for j in range(yw):
                at, q_first, q_end = _taps(j, pw, sh, left, w)
                for q in range(q_first, q_end):
                    tap, place, given, goal = np.uint8(p + ph * q), index[n, i, j], dy[n, i, j], dx[n, r, at + q]
                    if alone:
                        for k in range(channels):
                            goal[k] = given[k] if place[k] == tap else 0
                    else:
                        for k in range(channels):
                            goal[k] += given[k] if place[k] == tap else 0


@loops.compiled
def _means(x, y, ph, sv, top, pw, sh, left, first, end):  # noqa: ANN001, ANN202
    _, yh, yw, channels = y.shape
    h, w = x.shape[1:3]
    for row in range(first, end):
        n, i = row // yh, row % yh
        up, p_first, p_end = _taps(i, ph, sv, top, h)
        for j in range(yw):
            at, q_first, q_end = _taps(j, pw, sh, left, w)
            total = y[n, i, j]
            total[:] = 0
            for p in range(p_first, p_end):
                for q in range(q_first, q_end):
                    new = x[n, up + p, at + q]
                    for k in range(channels):
                        total[k] += new[k]
            count = (p_end - p_first) * (q_end - q_first)
            for k in range(channels):
                total[k] /= count


@loops.compiled
def _shares(dy, dx, ph, sv, top, pw, sh, left, first, end):  # noqa: ANN001, ANN202
    _, h, w, channels = dx.shape
    yh, yw = dy.shape[1:3]
    for row in range(first, end):
        n, r = row // h, row % h
        dx[n, r] = 0
        i_first, i_end = _holders(r, ph, sv, top, yh)
        for i in range(i_first, i_end):
            _, p_first, p_end = _taps(i, ph, sv, top, h)
            for j in range(yw):
                at, q_first, q_end = _taps(j, pw, sh, left, w)
                count = (p_end - p_first) * (q_end - q_first)
                for q in range(q_first, q_end):
                    given, goal = dy[n, i, j], dx[n, r, at + q]
                    for k in range(channels):
                        goal[k] += given[k] / count
