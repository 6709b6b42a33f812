"""Smooth L1 loss of a regression (dagnn.LossSmoothL1 of MatConvNet's Fast R-CNN example).

Shapes    x, dx, x0 and the weights v all (H, W, C, N); y, dy one number
Forward   y  = sum of v * t(d),  d = x - x0
          t  = sigma^2 d^2 / 2            where |d| <= 1 / sigma^2: a parabola about 0,
               |d| - 1 / (2 sigma^2)      elsewhere: straight, so that outliers count no more than their distance
Backward  dx = dy * v * (sigma^2 d, elsewhere sign(d)).  x0 and the weights have no derivative.
Source    LossSmoothL1.m of examples/fast_rcnn of 1.0-beta25
"""

from dataclasses import dataclass

import numpy as np

from . import array, loss
from .array import Array


def forward(x: Array, x0: Array, weights: Array, *, sigma: float = 1.0) -> Array:
    """y, an array without dimensions. Raises ValueError where shapes or dtypes differ, or sigma is not above 0."""
    d, v, limit = _prepare(x, x0, weights, sigma)
    xp, distance = array.module_of(d), abs(d)
    t = xp.where(distance > limit, distance - limit / 2, d * d / (2 * limit))
    return xp.asarray((v * t).sum(dtype=np.float64), x.dtype)


def backward(x: Array, x0: Array, weights: Array, dy: Array | float = 1.0, *, sigma: float = 1.0) -> Array:
    """dx (H, W, C, N). Raises ValueError as forward does, and where dy is not one number."""
    d, v, limit = _prepare(x, x0, weights, sigma)
    xp = array.module_of(d)
    slope = xp.where(abs(d) > limit, xp.sign(d), d / limit)
    dy = array.derivative("smoothl1", xp.asarray(dy, x.dtype), (1, 1, 1, 1))
    slope *= v * dy
    return slope.transpose(1, 2, 3, 0)


def _prepare(x: Array, x0: Array, weights: Array, sigma: float) -> tuple[Array, Array, float]:
    """d and v (N, H, W, C), and 1 / sigma^2."""
    array.check_floats("smoothl1", x=x, x0=x0, weights=weights)
    if not sigma > 0:
        raise ValueError(f"smoothl1: sigma is {sigma}; a number above 0 is right")
    array.module_of(x, x0, weights)
    x, x0, v = (array.base(array.four_d(a)) for a in (x, x0, weights))
    if not x.shape == x0.shape == v.shape:
        came = ", ".join(str(a.transpose(1, 2, 3, 0).shape) for a in (x, x0, v))
        raise ValueError(f"smoothl1: x, x0 and the weights are {came}; three equal shapes are right")
    return x - x0, v, 1 / sigma**2


@dataclass
class LossSmoothL1(loss.Loss):
    """Inputs: x, x0 and weights. Output: y. No parameters.

    Of a Loss it has the average, here over the sum of the weights (plus 1e-9, so that there is one without any weight), as in
    MatConvNet.
    """

    sigma: float = 1.0

    n_inputs = (3,)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y."""
        x, x0, weights = inputs
        y = forward(x, x0, weights, sigma=self.sigma)
        if not self.ignore_average:
            self._average(y, weights.sum(dtype=np.float64) + 1e-9)
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; x0 and the weights have none."""
        x, x0, weights = inputs
        return [backward(x, x0, weights, der_outputs[0], sigma=self.sigma), None, None], []

    def check(self, inputs: list[Array]) -> None:
        """There are no labels."""
