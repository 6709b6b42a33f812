"""How far two arrays are apart: max|a - b|; relative: max|a - b| / max|b|; 1 - the cosine of the angle between them; and ulp:
max|a - b| in units in the last place of max|b|. a is ours, b MATLAB's.
"""

from dataclasses import dataclass
from math import inf

import numpy as np

from dagnet.layers import array
from dagnet.layers.array import Array

BASE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-13}  # what one operation may come to, relative


@dataclass(frozen=True)
class Measure:
    """How far ours is from MATLAB's array. `problem` says why they cannot be compared; then all numbers are infinite."""

    max_abs: float = inf
    relative: float = inf
    off_cosine: float = inf
    ulps: float = inf
    problem: str = ""


def measure(ours: Array | None, theirs: np.ndarray, problem: str = "") -> Measure:
    """How far ours is from theirs; trailing dimensions of 1, and how a vector lies, count for nothing."""
    if ours is None:
        return Measure(problem=problem or "not computed here")
    a = array.to_numpy(ours)
    if trimmed(a.shape) != trimmed(theirs.shape) and not (a.size == theirs.size == max(a.shape) == max(theirs.shape)):
        return Measure(problem=f"size {times(a.shape)}, MATLAB's {times(theirs.shape)}")
    a, b = a.reshape(theirs.shape).astype(np.float64), theirs.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):  # of two equal infinities
        difference = np.where(same, 0.0, np.abs(a - b))
    most_of_b = largest(theirs)
    most = float(difference.max(initial=0.0))
    if not np.isfinite(most):
        sides = [side for side, values in (("here", a), ("in MATLAB", b)) if not np.isfinite(values).all()]
        return Measure(problem=f"NaN or infinite {' and '.join(sides)}")
    if most == 0:
        return Measure(0.0, 0.0, 0.0, 0.0)
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    dtype = theirs.dtype if theirs.dtype in BASE else np.dtype(np.float64)
    return Measure(
        most,
        most / most_of_b if most_of_b else inf,
        max(0.0, 1 - float(np.vdot(a, b)) / lengths) if lengths else 1.0,
        most / float(np.spacing(dtype.type(most_of_b))),
    )


def largest(values: np.ndarray) -> float:
    """max|b| of the finite values, 0 where there are none."""
    values = np.abs(values)
    return float(values[np.isfinite(values)].max(initial=0.0))


def trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without sizes of 1 at the end, which MATLAB drops."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return tuple(shape)


def times(shape: tuple[int, ...]) -> str:
    """3x3x64, without the sizes of 1 at the end."""
    return "x".join(map(str, trimmed(shape))) or "1"
