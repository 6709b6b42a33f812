"""Resampling along one axis of an image: kernels, and their weights as a sparse matrix.

Kernels   k(x), x in pixels:
          box        1 for -1/2 <= x < 1/2, one pixel wide
          bilinear   triangle, two pixels wide
          bicubic    Keys' cubic with a = -0.5, four pixels wide
          lanczos2   sinc(x) sinc(x/2), four pixels wide      lanczos3   sinc(x) sinc(x/3), six pixels wide
          MatConvNet keeps the lanczos ones from 0/0 by adding 1e-5 above and below the stroke, and so do we.
Weights   The output pixel that looks at the input position u takes k(shrink (u - j)) of pixel j, divided by the sum of all.
Source    R. Keys, Cubic convolution interpolation, 1981; MATLAB's documentation of imresize. That 1e-5 is measured: with it
          vl_imreadjpeg's output is met within 1e-6, without it within 9e-6 (tests/test_golden.py).

What lies at u, how much wider a kernel is made (shrink < 1) and what stands for pixels beyond the border, the callers know:
MATLAB's imresize (imresize.py) and MatConvNet's vl_imreadjpeg (imreadjpeg.py) differ there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from scipy import sparse

STRIP = 1 << 20  # input elements converted to double at a time: the working set stays in the processor's cache


def _box(x: np.ndarray) -> np.ndarray:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0.0)


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _lanczos(x: np.ndarray, n: int) -> np.ndarray:
    angle, tiny = np.pi * x, 1e-5
    values = (np.sin(angle) * np.sin(angle / n) + tiny) / (angle * angle / n + tiny)
    return np.where(np.abs(x) < n, values, 0.0)


KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {  # and their widths
    "box": (_box, 1),
    "bilinear": (_triangle, 2),
    "bicubic": (_cubic, 4),
    "lanczos2": (functools.partial(_lanczos, n=2), 4),
    "lanczos3": (functools.partial(_lanczos, n=3), 6),
}


def matrix(
    u: np.ndarray, n_in: int, kernel: str, shrink: float, inside: Callable[[np.ndarray], np.ndarray]
) -> sparse.csr_array:
    """The weights (len(u), n_in), one kernel a row.

    inside takes the numbers of pixels, counted as u counts them, to those from 0 to n_in - 1 that stand for them.
    """
    k, width = KERNELS[kernel]
    reach = width / shrink
    taps = math.ceil(reach) + 2
    index = np.floor(u[:, None] - reach / 2).astype(np.intp) + np.arange(taps)
    values = k(shrink * (u[:, None] - index))
    values /= values.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(u)), taps)
    weights = sparse.csr_array((values.ravel(), (rows, inside(index).ravel())), shape=(len(u), n_in))
    weights.eliminate_zeros()
    return weights


def apply(weights: sparse.csr_array, image: np.ndarray, axis: int, dtype: np.dtype) -> np.ndarray:
    """The image (H, W) or (H, W, C) resampled along axis 0 or 1 by weights (n_out, n_in), strip by strip over the other axis.

    Sums are taken in double. The result is of that dtype; integers are rounded, halves away from zero, and clipped.
    """
    other = 1 - axis
    shape = list(image.shape)
    shape[axis] = weights.shape[0]
    out = np.empty(shape, dtype)
    step = max(1, STRIP * image.shape[other] // image.size)
    source, target = image.swapaxes(0, axis), out.swapaxes(0, axis)
    for start in range(0, image.shape[other], step):
        strip = source[:, start : start + step]
        columns = strip.astype(np.float64, order="C").reshape(strip.shape[0], -1)
        target[:, start : start + step] = _as_type(weights @ columns, out.dtype).reshape(-1, *strip.shape[1:])
    return out


def _as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return values
    limits = np.iinfo(dtype)
    away = np.copysign(np.floor(np.abs(values) + 0.5), values)
    return np.clip(away, limits.min, limits.max)
