"""Concatenation (MatConvNet vl_nnconcat, dagnn.Concat).

Shapes    x1, x2, ... (H, W, C_i, N) with dim 3; alike but along `dim` in general    y (H, W, sum C_i, N)
Forward   y = the inputs one after the other along dimension `dim`: 1 = H, 2 = W, 3 = C, 4 = N
Backward  dx_i = the part of dy that x_i became
Source    MatConvNet manual, section 4.9; vl_nnconcat.m and Concat.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from . import array, block, geometry, parts
from .array import Array


def forward(xs: Sequence[Array], *, dim: int = 3) -> Array:
    """y. Raises ValueError where there is no input, or the inputs differ in dtype or in another dimension than `dim`."""
    xp = array.module_of(*xs)
    array.check_floats("concat", **{f"x{i}": x for i, x in enumerate(xs, 1)})
    xs = [array.four_d(x) for x in xs]
    y = array.empty(xp, _size([x.shape for x in xs], dim), xs[0].dtype)
    for x, place in zip(xs, _places(xs, dim), strict=True):
        parts.copy(y[place], x)
    return y


def backward(xs: Sequence[Array], dy: Array, *, dim: int = 3) -> list[Array]:
    """The list of dx_i, shaped like the x_i; of the x_i only the shapes are used."""
    xp = array.module_of(*xs, dy)
    xs = [array.four_d(x) for x in xs]
    dy = array.derivative("concat", dy, _size([x.shape for x in xs], dim))
    ders = [array.empty(xp, x.shape, dy.dtype) for x in xs]
    for dx, place in zip(ders, _places(xs, dim), strict=True):
        parts.copy(dx, dy[place])
    return ders


def _size(sizes: Sequence[block.Size], dim: int) -> tuple:
    """The output's size from the inputs' ones, which must fit."""
    if dim not in (1, 2, 3, 4):
        raise ValueError(f"concat: dim is {dim}; 1, 2, 3 or 4 (H, W, C or N) is right")
    if not sizes:
        raise ValueError("concat: no input came; at least one is right")
    axis = int(dim) - 1
    for size in sizes[1:]:
        if not geometry.agree(*((*s[:axis], *s[axis + 1 :]) for s in (size, sizes[0]))):
            raise ValueError(
                f"concat: inputs of shapes {tuple(sizes[0])} and {tuple(size)} differ beyond dimension {dim}"
            )
    return (*sizes[0][:axis], sum(size[axis] for size in sizes), *sizes[0][axis + 1 :])


def _places(xs: Sequence[Array], dim: int) -> list[tuple[slice, ...]]:
    """Where each input lies in the output."""
    ends = list(accumulate((x.shape[dim - 1] for x in xs), initial=0))
    before = (slice(None),) * (dim - 1)
    return [(*before, slice(*ends[i : i + 2])) for i in range(len(xs))]


@dataclass
class Concat(block.Layer):
    """dim: 1 = H, 2 = W, 3 = C, 4 = N."""

    dim: int = 3

    n_params = (0,)

    def __post_init__(self) -> None:
        self.dim = int(self.dim)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from any number of inputs."""
        return [forward(inputs, dim=self.dim)]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """The dx_i; no parameters."""
        return backward(inputs, der_outputs[0], dim=self.dim), []

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[the inputs' size, summed along dim]."""
        return [_size(input_sizes, self.dim)]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """One pixel of each input; NaN where pixels are laid side by side (dim 1, 2)."""
        if self.dim in (3, 4):
            return [geometry.IDENTITY] * inputs
        nan = (float("nan"), float("nan"))
        return [geometry.ReceptiveField(nan, nan, nan)] * inputs
