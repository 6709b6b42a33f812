"""Softmax over the channels (MatConvNet vl_nnsoftmax, dagnn.SoftMax).

Shapes    x, y, dx, dy (H, W, C, N)
Forward   y[c]  = exp(x[c]) / sum_k exp(x[k])               at each pixel; the largest x is subtracted first
Backward  dx[c] = y[c] * (dy[c] - sum_k dy[k] * y[k])
Source    MatConvNet manual, section 4.7; vl_nnsoftmax.m of 1.0-beta25
"""

from dataclasses import dataclass

from . import array, block
from .array import Array


def forward(x: Array) -> Array:
    """y, shaped like x: at each pixel, positive values that sum to 1. Raises ValueError unless x is float32 or float64."""
    array.check_floats("softmax", x=x)
    xp = array.module_of(x)
    x = array.four_d(x)
    y = xp.subtract(x, x.max(axis=2, keepdims=True), out=array.empty_like(x))  # out: in x's memory order, with CuPy too
    xp.exp(y, out=y)
    y /= y.sum(axis=2, keepdims=True)
    return y


def backward(x: Array, dy: Array) -> Array:
    """dx, from x and dy. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("softmax", x=x, dy=dy)
    y = forward(x)
    dy = array.derivative("softmax", dy, y.shape)
    return array.module_of(y).multiply(y, dy - (dy * y).sum(axis=2, keepdims=True), out=y)


@dataclass
class SoftMax(block.Layer):
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
