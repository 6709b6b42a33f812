"""Batch normalisation in compiled loops, two passes over the data each way.

x, y, dx, dy    (pixels, C), one pixel at least; g, b, dg, db (C,); moments (C, 2): all C-contiguous
"""

import numpy as np

from ... import buffers, parts, threads
from . import loops

FEW = 64  # rows whose sum in single precision is off by a few units in the last place at most


def forward(
    x: np.ndarray, g: np.ndarray, b: np.ndarray, moments: np.ndarray | None, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """y and the moments used: those given, else the batch's."""
    if moments is None:
        moments, shift, mean = _moments(x, epsilon)
        slope = g / moments[:, 1]
        offset = b - slope * mean
    else:
        shift, slope, offset = np.ascontiguousarray(moments[:, 0]), g / moments[:, 1], b
    y = buffers.empty(x.shape, x.dtype)
    vectors = shift, slope, offset
    threads.run(_scaled, [(*part, *vectors) for part in parts.of([x, y])])
    return y, moments


def backward(
    x: np.ndarray, g: np.ndarray, dy: np.ndarray, moments: np.ndarray | None, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """dx, dg, db and the moments used."""
    if moments is None:
        moments, _, _ = _moments(x, epsilon)
    mu, sigma = np.ascontiguousarray(moments.T)
    db, dg = _summed(_products, [x, dy], mu)
    dg /= sigma
    slope, means, scale = (dg / (len(x) * sigma)).astype(x.dtype), (db / len(x)).astype(x.dtype), g / sigma
    dx = buffers.empty(x.shape, x.dtype)
    threads.run(_derived, [(*part, mu, slope, means, scale) for part in parts.of([x, dy, dx])])
    return dx, dg.astype(x.dtype), db.astype(x.dtype), moments


def _moments(x: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The moments, a shift near each channel's mean, and the mean of x - shift."""
    shift = x[:: max(1, len(x) // 256)].mean(axis=0, dtype=np.float64).astype(x.dtype)
    total, squares = _summed(_squares, [x], shift)
    mean = total / len(x)
    sigma = np.sqrt(np.maximum(squares / len(x) - mean * mean, 0) + epsilon)
    return np.stack([shift + mean, sigma], axis=1).astype(x.dtype), shift, mean.astype(x.dtype)


def _summed(loop, arrays, shift):  # noqa: ANN001, ANN202
    """The loop's two sums (2, C) over all pixels."""
    cut = parts.of(arrays)
    sums = np.zeros((len(cut), 2, len(shift)))
    threads.run(loop, [(*part, shift, total) for part, total in zip(cut, sums, strict=True)])
    return sums.sum(axis=0)


@loops.compiled
def _squares(x, shift, sums):  # noqa: ANN001, ANN202  # numba infers types
    few = np.empty((2, x.shape[1]), x.dtype)
    for first in range(0, len(x), FEW):
        few[:] = 0
        for i in range(first, min(first + FEW, len(x))):
            for k in range(x.shape[1]):
                d = x[i, k] - shift[k]
                few[0, k] += d
                few[1, k] += d * d
        sums += few


@loops.compiled
def _products(x, dy, mu, sums):  # noqa: ANN001, ANN202
    few = np.empty((2, x.shape[1]), x.dtype)
    for first in range(0, len(x), FEW):
        few[:] = 0
        for i in range(first, min(first + FEW, len(x))):
            for k in range(x.shape[1]):
                few[0, k] += dy[i, k]
                few[1, k] += dy[i, k] * (x[i, k] - mu[k])
        sums += few


@loops.compiled
def _scaled(x, y, shift, slope, offset):  # noqa: ANN001, ANN202
    for i in range(len(x)):
        for k in range(x.shape[1]):
            y[i, k] = (x[i, k] - shift[k]) * slope[k] + offset[k]


@loops.compiled
def _derived(x, dy, dx, mu, slope, means, scale):  # noqa: ANN001, ANN202
    for i in range(len(x)):
        for k in range(x.shape[1]):
            dx[i, k] = (dy[i, k] - means[k] - (x[i, k] - mu[k]) * slope[k]) * scale[k]
