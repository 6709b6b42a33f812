"""3x3 convolution in TF32 on tensor cores, forward and dx, by a kernel that never lays the windows out in memory.

In TF32 the products are so fast that im2col, which writes and reads every number nine times, would take most of the time;
Winograd's transforms would spend digits instead: on real images its error is 3 to 6 times that of plain products in TF32.
dx is the forward pass of dy with the filters turned and transposed. dw is left to conv.py. See ../tensorcore.cu.
"""

import numpy as np

from ... import array, settings
from ...array import Array
from ...im2col import Plan
from . import launch

ROWS, SLAB, STAGES, THREADS = 128, 16, 4, 256  # as in ../tensorcore.cu
LEAST_BLOCKS = 128  # fewer leave a large GPU idle: cuBLAS cuts long sums where there is little to do


def serves(plan: Plan, data: Array) -> bool:
    """Whether this convolution of `data`, x or dy, is done here."""
    (yh, yw, k, n), c, now = plan.output, plan.input[2], settings.current()
    return (
        (plan.window, plan.stride, plan.dilate, plan.g) == ((3, 3), (1, 1), (1, 1), 1)
        and (data.dtype, now.exact, now.precision) == (np.float32, False, "tf32")
        and c % SLAB == k % SLAB == 0
        and _blocks(n * yh * yw, k) >= LEAST_BLOCKS
        and launch.in_fours(data)
        and launch.capability() >= 80
    )


def forward(plan: Plan, x: Array, w: Array, b: Array | None, rectify: bool) -> Array:
    """y (N, YH, YW, K), with rectify max(y, 0), from x (N, H, W, C), w (3, 3, C, K) and K biases or none."""
    return _correlated(x, w, b, plan.output[:2], (plan.pad[0], plan.pad[2]), rectify)


def data_derivative(plan: Plan, dy: Array, w: Array) -> Array:
    """dx (N, H, W, C), from dy (N, YH, YW, K) and w."""
    turned = w[::-1, ::-1].transpose(0, 1, 3, 2)
    return _correlated(dy, turned, None, plan.input[:2], (2 - plan.pad[0], 2 - plan.pad[2]), False)


def _correlated(
    x: Array, w: Array, b: Array | None, size: tuple[int, int], before: tuple[int, int], rectify: bool
) -> Array:
    """y (N, *size, K), from x (N, H, W, C) with `before` zeros above and to the left, and w (3, 3, C, K)."""
    xp, (n, h, width, c), k = array.module_of(x, w), x.shape, w.shape[3]
    filters = xp.ascontiguousarray(w)
    if not launch.in_fours(filters):
        filters = filters.copy()
    biases = b.ravel() if b is not None and b.size else xp.zeros(k, x.dtype)
    y = xp.empty((n, *size, k), x.dtype)
    columns = _columns(k)
    shared = STAGES * (ROWS * (SLAB + 4) + SLAB * (columns + 8)) * x.itemsize
    kernel = launch.kernel("tensorcore", f"correlate_{columns}", x.dtype)
    args = (x, filters, biases, y, n, h, width, c, k, *size, *before, rectify)
    kernel((_blocks(n * size[0] * size[1], k),), (THREADS,), args, shared)
    return y


def _columns(k: int) -> int:
    """Filters a block: 128, or 64 where these would be half of them too many."""
    return 64 if 0 < k % 128 <= 64 else 128


def _blocks(pixels: int, k: int) -> int:
    return -(-pixels // ROWS) * -(-k // _columns(k))
