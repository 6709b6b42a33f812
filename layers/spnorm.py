"""Normalisation by the energy of the neighbourhood (MatConvNet vl_nnspnorm, dagnn.SpatialNorm).

Shapes    x, y, dx, dy, L (H, W, C, N); param [PH, PW, alpha, beta]
Forward   y  = x * L^-beta,  L = 1 + alpha * mean of x^2 over the window
          The window of a pixel begins floor((PH-1)/2) rows above it and floor((PW-1)/2) columns left of it, and is cut at the
          border: the mean is over the pixels that exist. (MatConvNet's help says sum; its code takes the mean.)
Backward  dx = dy * L^-beta - 2 alpha beta x * (the derivative of that mean, handed dy * x * L^(-beta-1))
Source    vl_nnspnorm.m, +dagnn/SpatialNorm.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import array, block, pool
from .array import Array


def forward(x: Array, *, param: Sequence[float] = (2, 2, 10, 2)) -> Array:
    """y. Raises ValueError where x is not float32 or float64, or param not four numbers with a whole window."""
    array.check_floats("spnorm", x=x)
    options, alpha, beta = _checked(param)
    x = array.base(array.four_d(x))
    return (x * array.power(_size(x, alpha, options), -beta)).transpose(1, 2, 3, 0)


def backward(x: Array, dy: Array, *, param: Sequence[float] = (2, 2, 10, 2)) -> Array:
    """dx. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("spnorm", x=x, dy=dy)
    options, alpha, beta = _checked(param)
    x = array.four_d(x)
    x, dy = array.base(x), array.base(array.derivative("spnorm", dy, x.shape))
    size = _size(x, alpha, options)
    dx = dy * array.power(size, -beta)
    dmean = (dx * x / size).transpose(1, 2, 3, 0)
    dsquare = array.base(pool.backward(x.transpose(1, 2, 3, 0), dy=dmean, **options))
    dx -= 2 * alpha * beta * x * dsquare
    return dx.transpose(1, 2, 3, 0)


def _size(x: Array, alpha: float, options: dict[str, Any]) -> Array:
    """L (N, H, W, C) of x (N, H, W, C)."""
    return 1 + alpha * array.base(pool.forward((x * x).transpose(1, 2, 3, 0), **options))


def _checked(param: Sequence[float]) -> tuple[dict[str, Any], float, float]:
    """How pool takes the mean, alpha, beta."""
    if len(param) != 4 or any(int(p) != p or p < 1 for p in param[:2]):
        raise ValueError(
            f"spnorm: param is {list(param)}; [PH, PW, alpha, beta] with a window of whole pixels is right"
        )
    ph, pw = int(param[0]), int(param[1])
    top, left = (ph - 1) // 2, (pw - 1) // 2
    pad = (top, ph - 1 - top, left, pw - 1 - left)
    return {"pool": (ph, pw), "pad": pad, "method": "avg"}, float(param[2]), float(param[3])


@dataclass
class SpatialNorm(block.Layer):
    """Input: x. Output: y. No parameters."""

    param: list[float] = field(default_factory=lambda: [2, 2, 10, 2])

    n_inputs, n_params = (1,), (0,)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x."""
        return [forward(inputs[0], param=self.param)]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx."""
        return [backward(inputs[0], der_outputs[0], param=self.param)], []
