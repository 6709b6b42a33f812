"""Sum of any number of equally shaped inputs (MatConvNet dagnn.Sum).

Shapes    x1, x2, ..., y, dx_i, dy (H, W, C, N)
Forward   y    = x1 + x2 + ...
Backward  dx_i = dy
Source    Sum.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from . import array, block
from .array import Array


def forward(xs: Sequence[Array]) -> Array:
    """y. Raises ValueError where there is no input, or the shapes differ: there is no broadcasting."""
    xp = array.module_of(*xs)
    if not xs:
        raise ValueError("sum: no input came; at least one is right")
    _same([x.shape for x in xs])
    if len(xs) == 1:
        return xs[0]
    y = xs[0] + xs[1]
    for x in xs[2:]:
        xp.add(y, x, out=y)
    return y


def backward(xs: Sequence[Array], dy: Array) -> list[Array]:
    """The list of dx_i, all of them dy itself; of the x_i only the number is used."""
    return [dy] * len(xs)


def _same(sizes: Sequence[Sequence[float]]) -> None:
    """Raises ValueError where sizes differ; NaN is a size that is not known."""
    for size in sizes[1:]:
        if len(size) != len(sizes[0]) or any(
            a != b and not isnan(a) and not isnan(b) for a, b in zip(size, sizes[0], strict=True)
        ):
            raise ValueError(f"sum: inputs have shapes {tuple(sizes[0])} and {tuple(size)}; equal shapes are right")


@dataclass
class Sum(block.Layer):
    """No properties."""

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from any number of inputs."""
        return [forward(inputs)]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """The dx_i; no parameters."""
        return list(backward(inputs, der_outputs[0])), []

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[the inputs' common size]."""
        _same(input_sizes)
        return [input_sizes[0]]
