"""3x3 convolution in TF32 on tensor cores, forward, dx and dw, by kernels that never lay the windows out in memory.

In TF32 the products are so fast that im2col, which writes and reads every number nine times, would take most of the time;
Winograd's transforms would spend digits instead: on real images its error is 3 to 6 times that of plain products in TF32.
dx is the forward pass of dy with the filters turned and transposed. See ../tensorcore.cu.
"""

import numpy as np

from ... import array, settings
from ...array import Array
from ...im2col import Plan
from . import launch

ROWS, SLAB, STAGES, THREADS, FOUR = 128, 16, 4, 256, 4  # as in ../tensorcore.cu; numbers in a copy
LEAST_BLOCKS = 128  # of y; fewer leave a large GPU idle, and cuBLAS cuts long sums where there is little to do
BLOCKS = 264  # of dw, at least: as many as a large GPU runs at a time


def serves(plan: Plan, *data: Array) -> bool:
    """Whether this convolution of `data`, x or dy or both, is done here."""
    (yh, yw, k, n), c, now = plan.output, plan.input[2], settings.current()
    return (
        (plan.window, plan.stride, plan.dilate, plan.g) == ((3, 3), (1, 1), (1, 1), 1)
        and (data[0].dtype, now.exact, now.precision) == (np.float32, False, "tf32")
        and c % SLAB == k % SLAB == 0
        and -(-n * yh * yw // ROWS) * -(-k // _columns(k)) >= LEAST_BLOCKS
        and launch.step(*data) == FOUR
        and launch.capability() >= 80
    )


def forward(plan: Plan, x: Array, w: Array, b: Array | None, rectify: bool) -> Array:
    """y (N, YH, YW, K), with rectify max(y, 0), from x (N, H, W, C), w (3, 3, C, K) and K biases or none."""
    return _correlated(x, w, b, plan.output[:2], (plan.pad[0], plan.pad[2]), rectify)


def data_derivative(plan: Plan, dy: Array, w: Array) -> Array:
    """dx (N, H, W, C), from dy (N, YH, YW, K) and w."""
    turned = w[::-1, ::-1].transpose(0, 1, 3, 2)
    return _correlated(dy, turned, None, plan.input[:2], (2 - plan.pad[0], 2 - plan.pad[2]), False)


def filter_derivative(plan: Plan, x: Array, dy: Array) -> Array:
    """dw (3, 3, C, K), from x (N, H, W, C) and dy (N, YH, YW, K)."""
    (n, h, width, c), (yh, yw, k, _) = x.shape, plan.output
    slabs, each = _slabs(n * yh * yw, c, k)
    shares = -(-slabs // each)
    sums = array.module_of(x, dy).empty((shares, 3, 3, c, k), x.dtype)
    args = (x, dy, sums, n, h, width, c, k, yh, yw, plan.pad[0], plan.pad[2], each)
    _launch("sum_pixels", k, shares * -(-9 * c // ROWS), SLAB * (ROWS + 8), args)
    return sums.sum(axis=0) if shares > 1 else sums[0]


def _correlated(
    x: Array, w: Array, b: Array | None, size: tuple[int, int], before: tuple[int, int], rectify: bool
) -> Array:
    """y (N, *size, K), from x (N, H, W, C) with `before` zeros above and to the left, and w (3, 3, C, K)."""
    xp, (n, h, width, c), k = array.module_of(x, w), x.shape, w.shape[3]
    filters = xp.ascontiguousarray(w)
    if launch.step(filters) != FOUR:
        filters = filters.copy()
    biases = b.ravel() if b is not None and b.size else None
    y = xp.empty((n, *size, k), x.dtype)
    args = (x, filters, biases, y, n, h, width, c, k, *size, *before, rectify)
    _launch("correlate", k, -(-n * size[0] * size[1] // ROWS), ROWS * (SLAB + 4), args)
    return y


def _slabs(pixels: int, c: int, k: int) -> tuple[int, int]:
    """Of the sums over y's pixels: how many slabs, and how many each block takes, to keep a GPU busy within the scratch."""
    slabs = -(-pixels // SLAB)
    fitting = max(1, settings.current().scratch // (9 * c * k * 4))
    wanted = -(-BLOCKS // (-(-9 * c // ROWS) * -(-k // _columns(k))))
    return slabs, -(-slabs // min(fitting, wanted, slabs))


def _columns(k: int) -> int:
    """Filters a block: 128, or 64 where these would be half of them too many."""
    return 64 if 0 < k % 128 <= 64 else 128


def _launch(kernel: str, k: int, blocks: int, stage: int, args: tuple) -> None:
    """That many blocks for each COLUMNS of k; `stage` numbers of the left operand are in shared memory in each stage."""
    columns = _columns(k)
    shared = STAGES * (stage + SLAB * (columns + 8)) * 4
    launch.kernel("tensorcore", f"{kernel}_{columns}", np.float32)(
        (blocks * -(-k // columns),), (THREADS,), args, shared
    )
