"""Softmax over the channels (MatConvNet vl_nnsoftmax, dagnn.SoftMax).

Shapes    x, y, dx, dy (H, W, C, N)
Forward   y[c]  = exp(x[c]) / sum_k exp(x[k])               at each pixel; the largest x is subtracted first
Backward  dx[c] = y[c] * (dy[c] - sum_k dy[k] * y[k])
Source    MatConvNet manual, section 4.7; vl_nnsoftmax.m of 1.0-beta25
"""

from dataclasses import dataclass

from . import array, block, kernels, parts, threads
from .array import Array


def forward(x: Array) -> Array:
    """y, shaped like x: at each pixel, positive values that sum to 1. Raises ValueError unless x is float32 or float64."""
    array.check_floats("softmax", x=x)
    x = array.base(array.four_d(x))
    if fast := kernels.serving("softmax", x):
        return fast.forward(_pixels(x)).reshape(x.shape).transpose(1, 2, 3, 0)
    y = array.flat(array.module_of(x), x.shape, x.dtype)

    def part(x: Array, y: Array) -> None:
        _put(_softmax(x), y)

    threads.run(part, parts.of([_pixels(x), _pixels(y)]))
    return y.transpose(1, 2, 3, 0)


def backward(x: Array, dy: Array) -> Array:
    """dx, from x and dy. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("softmax", x=x, dy=dy)
    xp, x = array.module_of(x, dy), array.four_d(x)
    x, dy = array.base(x), array.base(array.derivative("softmax", dy, x.shape))
    if fast := kernels.serving("softmax", x, dy):
        return fast.backward(_pixels(x), _pixels(dy)).reshape(x.shape).transpose(1, 2, 3, 0)
    dx = array.flat(xp, x.shape, x.dtype)

    def part(x: Array, dy: Array, dx: Array) -> None:
        y, dy = _softmax(x), xp.ascontiguousarray(dy.T)
        y *= dy - (dy * y).sum(axis=0)
        _put(y, dx)

    threads.run(part, parts.of([_pixels(x), _pixels(dy), _pixels(dx)]))
    return dx.transpose(1, 2, 3, 0)


def _softmax(x: Array) -> Array:
    """y (C, pixels) from x (pixels, C): channel by channel sums over few channels are as fast as over many."""
    xp = array.module_of(x)
    x = xp.ascontiguousarray(x.T)
    y = xp.exp(x - x.max(axis=0))
    y /= y.sum(axis=0)
    return y


def _put(y: Array, goal: Array) -> None:
    """goal (pixels, C) becomes y (C, pixels)."""
    for channel, own in zip(y, goal.T, strict=True):
        own[...] = channel


def _pixels(x: Array) -> Array:
    """x (N, H, W, C) as (pixels, C)."""
    return x.reshape(-1, x.shape[3])


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
