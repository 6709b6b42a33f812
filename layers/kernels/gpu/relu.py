"""The rectified linear unit on the GPU: launches relu.cu. Arrays are C-contiguous."""

from ... import array
from ...array import Array
from . import launch, sums


def forward(x: Array, leak: float) -> Array:
    """y, shaped like x."""
    y = array.module_of(x).empty(x.shape, x.dtype)
    _launch("relu_forward", (x, y), leak)
    return y


def backward(x: Array, dy: Array, leak: float) -> Array:
    """dx, shaped like x."""
    dx = array.module_of(x).empty(x.shape, x.dtype)
    _launch("relu_backward", (x, dy, dx), leak)
    return dx


def masked(dy: Array, y: Array) -> tuple[Array, Array]:
    """dy (pixels, K) where y is above 0, else 0; and the K sums of that."""
    xp, (rows, channels), step = array.module_of(dy), dy.shape, launch.step(dy, y)
    cut = sums.parts(rows, channels // step)
    dx, partial = xp.empty(dy.shape, dy.dtype), xp.empty((cut.grid[0], channels), dy.dtype)
    args = (dy, y, dx, partial, rows, channels, cut.each, step)
    launch.kernel("relu", "relu_masked", dy.dtype)(cut.grid, cut.block, args)
    return dx, sums.of_columns(partial)


def _launch(name: str, arrays: tuple[Array, ...], leak: float) -> None:
    (count, dtype), step = (arrays[0].size, arrays[0].dtype), launch.step(*(a.reshape(-1) for a in arrays))
    launch.kernel("relu", name, dtype)(launch.blocks(count // step), launch.BLOCK, (*arrays, count, leak, step))
