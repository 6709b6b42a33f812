"""Losses of scores against attributes, each of which a pixel has or has not: the formulas that loss.py sums over both.

Shapes    x, c, t, dt/dx all (C, M): the scores of M pixels for C attributes; c is +1 (has it), -1 (has it not) or 0 (ignored,
          whatever t and dt/dx, which are finite there)
Formulas  logistic     t = log(1 + exp(-c x))                dt/dx = -c / (1 + exp(c x))
          binarylog    t = -log(c (x - 0.5) + 0.5)           dt/dx = -1 / (x + (c - 1) / 2)      x is a probability: -log x or
                                                                                                 -log(1 - x)
          hinge        t = max(0, 1 - c x)                   dt/dx = -c [c x < 1]
          binaryerror  t = [sign(x - threshold) is not c]    0: at the threshold it is always an error
Source    MatConvNet manual, 4.8; vl_nnloss.m of 1.0-beta25 and of master
"""

from . import array
from .array import Array


def logistic(x: Array, c: Array) -> Array:
    """t, of which no exp overflows: log(1 + exp(-m)) = max(-m, 0) + log(1 + exp(-|m|))."""
    xp, margin = array.module_of(x), c * x
    return xp.maximum(-margin, 0) + xp.log1p(xp.exp(-xp.abs(margin)))


def logistic_slope(x: Array, c: Array) -> Array:
    """dt/dx, by 1 / (1 + exp(m)) = exp(-m) / (exp(-m) + 1)."""
    xp, margin = array.module_of(x), c * x
    e = xp.exp(-xp.abs(margin))
    return -c * xp.where(margin > 0, e, 1) / (1 + e)


def binarylog(x: Array, c: Array) -> Array:
    """t."""
    return -array.module_of(x).log(c * (x - 0.5) + 0.5)


def binarylog_slope(x: Array, c: Array) -> Array:
    """dt/dx."""
    return -1 / array.module_of(x).where(c == 0, 1, x + (c - 1) / 2)


def hinge(x: Array, c: Array) -> Array:
    """t."""
    return array.module_of(x).maximum(0, 1 - c * x)


def hinge_slope(x: Array, c: Array) -> Array:
    """dt/dx."""
    return -c * (c * x < 1)


def binaryerror(x: Array, c: Array, *, threshold: float) -> Array:
    """t."""
    return (array.module_of(x).sign(x - threshold) != c).astype(x.dtype)
