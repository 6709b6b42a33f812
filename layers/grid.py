"""Grids for the bilinear sampler (MatConvNet dagnn.AffineGridGenerator, dagnn.UniformScalingGridGenerator).

Shapes    a, da (1, 1, 6, N) for an affine map, (1, 1, 3, N) for a scaling    grid, dgrid (2, Ho, Wo, N)
Forward   Places (v, u), v vertical, lie evenly from -1 to 1, Ho by Wo of them (a single one at 1, as MATLAB's linspace has it).
          affine    grid[0] = a1 v + a2 u + a5,    grid[1] = a3 v + a4 u + a6
          scaling   grid[0] = a1 v + a2,           grid[1] = a1 u + a3
Backward  da_k = sum over the places of dgrid times what a_k is multiplied by
Source    M. Jaderberg et al., Spatial transformer networks, 2015; the numbers' order as in the output of MatConvNet's
          generators (tests/test_golden.py)

A scaling s, ty, tx is the affine map s, 0, 0, s, ty, tx, and is computed as one.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

from . import array, block, geometry
from .array import Array

# Row k: what one unit of the k-th number adds to the affine map's six.
MAPS = {
    6: [[float(row == column) for column in range(6)] for row in range(6)],
    3: [[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]],
}


def forward(a: Array, size: tuple[int, int]) -> Array:
    """The grids (2, Ho, Wo, N), size being (Ho, Wo). Raises ValueError where a has not 6 or 3 numbers an image."""
    xp, size, numbers, to_affine = _checked(a, size)
    grid = numbers @ (to_affine @ _places(xp, size, a.dtype))
    return grid.reshape(len(numbers), 2, *size).transpose(1, 2, 3, 0)


def backward(a: Array, size: tuple[int, int], dgrid: Array) -> Array:
    """da (1, 1, 6 or 3, N). Raises ValueError as forward does, and where dgrid has not the grids' shape."""
    array.module_of(a, dgrid)
    array.check_floats("grid", a=a, dgrid=dgrid)
    xp, size, numbers, to_affine = _checked(a, size)
    places = to_affine @ _places(xp, size, a.dtype)
    dgrid = array.base(array.derivative("grid", dgrid, (2, *size, len(numbers))))
    return (dgrid.reshape(len(numbers), places.shape[1]) @ places.T)[None, None].transpose(0, 1, 3, 2)


def _checked(a: Array, size: geometry.Numbers) -> tuple[ModuleType, tuple[int, int], Array, Array]:
    """The array module, (Ho, Wo), a as (N, its numbers), and the matrix that makes affine maps of these."""
    array.check_floats("grid", a=a)
    shape = array.four_d(a).shape
    if shape[:2] != (1, 1) or shape[2] not in MAPS:
        raise ValueError(
            f"grid: a has shape {shape}; (1, 1, 6, N) for affine maps or (1, 1, 3, N) for scalings is right"
        )
    xp, size = array.module_of(a), geometry.positive_pair(size, "grid: Ho and Wo")
    return xp, size, a.reshape(shape[2:]).T, xp.asarray(MAPS[shape[2]], a.dtype)


def _places(xp: ModuleType, size: tuple[int, int], dtype: Any) -> Array:
    """(6, 2 * Ho * Wo): what each of an affine map's numbers is multiplied by, in grid[0] and then in grid[1]."""
    v, u = xp.meshgrid(*(xp.linspace(1, -1, n)[::-1] for n in size), indexing="ij")
    v, u, one, none = v.ravel(), u.ravel(), xp.ones(v.size), xp.zeros(v.size)
    rows = [(v, none), (u, none), (none, v), (none, u), (one, none), (none, one)]
    return xp.stack([xp.concatenate(row) for row in rows]).astype(dtype)


@dataclass
class _GridGenerator(block.Layer):
    """What the two generators share; Ho and Wo are the grids' size."""

    ho: int = field(default=0, metadata={"matlab": "Ho"})
    wo: int = field(default=0, metadata={"matlab": "Wo"})

    n_inputs, n_params = (1,), (0,)
    numbers: ClassVar[int]

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """The grids, from the maps' numbers."""
        return [forward(self._checked(inputs[0]), (self.ho, self.wo))]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """The derivative for the maps' numbers; no parameters."""
        return [backward(self._checked(inputs[0]), (self.ho, self.wo), der_outputs[0])], []

    def _checked(self, a: Array) -> Array:
        shape = array.four_d(a).shape
        if shape[:3] != (1, 1, self.numbers):
            who = type(self).__name__
            raise ValueError(f"{who}: its input has shape {shape}; (1, 1, {self.numbers}, N) is right")
        return a

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(2, Ho, Wo, N)]."""
        return [(2, self.ho, self.wo, input_sizes[0][3])]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """Unknown: each place of the grid depends on all numbers of the map."""
        return [geometry.UNKNOWN] * inputs


@dataclass
class AffineGridGenerator(_GridGenerator):
    """Ho, Wo: the grids' size. Input: (1, 1, 6, N)."""

    numbers = 6


@dataclass
class UniformScalingGridGenerator(_GridGenerator):
    """Ho, Wo: the grids' size. Input: (1, 1, 3, N): scale, vertical and horizontal shift."""

    numbers = 3
