"""Distance of two arrays at each pixel (MatConvNet vl_nnpdist, dagnn.PDist).

Shapes    x, dx (H, W, C, N); x0, dx0 the same, or with 1 in place of a size: (1, 1, C, N), ...
          v instance weights, anything that broadcasts to (H, W, 1, N); y, dy (H, W, 1, N), or one number with `aggregate`
Forward   y = v * (sum over the channels of |d|^p)^(1/p),  d = x - x0;  with `no_root` without the root
          aggregate: the sum of these over all pixels and images
Backward  with S = sum over the channels of |d|^p
            with root   dx = dy * v * S^(1/p-1) * |d|^(p-1) * sign(d)      (p = 1: sign(d);  p = 2: d / S^(1/2))
            no_root     dx = dy * v * p * |d|^(p-1) * sign(d)
          dx0 = -dx, summed over the dimensions along which x0 has size 1 and is repeated
          What a power below 0 is taken of (S for p > 1, |d| for p < 1) is raised to at least epsilon, as in MatConvNet; where
          d is 0, so is dx. The weights have no derivative.
Source    vl_nnpdist.m, +dagnn/PDist.m of 1.0-beta25 and of master (no_root and epsilon)
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import array, block, loss
from .array import Array


def forward(
    x: Array,
    x0: Array,
    p: float,
    *,
    no_root: bool = False,
    epsilon: float = 1e-6,
    aggregate: bool = False,
    instance_weights: Array | None = None,
) -> Array:
    """y. Epsilon is backward's.

    Raises ValueError where dtypes differ, p is not above 0, or x0 or the weights do not broadcast to x.
    """
    d, weights = _prepare(x, x0, p, instance_weights)
    y = _sum_of_powers(d, p)
    if not no_root:
        y = array.power(y, 1 / p)
    if weights is not None:
        y *= weights
    if aggregate:
        return array.module_of(y).asarray(y.sum(dtype=np.float64), y.dtype)
    return y.transpose(1, 2, 3, 0)


def backward(
    x: Array,
    x0: Array,
    p: float,
    dy: Array | float,
    *,
    no_root: bool = False,
    epsilon: float = 1e-6,
    aggregate: bool = False,
    instance_weights: Array | None = None,
) -> tuple[Array, Array]:
    """dx (H, W, C, N) and dx0, in x0's shape. Raises ValueError as forward does, and where dy has not y's shape."""
    d, weights = _prepare(x, x0, p, instance_weights)
    xp = array.module_of(d)
    n, h, w, _ = d.shape
    size = (1, 1, 1, 1) if aggregate else (h, w, 1, n)
    factor = array.base(array.derivative("pdist", xp.asarray(dy, d.dtype), size))
    if weights is not None:
        factor = factor * weights
    if p == 1:
        dx = xp.sign(d)
    elif p == 2:
        dx = 2 * d
    else:
        dx = p * array.power(_bounded(xp.abs(d), p - 1, epsilon), p - 1) * xp.sign(d)
    if not no_root and p != 1:
        factor = factor / p * array.power(_bounded(_sum_of_powers(d, p), 1 / p - 1, epsilon), 1 / p - 1)
    dx *= factor
    repeated = tuple(axis for axis, size in enumerate(array.base(array.four_d(x0)).shape) if size == 1)
    dx0 = -dx.sum(axis=repeated, keepdims=True, dtype=np.float64).astype(dx.dtype) if repeated else -dx
    return dx.transpose(1, 2, 3, 0), dx0.transpose(1, 2, 3, 0).reshape(x0.shape)


def _prepare(x: Array, x0: Array, p: float, instance_weights: Array | None) -> tuple[Array, Array | None]:
    """d (N, H, W, C), and the weights, which broadcast to (N, H, W, 1)."""
    array.check_floats("pdist", x=x, x0=x0)
    if not p > 0:
        raise ValueError(f"pdist: p is {p}; a number above 0 is right")
    x = array.four_d(x)
    array.check_repeats("pdist: x0", x0, x.shape)
    d = array.base(x) - array.base(array.four_d(x0))
    if instance_weights is None:
        return d, None
    weights = array.module_of(x).asarray(instance_weights, x.dtype)
    array.check_repeats("pdist: instance_weights", weights, (*x.shape[:2], 1, x.shape[3]))
    return d, array.base(array.four_d(weights))


def _sum_of_powers(d: Array, p: float) -> Array:
    """S (N, H, W, 1)."""
    size = abs(d) if p != 2 else d  # of which array.power, a product for p = 2, does not ask the sign
    return array.power(size, p).sum(axis=3, keepdims=True)


def _bounded(base: Array, exponent: float, epsilon: float) -> Array:
    return array.module_of(base).maximum(base, epsilon) if exponent < 0 else base


@dataclass
class PDist(loss.Loss):
    """Inputs: x, x0 and, if wanted, instance weights. Output: y. No parameters.

    Of a Loss it has the average: (n * average + y) / (n + N), as in MatConvNet; without `aggregate` y's sum is averaged.
    """

    p: float = 2
    aggregate: bool = True
    no_root: bool = field(default=False, metadata={"optional": True})  # properties in master alone
    epsilon: float = field(default=1e-6, metadata={"optional": True})

    n_inputs = (2, 3)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y."""
        x, x0, weights = (*inputs, None)[:3]
        y = forward(x, x0, self.p, instance_weights=weights, **self._settings())
        if not self.ignore_average:
            self._average(y.sum(), array.four_d(x).shape[3])
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx and dx0; weights have none."""
        x, x0, weights = (*inputs, None)[:3]
        ders = backward(x, x0, self.p, der_outputs[0], instance_weights=weights, **self._settings())
        return [*ders, None][: len(inputs)], []

    def check(self, inputs: list[Array]) -> None:
        """There are no labels."""

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """As a Loss has it where y is one number, else [(H, W, 1, N)]."""
        h, w, _, n = input_sizes[0]
        return super().output_sizes(input_sizes) if self.aggregate else [(h, w, 1, n)]

    def _settings(self) -> dict[str, Any]:
        return {"no_root": self.no_root, "epsilon": self.epsilon, "aggregate": self.aggregate}
