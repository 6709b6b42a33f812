"""Bilinear sampling of images on a grid (MatConvNet vl_nnbilinearsampler, dagnn.BilinearSampler).

Shapes    x, dx (H, W, C, N)    grid, dgrid (2, Ho, Wo, No)    y, dy (Ho, Wo, C, No)
          No is a multiple of N: the first No/N grids sample the first image, the next No/N the second, ...
Forward   grid[0] is vertical and grid[1] horizontal; -1 is the centre of the first pixel, 1 that of the last:
          v = (grid[0] + 1) / 2 * (H - 1),  u alike with W;   i = floor(v), a = v - i;  j = floor(u), b = u - j
          y = (1-a)(1-b) x[i,j] + (1-a) b x[i,j+1] + a (1-b) x[i+1,j] + a b x[i+1,j+1]
          A neighbour beyond the last row or column counts as 0. Before the first row or column, v < 0 or u < 0, y is 0
          altogether: so MatConvNet's own numbers have it, and the image fades out on two of its four sides only.
Backward  dx: to each neighbour its factor times dy.  With s_k = sum over channels of dy times the k-th neighbour:
          dgrid[0] = (H - 1) / 2 * ((1-b) (s_3 - s_1) + b (s_4 - s_2))
          dgrid[1] = (W - 1) / 2 * ((1-a) (s_2 - s_1) + a (s_4 - s_3))
          On a pixel's centre, where y has a corner, this is the slope towards the next pixel.
Source    MatConvNet manual, 4.5; what lies outside as in the numbers of its vl_nnbilinearsampler (tests/test_golden.py)

How: y is a sparse matrix, four factors a row, times the matrix of pixels (N*H*W x C), and dx its transpose times dy.
"""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from . import array, block, geometry
from .array import Array


def forward(x: Array, grid: Array) -> Array:
    """y. Raises ValueError where dtypes differ, grid is not (2, Ho, Wo, No) or No no multiple of x's N."""
    samples = _Samples.of(x, grid)
    x = array.base(array.four_d(x))
    y = samples.matrix.dot(x.reshape(-1, x.shape[3]))
    return samples.xp.ascontiguousarray(y).reshape(*samples.shape, x.shape[3]).transpose(1, 2, 3, 0)


def backward(x: Array, grid: Array, dy: Array) -> tuple[Array, Array]:
    """dx (H, W, C, N) and dgrid (2, Ho, Wo, No). Raises ValueError as forward does, and where dy has not y's shape."""
    samples = _Samples.of(x, grid, dy)
    xp, (no, ho, wo) = samples.xp, samples.shape
    x = array.base(array.four_d(x))
    n, h, w, c = x.shape
    dy = array.base(array.derivative("bilinearsampler", dy, (ho, wo, c, no)))
    pixels, dy = x.reshape(-1, c), dy.reshape(-1, c)

    dx = xp.ascontiguousarray(samples.matrix.T.dot(dy)).reshape(n, h, w, c)
    s1, s2, s3, s4 = (
        inside * xp.einsum("pc,pc->p", pixels.take(neighbour, axis=0), dy)
        for neighbour, inside in zip(samples.neighbours, samples.inside, strict=True)
    )
    a, b = samples.down, samples.across
    dgrid = array.empty(xp, (2, ho, wo, no), x.dtype)
    dgrid[0] = _as_plane(((h - 1) / 2) * ((1 - b) * (s3 - s1) + b * (s4 - s2)), samples.shape)
    dgrid[1] = _as_plane(((w - 1) / 2) * ((1 - a) * (s2 - s1) + a * (s4 - s3)), samples.shape)
    return dx.transpose(1, 2, 3, 0), dgrid


def _as_plane(values: Array, shape: tuple[int, int, int]) -> Array:
    """One value a sample as (Ho, Wo, No)."""
    return values.reshape(shape).transpose(1, 2, 0)


@dataclass
class _Samples:
    """The samples of all grids, in the order No, Ho, Wo, and where they fall among the pixels, counted in the order N, H, W.

    neighbours   (4, samples): the pixels top left, top right, bottom left, bottom right; any pixel for one outside
    inside       (4, samples): 1, or 0 for one outside
    down, across (samples): a and b
    """

    xp: ModuleType
    shape: tuple[int, int, int]
    pixels: int
    neighbours: Array
    inside: Array
    down: Array
    across: Array

    @classmethod
    def of(cls, x: Array, grid: Array, dy: Array | None = None) -> "_Samples":
        """The samples, checked."""
        array.check_floats("bilinearsampler", x=x, grid=grid, dy=dy)
        xp = array.module_of(x, grid, dy)
        x, grid = array.four_d(x), array.four_d(grid)
        (h, w, _, n), (two, ho, wo, no) = x.shape, grid.shape
        if two != 2:
            raise ValueError(f"bilinearsampler: grid has shape {grid.shape}; (2, Ho, Wo, No) is right")
        per_image = no // max(n, 1)
        if per_image * n != no:
            raise ValueError(f"bilinearsampler: there are {no} grids and {n} images; a multiple of {n} grids is right")
        rows, down = _cells(xp, grid[0], h)
        columns, across = _cells(xp, grid[1], w)
        image = xp.repeat(xp.arange(no) // max(per_image, 1), ho * wo)
        i = rows + xp.asarray([[0], [0], [1], [1]])
        j = columns + xp.asarray([[0], [1], [0], [1]])
        inside = (rows >= 0) & (i < h) & (columns >= 0) & (j < w)
        neighbours = (image * h + xp.clip(i, 0, h - 1)) * w + xp.clip(j, 0, w - 1)
        return cls(xp, (no, ho, wo), n * h * w, neighbours, inside.astype(x.dtype), down, across)

    @cached_property
    def matrix(self) -> Array:
        """The sparse matrix (samples, pixels) of the factors."""
        a, b = self.down, self.across
        factors = self.xp.stack([(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b])
        factors *= self.inside
        starts = 4 * self.xp.arange(a.size + 1)
        return array.sparse(factors.T.ravel(), self.neighbours.T.ravel(), starts, (a.size, self.pixels))


def _cells(xp: ModuleType, g: Array, size: int) -> tuple[Array, Array]:
    """The last pixel not after each position g (Ho, Wo, No), -2 .. size, and how far after it that is, from 0 to 1.

    Not a number stays one in the second, and so comes out in y.
    """
    position = (g.transpose(2, 0, 1).ravel() + 1) / 2 * (size - 1)
    first = xp.floor(position)
    return xp.nan_to_num(xp.clip(first, -2, size)).astype(int), position - first


@dataclass
class BilinearSampler(block.Layer):
    """Inputs: images (H, W, C, N) and grids (2, Ho, Wo, No)."""

    n_inputs, n_params = (2,), (0,)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x and grid."""
        x, grid = inputs
        return [forward(x, grid)]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx and dgrid; no parameters."""
        (x, grid), (dy,) = inputs, der_outputs
        return list(backward(x, grid, dy)), []

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(Ho, Wo, C, No)]."""
        (_, _, c, _), (_, ho, wo, no) = input_sizes
        return [(ho, wo, c, no)]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """Unknown: the grid's values decide what of x is seen."""
        return [geometry.UNKNOWN] * inputs
