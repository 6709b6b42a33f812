"""Softmax over channels, and the loss of it: compiled loops around NumPy's exponential and logarithm, which are vectorised.

x, y, dx, dy    (pixels, C), C-contiguous
"""

import numpy as np

from ... import buffers, threads
from . import loops

PART = 1 << 15  # numbers of x that a thread takes at a time: with what is made of them they stay in cache


def forward(x: np.ndarray) -> np.ndarray:
    """y."""
    y = buffers.empty(x.shape, x.dtype)

    def part(x: np.ndarray, y: np.ndarray) -> None:
        z = _exponential(x)
        _shares(z, y)

    threads.run(part, _parts(x, y))
    return y


def backward(x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """dx."""
    dx = buffers.empty(x.shape, x.dtype)

    def part(x: np.ndarray, dy: np.ndarray, dx: np.ndarray) -> None:
        _derived(_exponential(x), dy, dx)

    threads.run(part, _parts(x, dy, dx))
    return dx


def log_loss(
    x: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, scale: float, derive: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """The sum of weights * t, a float64 array without dimensions, and, with derive, dx = scale * weights * dt/dx.

    labels, weights   (pixels,) of x's dtype: classes 1..C, 0 to ignore; no weights stand for 1

    Raises ValueError for another label.
    """
    dx = buffers.empty(x.shape, x.dtype) if derive else None
    weights = np.ones_like(labels) if weights is None else weights

    def part(x: np.ndarray, labels: np.ndarray, weights: np.ndarray, *dx: np.ndarray) -> float:
        z, own = np.empty(x.shape[::-1], x.dtype), np.zeros_like(labels)
        _centred(x, z)
        if not _own(z, labels, own):
            raise ValueError(f"softmax: a label is none of 0..{x.shape[1]}, the classes that there are")
        total = np.empty_like(labels)
        _totals(np.exp(z, out=z), total)
        if dx:
            _slopes(z, total, labels, weights, x.dtype.type(scale), *dx)
        return _losses(np.log(total, out=total), own, labels, weights)

    results = threads.run(part, _parts(x, labels, weights, *(() if dx is None else (dx,))))
    return np.asarray(sum(results, 0.0)), dx


def _parts(x: np.ndarray, *others: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    step = max(1, PART // max(1, x.shape[1]))
    return [tuple(a[i : i + step] for a in (x, *others)) for i in range(0, len(x), step)]


def _exponential(x: np.ndarray) -> np.ndarray:
    z = np.empty(x.shape[::-1], x.dtype)
    _centred(x, z)
    return np.exp(z, out=z)


# Loops over few classes are short: pixels, which are many, come in the inner loop. What is to be turned from (pixels, C) to
# (C, pixels), or back, is turned in a loop of its own, so that the others are vectorised.


@loops.compiled
def _centred(x, z):  # noqa: ANN001, ANN202  # numba infers types
    """z (C, pixels) = x minus the pixel's highest number."""
    classes, pixels = z.shape
    highest = np.empty(pixels, x.dtype)
    for i in range(pixels):
        highest[i] = x[i, 0]
    for k in range(classes):
        for i in range(pixels):
            z[k, i] = x[i, k]
        for i in range(pixels):
            highest[i] = z[k, i] if z[k, i] > highest[i] else highest[i]
    for k in range(classes):
        for i in range(pixels):
            z[k, i] -= highest[i]


@loops.compiled
def _totals(z, total):  # noqa: ANN001, ANN202
    total[:] = 0
    for k in range(len(z)):
        for i in range(len(total)):
            total[i] += z[k, i]


@loops.compiled
def _shares(z, y):  # noqa: ANN001, ANN202
    """y (pixels, C) = z / its pixel's sum."""
    total = np.zeros(len(y), y.dtype)
    for k in range(len(z)):
        for i in range(len(y)):
            total[i] += z[k, i]
    for k in range(len(z)):
        for i in range(len(y)):
            z[k, i] /= total[i]
        for i in range(len(y)):
            y[i, k] = z[k, i]


@loops.compiled
def _derived(z, dy, dx):  # noqa: ANN001, ANN202
    pixels, turned = len(dy), np.empty(z.shape, dy.dtype)
    total, product = np.zeros(pixels, dy.dtype), np.zeros(pixels, dy.dtype)
    for k in range(len(z)):
        for i in range(pixels):
            turned[k, i] = dy[i, k]
        for i in range(pixels):
            total[i] += z[k, i]
            product[i] += z[k, i] * turned[k, i]
    for i in range(pixels):
        product[i] /= total[i]
    for k in range(len(z)):
        for i in range(pixels):
            z[k, i] = z[k, i] / total[i] * (turned[k, i] - product[i])
        for i in range(pixels):
            dx[i, k] = z[k, i]


@loops.compiled
def _own(z, labels, own):  # noqa: ANN001, ANN202
    """own becomes what z has for each pixel's class; whether all labels are right."""
    found = np.zeros(len(labels), np.bool_)
    for k in range(len(z)):
        label = labels.dtype.type(k + 1)
        for i in range(len(labels)):
            chosen = labels[i] == label
            own[i] = z[k, i] if chosen else own[i]
            found[i] |= chosen
    right = True
    for i in range(len(labels)):
        right &= found[i] | (labels[i] == 0)
    return right


@loops.compiled(fastmath={"reassoc", "contract"})  # sums in any order, which is the same in every run
def _losses(log_total, own, labels, weights):  # noqa: ANN001, ANN202
    """The sum of weights * t."""
    value = 0.0
    for i in range(len(own)):
        t = weights[i] * (log_total[i] - own[i])
        value += t if (labels[i] > 0) & (weights[i] != 0) else 0.0
    return value


@loops.compiled
def _slopes(z, total, labels, weights, scale, dx):  # noqa: ANN001, ANN202
    weight = np.empty(len(labels), z.dtype)
    for i in range(len(labels)):
        weight[i] = scale * weights[i] if labels[i] > 0 else 0
    for k in range(len(z)):
        label, one = labels.dtype.type(k + 1), z.dtype.type(1)
        for i in range(len(labels)):
            share = z[k, i] / total[i]
            z[k, i] = weight[i] * (share - one if labels[i] == label else share)
        for i in range(len(labels)):
            dx[i, k] = z[k, i]
