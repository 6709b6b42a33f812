"""Softmax over channels on the GPU, and the loss of it: launches softmax.cu.

x, y, dx, dy    (pixels, C), C-contiguous
"""

from ... import array
from ...array import Array
from . import launch, sums

ALONE = 32  # channels that one thread takes alone; of more, a row of threads shares the pixel


def forward(x: Array) -> Array:
    """y."""
    y = array.module_of(x).empty(x.shape, x.dtype)
    grid, block = _rows(x)
    launch.kernel("softmax", "softmax_forward", x.dtype)(grid, block, (x, y, *x.shape))
    return y


def backward(x: Array, dy: Array) -> Array:
    """dx."""
    dx = array.module_of(x).empty(x.shape, x.dtype)
    grid, block = _rows(x)
    launch.kernel("softmax", "softmax_backward", x.dtype)(grid, block, (x, dy, dx, *x.shape))
    return dx


def log_loss(
    x: Array, labels: Array, weights: Array | None, scale: float, derive: bool = True
) -> tuple[Array, Array | None]:
    """The sum of weights * t, a float64 array without dimensions, and, with derive, dx = scale * weights * dt/dx.

    labels, weights   (pixels,) of x's dtype: classes 1..C, 0 to ignore, others make NaN; no weights stand for 1
    """
    xp, (grid, block) = array.module_of(x), _rows(x)
    dx = xp.empty(x.shape, x.dtype) if derive else None
    partial = xp.zeros((max(1, grid[0]), 1))
    launch.kernel("softmax", "softmaxlog", x.dtype)(grid, block, (x, labels, weights, dx, partial, *x.shape, scale))
    return sums.of_columns(partial)[0], dx


def _rows(x: Array) -> tuple[tuple[int], tuple[int, int]]:
    pixels, channels = x.shape
    (rows, _), block = launch.plane(pixels, 1 if channels <= ALONE else channels)
    return (rows,), block
