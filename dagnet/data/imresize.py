"""MATLAB's imresize: the resize under which MatConvNet's networks were trained.

Shapes    image (H, W) or (H, W, C)  ->  (H', W') or (H', W', C)
Kernels   bicubic and bilinear, of resampling.py; nearest is its box, without antialiasing, as in MATLAB
Rules     output pixel i (from 1) looks at input position u = i / s + (1 - 1 / s) / 2, where s is the dimension's scale;
          when shrinking with antialiasing the kernel is widened by 1 / s; weights are divided by their sum;
          positions beyond the border are mirrored, the border pixel twice; the dimension with the smaller scale goes first.
Source    MATLAB's documentation of imresize. Held against arrays that MATLAB wrote (tests/test_imresize.py).

Sums are taken in double. Each of the two passes returns the class of its input, as MATLAB's do: floating point keeps its
type; integers are rounded, halves away from zero, and clipped, twice. Ask for single to round once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse

from dagnet.data import resampling

_METHODS = ("bicubic", "bilinear", "nearest")


def imresize(
    image: np.ndarray,
    size_or_scale: float | Sequence[int],
    method: str = "bicubic",
    antialiasing: bool = True,
    dtype: DTypeLike | None = None,
) -> np.ndarray:
    """Resize an image (H, W) or (H, W, C) as MATLAB's imresize does.

    size_or_scale is a number (the scale of both dimensions; sizes are rounded up) or a pair (rows, columns).
    method is "bicubic", "bilinear" or "nearest". The image's type is kept; with dtype the result is that of
    imresize(image.astype(dtype), ...), without the large copy.
    Raises ValueError for an empty image, one of another dimension or type, an unknown method or a size below 1.
    """
    image = np.asarray(image)
    _refuse_unfit(image, method)
    sizes, scales = _sizes_and_scales(image.shape, size_or_scale)
    dtype = np.dtype(dtype or image.dtype)
    for axis in sorted((0, 1), key=lambda a: scales[a]):
        if method == "nearest":
            image = np.take(image, _nearest_index(image.shape[axis], sizes[axis], scales[axis]), axis=axis)
        else:
            weights = _weights(image.shape[axis], sizes[axis], scales[axis], method, antialiasing)
            image = resampling.apply(weights, image, axis, dtype)
    return image.astype(dtype, copy=False)


def _refuse_unfit(image: np.ndarray, method: str) -> None:
    if method not in _METHODS:
        raise ValueError(f"imresize: method is {method!r}; it must be 'bicubic', 'bilinear' or 'nearest'")
    if image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"imresize: image has shape {image.shape}; it must be (H, W) or (H, W, C) and not empty")
    if method != "nearest" and image.dtype.kind not in "fui":
        raise ValueError(f"imresize: image is of type {image.dtype}; {method} needs floating point or integers")


def _sizes_and_scales(
    shape: tuple[int, ...], size_or_scale: float | Sequence[int]
) -> tuple[tuple[int, int], tuple[float, float]]:
    if np.ndim(size_or_scale) == 0:
        scale = float(size_or_scale)  # type: ignore[arg-type]
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"imresize: scale is {size_or_scale}; it must be a positive number")
        return (math.ceil(scale * shape[0]), math.ceil(scale * shape[1])), (scale, scale)
    sizes = tuple(int(s) for s in size_or_scale)  # type: ignore[union-attr]
    if len(sizes) != 2 or min(sizes) < 1:
        raise ValueError(f"imresize: size is {tuple(size_or_scale)}; it must be (rows, columns), both at least 1")  # type: ignore[arg-type]
    return (sizes[0], sizes[1]), (sizes[0] / shape[0], sizes[1] / shape[1])


def _positions(n_out: int, scale: float) -> np.ndarray:
    """Where each output pixel's centre falls in the input, both counted from 1 as in MATLAB."""
    return np.arange(1, n_out + 1) / scale + 0.5 * (1 - 1 / scale)


def _mirrored(index: np.ndarray, n: int) -> np.ndarray:
    """Indices from 1, possibly outside 1..n, as indices from 0, mirrored at the borders: 1 2 3 3 2 1 1 2 3 ..."""
    index = (index - 1) % (2 * n)
    return np.where(index < n, index, 2 * n - 1 - index)


def _nearest_index(n_in: int, n_out: int, scale: float) -> np.ndarray:
    # The box kernel is open on the right: the pixel j with -0.5 <= u - j < 0.5 is floor(u + 0.5).
    return _mirrored(np.floor(_positions(n_out, scale) + 0.5).astype(np.intp), n_in)


@functools.lru_cache(maxsize=64)  # a data set asks for few pairs of sizes, and many times
def _weights(n_in: int, n_out: int, scale: float, method: str, antialiasing: bool) -> sparse.csr_array:
    """The pass as a matrix (n_out, n_in)."""
    shrink = min(scale, 1.0) if antialiasing else 1.0
    return resampling.matrix(_positions(n_out, scale), n_in, method, shrink, lambda index: _mirrored(index, n_in))
