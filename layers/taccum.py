"""Weighted sum of two arrays (MatConvNet vl_taccum), as derivatives and momenta are accumulated.

Shapes    a, b, y alike; either may be a single number
Forward   y = alpha * a + beta * b
Source    vl_taccum.m of 1.0-beta25
"""

from . import array
from .array import Array


def forward(alpha: float, a: Array, beta: float, b: Array) -> Array:
    """y, a new array. Raises ValueError where a and b are arrays of different shapes."""
    array.module_of(a, b)
    if getattr(a, "shape", ()) != getattr(b, "shape", ()):
        # One is a number, in whatever form: it takes the other's dtype.
        a, b = (v.item() if getattr(v, "size", 0) == 1 else v for v in (a, b))
        if not isinstance(a, (int, float)) and not isinstance(b, (int, float)):
            raise ValueError(f"taccum: a has shape {a.shape} and b {b.shape}; equal shapes, or one number, are right")
    return float(alpha) * a + float(beta) * b
