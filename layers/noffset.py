"""Subtraction of a power of the norm (MatConvNet vl_nnnoffset, dagnn.NormOffset).

Shapes    x, y, dx, dy (H, W, C, N); L (H, W, 1, N); param [alpha, beta]
Forward   y_k  = x_k - alpha * L^beta,  L = max(sum over the channels of x_q^2, 1e-8)
Backward  dx_k = dy_k - 2 alpha beta x_k * L^(beta-1) * sum over the channels of dy_q
          The bound 1e-8 is differentiated as if it were not there, as in MatConvNet.
Source    vl_nnnoffset.m, +dagnn/NormOffset.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import array, block
from .array import Array


def forward(x: Array, *, param: Sequence[float] = (1, 0.5)) -> Array:
    """y. Raises ValueError where x is not float32 or float64, or param not two numbers."""
    array.check_floats("noffset", x=x)
    alpha, beta = _checked(param)
    x = array.base(array.four_d(x))
    return (x - alpha * array.power(_size(x), beta)).transpose(1, 2, 3, 0)


def backward(x: Array, dy: Array, *, param: Sequence[float] = (1, 0.5)) -> Array:
    """dx. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("noffset", x=x, dy=dy)
    alpha, beta = _checked(param)
    x = array.four_d(x)
    x, dy = array.base(x), array.base(array.derivative("noffset", dy, x.shape))
    slope = 2 * alpha * beta * array.power(_size(x), beta - 1) * dy.sum(axis=3, keepdims=True)
    return (dy - x * slope).transpose(1, 2, 3, 0)


def _size(x: Array) -> Array:
    """L (N, H, W, 1) of x (N, H, W, C)."""
    return array.module_of(x).maximum((x * x).sum(axis=3, keepdims=True), 1e-8)


def _checked(param: Sequence[float]) -> tuple[float, float]:
    if len(param) != 2:
        raise ValueError(f"noffset: param is {list(param)}; [alpha, beta] is right")
    return float(param[0]), float(param[1])


@dataclass
class NormOffset(block.Layer):
    """Input: x. Output: y. No parameters."""

    param: list[float] = field(default_factory=lambda: [1, 0.5])

    n_inputs, n_params = (1,), (0,)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x."""
        return [forward(inputs[0], param=self.param)]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx."""
        return [backward(inputs[0], der_outputs[0], param=self.param)], []
