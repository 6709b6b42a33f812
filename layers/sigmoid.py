"""Sigmoid (MatConvNet vl_nnsigmoid, dagnn.Sigmoid).

Shapes    x, y, dx, dy (H, W, C, N)
Forward   y  = 1 / (1 + exp(-x))
Backward  dx = dy * y * (1 - y)
Source    MatConvNet manual, section 4.5; vl_nnsigmoid.m of 1.0-beta25
"""

from dataclasses import dataclass

from . import array, block
from .array import Array


def forward(x: Array) -> Array:
    """y, shaped like x, in 0 .. 1. Raises ValueError unless x is float32 or float64."""
    array.check_floats("sigmoid", x=x)
    xp, x = array.module_of(x), array.four_d(x)
    e = xp.exp(-xp.abs(x))  # never overflows, whatever the sign of x
    above = xp.where(x >= 0, 1, e)
    return xp.divide(above, 1 + e, out=array.empty_like(x))  # out: in x's memory order, which CuPy alone would not keep


def backward(x: Array, dy: Array) -> Array:
    """dx, from x and dy. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("sigmoid", x=x, dy=dy)
    dx = forward(x)
    dy = array.derivative("sigmoid", dy, dx.shape)
    dx *= 1 - dx
    dx *= dy
    return dx


@dataclass
class Sigmoid(block.Layer):
    """No properties."""

    n_inputs, n_params = (1,), (0,)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x."""
        return [forward(inputs[0])]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; no parameters."""
        return [backward(inputs[0], der_outputs[0])], []
