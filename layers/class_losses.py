"""Losses of scores against one class a pixel: the formulas that loss.py sums over pixels.

Shapes    x (C, M) the scores of M pixels, class by class, so that sums over few classes are as fast as over many;
          c (M,) their classes, counted from 0; t (M,); dt/dx (C, M)
Formulas  softmaxlog  t = log sum_k exp(x_k) - x_c           dt/dx_k = exp(x_k) / sum_q exp(x_q) - [k = c]
          log         t = -log x_c                           dt/dx_k = -[k = c] / max(x_c, 1e-8)    bounded in the slope alone
          mhinge      t = max(0, 1 - x_c)                    dt/dx_c = -[x_c < 1]
          mshinge     t = max(0, 1 - x_c + x_q)              dt/dx_c = -1, dt/dx_q = 1 where x_c - x_q < 1
                      q: the class of the highest score beside c, the first of equals; none, and t = 0, where C = 1
          classerror  t = [the highest score, the first of equals, is not x_c]
          topkerror   t = [c is not among the top_k highest scores; of equals the first count as higher]
          classerror and topkerror have the slope 0.
Source    MatConvNet manual, 4.8; vl_nnloss.m of 1.0-beta25 and of master
"""

from . import array
from .array import Array


def softmaxlog(x: Array, c: Array) -> Array:
    """t. The highest score is subtracted before exp, which so cannot overflow."""
    xp = array.module_of(x)
    highest = x.max(axis=0)
    return xp.log(xp.exp(x - highest).sum(axis=0)) + (highest - _of_class(x, c))


def softmaxlog_slope(x: Array, c: Array) -> Array:
    """dt/dx."""
    _, slope = softmaxlog_both(x, c)
    return slope


def softmaxlog_both(x: Array, c: Array) -> tuple[Array, Array]:
    """t and dt/dx, from one exponential."""
    xp, place = array.module_of(x), _place(x, c)
    highest = x.max(axis=0)
    slope = xp.exp(x - highest)
    total = slope.sum(axis=0)
    slope /= total
    slope.reshape(-1)[place] -= 1
    return xp.log(total) + (highest - x.reshape(-1).take(place)), slope


def log(x: Array, c: Array) -> Array:
    """t."""
    return -array.module_of(x).log(_of_class(x, c))


def log_slope(x: Array, c: Array) -> Array:
    """dt/dx."""
    xp = array.module_of(x)
    slope = xp.zeros_like(x)
    _add_to_class(slope, c, -1 / xp.maximum(_of_class(x, c), x.dtype.type(1e-8)))
    return slope


def mhinge(x: Array, c: Array) -> Array:
    """t."""
    return array.module_of(x).maximum(0, 1 - _of_class(x, c))


def mhinge_slope(x: Array, c: Array) -> Array:
    """dt/dx."""
    slope = array.module_of(x).zeros_like(x)
    _add_to_class(slope, c, -(_of_class(x, c) < 1).astype(x.dtype))
    return slope


def mshinge(x: Array, c: Array) -> Array:
    """t."""
    rival = _others(x, c).max(axis=0)
    return array.module_of(x).maximum(0, 1 - _of_class(x, c) + rival)


def mshinge_slope(x: Array, c: Array) -> Array:
    """dt/dx."""
    others = _others(x, c)
    q = others.argmax(axis=0)
    active = (_of_class(x, c) - _of_class(others, q) < 1).astype(x.dtype)
    slope = array.module_of(x).zeros_like(x)
    _add_to_class(slope, c, -active)
    _add_to_class(slope, q, active)
    return slope


def classerror(x: Array, c: Array) -> Array:
    """t."""
    return (x.argmax(axis=0) != c).astype(x.dtype)


def topkerror(x: Array, c: Array, *, top_k: int) -> Array:
    """t. Raises ValueError where top_k is not of 1..C."""
    classes = len(x)
    if top_k != int(top_k) or not 1 <= top_k <= classes:
        raise ValueError(
            f"loss: topkerror's top_k is {top_k} and there are {classes} classes; a whole number 1..{classes} is right"
        )
    xp, own = array.module_of(x), _of_class(x, c)
    higher = (x > own) | ((x == own) & (xp.arange(classes)[:, None] < c))
    return (higher.sum(axis=0) >= top_k).astype(x.dtype)


def _place(x: Array, c: Array) -> Array:
    """Where each pixel's score for its own class stands in x, counted through."""
    pixels = x.shape[1]
    return c * pixels + array.module_of(x).arange(pixels)


def _of_class(x: Array, c: Array) -> Array:
    """Each pixel's score for its own class, (M,)."""
    return x.reshape(-1).take(_place(x, c))


def _add_to_class(slope: Array, c: Array, values: Array | float) -> None:
    """Adds a value a pixel to the entry of its class, in place."""
    slope.reshape(-1)[_place(slope, c)] += values


def _others(x: Array, c: Array) -> Array:
    """The scores with -inf in place of each pixel's own class."""
    others = x.copy()
    others[c, array.module_of(x).arange(x.shape[1])] = -array.module_of(x).inf
    return others
