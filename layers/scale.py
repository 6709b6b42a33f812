"""Multiplication and addition of broadcast arrays (MatConvNet dagnn.Scale).

Shapes    x, y, dx, dy (H, W, C, N); multiplier, bias: each size that of x or 1, mostly (1, 1, C)
Forward   y = x * multiplier + bias
Backward  dx          = dy * multiplier
          dmultiplier = sum of dy * x   over the dimensions along which the multiplier has size 1 and is repeated
          dbias       = sum of dy       over the bias's alike
          (MatConvNet sums dbias over the multiplier's dimensions; the two have one shape there.)
Source    +dagnn/Scale.m of 1.0-beta25
"""

from dataclasses import dataclass, field

import numpy as np

from . import array, block, geometry
from .array import Array


def forward(x: Array, multiplier: Array, bias: Array | None = None) -> Array:
    """y. Raises ValueError where dtypes differ, or multiplier or bias do not broadcast to x."""
    x, multiplier, bias = _prepare(x, multiplier, bias)
    y = x * multiplier
    if bias is not None:
        y += bias
    return y.transpose(1, 2, 3, 0)


def backward(x: Array, multiplier: Array, bias: Array | None, dy: Array) -> tuple[Array, Array, Array | None]:
    """dx, dmultiplier, dbias (None without a bias), in the shapes of what they belong to.

    Raises ValueError as forward does, and where dy has not y's shape.
    """
    array.check_floats("scale", x=x, dy=dy)
    pixels, factor, offset = _prepare(x, multiplier, bias)
    dy = array.base(array.derivative("scale", dy, array.four_d(x).shape))
    dmultiplier = _summed(dy * pixels, factor).reshape(multiplier.shape)
    dbias = None if bias is None else _summed(dy, offset).reshape(bias.shape)
    return (dy * factor).transpose(1, 2, 3, 0), dmultiplier, dbias


def _prepare(x: Array, multiplier: Array, bias: Array | None) -> tuple[Array, Array, Array | None]:
    """The three in the order (N, H, W, C)."""
    array.check_floats("scale", x=x, multiplier=multiplier, bias=bias)
    x = array.four_d(x)
    array.check_repeats("scale: the multiplier", multiplier, x.shape)
    if bias is not None:
        array.check_repeats("scale: the bias", bias, x.shape)
        bias = array.base(array.four_d(bias))
    return array.base(x), array.base(array.four_d(multiplier)), bias


def _summed(terms: Array, like: Array) -> Array:
    """The terms (N, H, W, C) summed over the axes along which `like` has size 1, in the memory order of what is seen."""
    axes = tuple(axis for axis, size in enumerate(like.shape) if size == 1)
    if axes:
        terms = terms.sum(axis=axes, keepdims=True, dtype=np.float64).astype(terms.dtype)
    return terms.transpose(1, 2, 3, 0)


@dataclass
class Scale(block.Layer):
    """x, the multiplier and, where has_bias, the bias: inputs or parameters; the inputs come first."""

    size: list[int] = field(default_factory=list)
    has_bias: bool = True

    n_inputs, n_params = (1, 2, 3), (0, 1, 2)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y."""
        return [forward(*self._arguments(inputs, params))]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """The derivatives of all inputs and of all parameters."""
        ders = list(backward(*self._arguments(inputs, params), der_outputs[0]))[: len(inputs) + len(params)]
        return ders[: len(inputs)], ders[len(inputs) :]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField | None]:
        """One pixel of x; the multiplier and bias are not looked at through a window."""
        return [geometry.IDENTITY, *[None] * (inputs - 1)]

    def _arguments(self, inputs: list[Array], params: list[Array]) -> tuple[Array, Array, Array | None]:
        """x, multiplier, bias. Raises ValueError where their number is not right."""
        came, right = [*inputs, *params], 3 if self.has_bias else 2
        if len(came) != right:
            raise ValueError(
                f"Scale: {len(came)} inputs and parameters came; {right} (x, multiplier{', bias' * self.has_bias}) are right"
            )
        x, multiplier, bias = (*came, None)[:3]
        return x, multiplier, bias
