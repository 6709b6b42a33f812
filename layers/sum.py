"""Sum of any number of equally shaped inputs (MatConvNet dagnn.Sum).

Shapes    x1, x2, ..., y, dx_i, dy (H, W, C, N)
Forward   y    = x1 + x2 + ...
Backward  dx_i = dy
Source    Sum.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass

from . import array, block, geometry, parts, threads
from .array import Array


def forward(xs: Sequence[Array]) -> Array:
    """y. Raises ValueError where there is no input, or shapes or dtypes differ: nothing is broadcast, nothing converted."""
    xp = array.module_of(*xs)
    if not xs:
        raise ValueError("sum: no input came; at least one is right")
    array.check_floats("sum", **{f"x{i}": x for i, x in enumerate(xs, 1)})
    _same([x.shape for x in xs])
    if len(xs) == 1:
        return xs[0]
    y = array.empty_like(xs[0])

    def part(y: Array, first: Array, *others: Array) -> None:
        xp.add(first, others[0], out=y)
        for x in others[1:]:
            xp.add(y, x, out=y)

    threads.run(part, parts.elements(y, *xs))
    return y


def backward(xs: Sequence[Array], dy: Array) -> list[Array]:
    """The list of dx_i, all of them dy itself; of the x_i only the number is used."""
    return [dy] * len(xs)


def _same(sizes: Sequence[Sequence[float]]) -> None:
    """Raises ValueError where sizes differ."""
    for size in sizes[1:]:
        if not geometry.agree(size, sizes[0]):
            raise ValueError(f"sum: inputs have shapes {tuple(sizes[0])} and {tuple(size)}; equal shapes are right")


@dataclass
class Sum(block.Layer):
    """No properties."""

    n_params = (0,)

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
