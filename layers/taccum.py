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
    shapes = [getattr(v, "shape", ()) for v in (a, b)]
    sizes = [getattr(v, "size", 1) for v in (a, b)]
    if shapes[0] != shapes[1] and 1 not in sizes:
        raise ValueError(f"taccum: a has shape {shapes[0]} and b {shapes[1]}; equal shapes, or one number, are right")
    return float(alpha) * a + float(beta) * b
