"""Pooling on the GPU: launches pool.cu.

Arrays are C-contiguous: x, dx (N, H, W, C), y, dy, index (N, YH, YW, C). rows and columns are windows.Line.
index   which tap of its window the maximum is: p + PH * q for row p and column q; of equals the first in that order.
        Where the maximum is NaN it is 255, and no pixel gets a derivative; so a window has 255 taps at most.
"""

from typing import TYPE_CHECKING

import numpy as np

from ... import array
from ...array import Array
from . import launch

if TYPE_CHECKING:
    from ...windows import Line


def max_forward(x: Array, rows: "Line", columns: "Line") -> tuple[Array, Array]:
    """y and the index (uint8)."""
    y, index = _made(x, rows.positions, columns.positions), _made(x, rows.positions, columns.positions, np.uint8)
    _launch("max_forward", (x, y, index), y, (rows, columns), launch.step(x, y))
    return y, index


def max_backward(index: Array, dy: Array, rows: "Line", columns: "Line") -> Array:
    """dx: each dy where the maximum was."""
    dx = _made(dy, rows.size, columns.size)
    _launch("max_backward", (index, dy, dx), dx, (rows, columns), launch.step(dy, dx))
    return dx


def avg_forward(x: Array, rows: "Line", columns: "Line") -> Array:
    """y: the mean of each window, of what of it lies in x."""
    y = _made(x, rows.positions, columns.positions)
    _launch("avg_forward", (x, y), y, (rows, columns), launch.step(x, y))
    return y


def avg_backward(dy: Array, rows: "Line", columns: "Line") -> Array:
    """dx: each dy shared out to its window."""
    dx = _made(dy, rows.size, columns.size)
    _launch("avg_backward", (dy, dx), dx, (rows, columns), launch.step(dy, dx))
    return dx


def _made(like: Array, height: int, width: int, dtype: type | None = None) -> Array:
    return array.module_of(like).empty((len(like), height, width, like.shape[3]), dtype or like.dtype)


def _launch(name: str, arrays: tuple[Array, ...], made: Array, lines: "tuple[Line, Line]", step: int) -> None:
    rows, columns = lines
    pixels, channels = made.size // max(1, made.shape[3]), made.shape[3]
    grid, block = launch.plane(pixels, channels // step)
    sizes = (rows.size, columns.size, channels, rows.positions, columns.positions)
    windows = (rows.window, columns.window, rows.stride, columns.stride, rows.before, columns.before)
    launch.kernel("pool", name, made.dtype)(grid, block, (*arrays, pixels, *sizes, *windows, step))
