"""The rectified linear unit in compiled loops. Arrays are C-contiguous."""

import numpy as np

from ... import buffers, parts, threads
from . import loops, sums


def forward(x: np.ndarray, leak: float) -> np.ndarray:
    """y, shaped like x."""
    y = buffers.empty(x.shape, x.dtype)
    threads.run(_forward, [(*part, x.dtype.type(leak)) for part in parts.elements(x, y)])
    return y


def backward(x: np.ndarray, dy: np.ndarray, leak: float) -> np.ndarray:
    """dx, shaped like x."""
    dx = buffers.empty(x.shape, x.dtype)
    threads.run(_backward, [(*part, x.dtype.type(leak)) for part in parts.elements(x, dy, dx)])
    return dx


def masked(dy: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dy (pixels, K) where y is above 0, else 0; and the K sums of that."""
    kept = buffers.empty(dy.shape, dy.dtype)
    return kept, sums.by_parts(_masked, dy, y, kept)


@loops.compiled
def _forward(x, y, leak):  # noqa: ANN001, ANN202  # numba infers types
    if leak == 0:
        for i in range(x.size):
            y[i] = 0 if x[i] <= 0 else x[i]
    else:
        for i in range(x.size):
            y[i] = leak * x[i] if x[i] <= 0 else x[i]


@loops.compiled
def _backward(x, dy, dx, leak):  # noqa: ANN001, ANN202
    if leak == 0:
        for i in range(x.size):
            dx[i] = dy[i] if x[i] > 0 else 0
    else:
        for i in range(x.size):
            dx[i] = dy[i] if x[i] > 0 else leak * dy[i]


@loops.compiled
def _masked(dy, y, kept, sums):  # noqa: ANN001, ANN202
    for pixel in range(len(dy)):
        for k in range(dy.shape[1]):
            value = dy[pixel, k] if y[pixel, k] > 0 else 0
            kept[pixel, k] = value
            sums[k] += value
