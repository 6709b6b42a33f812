"""Normalisation by the p-norm along chosen dimensions (MatConvNet vl_nnnormalizelp, which no block of a DagNN runs).

Shapes    x, y, dx, dy (H, W, C, N); L the same with 1 along the dimensions that are summed over
Forward   y  = x / L,  L = (sum of x^p + epsilon)^(1/p), p even
          Norms L that are given are taken as they are, and epsilon plays no part.
Backward  dx = dy / L - x^(p-1) / L^(p+1) * sum of dy * x
          Given norms are differentiated as if they were x's own, as in MatConvNet.
Source    vl_nnnormalizelp.m of 1.0-beta25
"""

from collections.abc import Sequence

import numpy as np

from . import array
from .array import Array


def forward(
    x: Array,
    *,
    p: float = 2,
    epsilon: float = 0.01,
    dimensions: Sequence[int] = (3,),
    spatial: bool = False,
    norms: Array | None = None,
) -> tuple[Array, Array]:
    """y and the norms used. `dimensions` count from 1; `spatial` stands for (1, 2).

    Raises ValueError where p is not even, dimensions are not of 1..4, dtypes differ, or given norms do not fit.
    """
    x, norms, _, _ = _prepare(x, p, epsilon, dimensions, spatial, norms)
    return (x / norms).transpose(1, 2, 3, 0), norms.transpose(1, 2, 3, 0)


def backward(
    x: Array,
    dy: Array,
    *,
    p: float = 2,
    epsilon: float = 0.01,
    dimensions: Sequence[int] = (3,),
    spatial: bool = False,
    norms: Array | None = None,
) -> Array:
    """dx. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("normalizelp", x=x, dy=dy)
    dy = array.base(array.derivative("normalizelp", dy, array.four_d(x).shape))
    x, norms, axes, exponent = _prepare(x, p, epsilon, dimensions, spatial, norms)
    total = (dy * x).sum(axis=axes, keepdims=True, dtype=np.float64).astype(x.dtype)
    return (dy / norms - total / norms ** (exponent + 1) * x ** (exponent - 1)).transpose(1, 2, 3, 0)


def _prepare(
    x: Array, p: float, epsilon: float, dimensions: Sequence[int], spatial: bool, norms: Array | None
) -> tuple[Array, Array, tuple[int, ...], int]:
    """x and its norms in the order (N, H, W, C), the axes summed over, and p."""
    array.check_floats("normalizelp", x=x, norms=norms)
    if p != int(p) or p < 2 or p % 2:
        raise ValueError(f"normalizelp: p is {p}; an even number, 2 or more, is right")
    numbers = [1, 2] if spatial else sorted({int(d) for d in np.ravel(dimensions)})
    if not numbers or not set(numbers) <= {1, 2, 3, 4}:
        raise ValueError(f"normalizelp: dimensions are {np.ravel(dimensions).tolist()}; some of 1, 2, 3, 4 are right")
    axes = tuple(d % 4 for d in numbers)  # H, W, C, N are axes 1, 2, 3, 0 of (N, H, W, C)
    x = array.base(array.four_d(x))
    size = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    if norms is None:
        total = (x ** int(p)).sum(axis=axes, keepdims=True, dtype=np.float64)
        norms = ((total + epsilon) ** (1 / p)).astype(x.dtype)
    else:
        norms = array.base(array.four_d(norms))
        if norms.shape != size:
            h, w, c, n = (size[axis] for axis in (1, 2, 3, 0))
            raise ValueError(f"normalizelp: norms are {_seen(norms)}; {(h, w, c, n)} is right")
    return x, norms, axes, int(p)


def _seen(x: Array) -> tuple[int, ...]:
    """The shape (H, W, C, N) of an array (N, H, W, C)."""
    return x.transpose(1, 2, 3, 0).shape
