"""Weighted sum of two arrays (MatConvNet vl_taccum), as derivatives and momenta are accumulated.

Shapes    a, b, y alike; either may be a single number
Forward   y = alpha * a + beta * b
Source    vl_taccum.m of 1.0-beta25
"""

import numpy as np

from . import array
from .array import Array


def forward(alpha: float, a: Array, beta: float, b: Array) -> Array:
    """y, a new array in the memory order of a, or of b where a is a number.

    Raises ValueError where a and b are arrays of different shapes or dtypes, or neither is an array.
    """
    xp = array.module_of(a, b)
    if getattr(a, "shape", ()) != getattr(b, "shape", ()):
        # One is a number, in whatever form: it takes the other's dtype.
        a, b = (v.item() if getattr(v, "size", 0) == 1 else v for v in (a, b))
    if isinstance(a, (int, float)):
        alpha, a, beta, b = beta, b, alpha, a
    arrays = {name: v for name, v in (("a", a), ("b", b)) if not isinstance(v, (int, float))}
    if len({v.shape for v in arrays.values()}) != 1:
        shapes = " and ".join(str(np.shape(v)) for v in (a, b))
        raise ValueError(f"taccum: a and b have shapes {shapes}; equal shapes, or one number and an array, are right")
    array.check_floats("taccum", **arrays)
    y = xp.multiply(
        a, float(alpha), out=array.empty_like(a)
    )  # out: in a's memory order, which CuPy alone would not keep
    return xp.add(y, float(beta) * b, out=y)
