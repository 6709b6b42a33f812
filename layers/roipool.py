"""Pooling of regions of interest (MatConvNet vl_nnroipool, dagnn.ROIPooling).

Shapes    x, dx (H, W, C, N)    rois (5, K), a column a region: [image u0 v0 u1 v1], u horizontal, all counted from 1
          y, dy (SH, SW, C, K): each region is cut into SH x SW bins, whatever its size
Forward   Corners are transformed: a number t takes u to t (u - 1) + 1, and v too; (tu, tv) has one for each; a 2 x 3 matrix T
          takes (u, v) to T (u, v, 1). Then they are rounded, halves away from zero. A region has h = max(v1 - v0 + 1, 1) rows.
          Bin i holds its rows floor(i h / SH) .. ceil((i+1) h / SH) - 1 as far as they lie in the image; columns alike. So
          neighbouring bins may share pixels, and a bin may be empty.
          max   y = the maximum over the bin      avg   y = the mean over the bin      an empty bin gives 0
Backward  max   dy is added to the first of the bin's greatest pixels, in the order: leftmost column, then topmost row
          avg   dy / (pixels in the bin) is added to all its pixels;  regions have no derivative
Source    MatConvNet manual, 4.6; transforms, rounding and ties as in the numbers of its vl_nnroipool (tests/test_golden.py)

How: avg is a sparse matrix (bins x pixels) times the matrix of pixels (N*H*W x C). max makes the maxima over all blocks of
2^a x 2^b pixels, each from two of half its size; four of these, which may overlap, cover a bin.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from . import array, block, geometry, threads
from .array import Array
from .geometry import Numbers
from .pool import METHODS

PART = 1 << 20  # values of bins that a thread takes at a time, on the CPU, so that max's backward stays small
Tables = tuple[Array, ...]


def forward(x: Array, rois: Array, *, method: str = "max", subdivisions: Numbers = (1, 1), transform: Any = 1) -> Array:
    """y. Raises ValueError for options that are not right and for regions of images that are not there."""
    array.check_floats("roipool", x=x)
    x = array.base(array.four_d(x))
    bins = _Bins.of(x, rois, method, subdivisions, transform)
    if method == "avg":
        y = bins.averaging(x).dot(x.reshape(-1, x.shape[3]))
    else:
        (y,) = bins.cover((x,), lambda one, two: (bins.xp.maximum(*one, *two),))
    return bins.xp.ascontiguousarray(y).reshape(*bins.shape, x.shape[3]).transpose(1, 2, 3, 0)


def backward(
    x: Array, rois: Array, dy: Array, *, method: str = "max", subdivisions: Numbers = (1, 1), transform: Any = 1
) -> Array:
    """dx (H, W, C, N). Raises ValueError as forward does, and where dy has not y's shape."""
    array.module_of(x, rois, dy)
    array.check_floats("roipool", x=x, dy=dy)
    x = array.base(array.four_d(x))
    bins = _Bins.of(x, rois, method, subdivisions, transform)
    xp, c = bins.xp, x.shape[3]
    regions, *bin_size = bins.shape
    dy = array.base(array.derivative("roipool", dy, (*bin_size, c, regions))).reshape(-1, c)
    if method == "avg":
        dx = xp.ascontiguousarray(bins.averaging(x).T.dot(dy))
    else:
        dx = array.flat(xp, x.shape, x.dtype)
        step = max(1, PART // max(1, regions * bin_size[0] * bin_size[1])) if xp is np else c
        blocks = [slice(first, first + step) for first in range(0, c, step)]
        threads.run(_max_backward, [(bins, x[..., block], dy[:, block], dx[..., block]) for block in blocks])
    return dx.reshape(x.shape).transpose(1, 2, 3, 0)


def _max_backward(bins: "_Bins", x: Array, dy: Array, dx: Array) -> None:
    """dx of some channels, (N, H, W, channels); dy (bins, channels)."""
    xp, x = bins.xp, bins.xp.ascontiguousarray(x)
    _, h, w, c = x.shape
    _, ranks = bins.cover((x, xp.broadcast_to(_ranks(x), x.shape)), _first_greatest)
    pixels = xp.arange(h * w).reshape(h, w).T.ravel()  # of each rank
    images = bins.image.repeat(bins.shape[1] * bins.shape[2])[:, None]
    places = pixels.take(ranks) * c + (images * (h * w * c) + xp.arange(c))
    dx[...] = xp.bincount(places.ravel(), (dy * bins.filled).ravel(), x.size).reshape(x.shape)


def _ranks(x: Array) -> Array:
    """(H, W, 1): the pixels' numbers, column by column and from top to bottom, in which the first of equals is sought."""
    _, h, w, _ = x.shape
    return array.module_of(x).arange(h * w, dtype=np.int32).reshape(w, h).T[:, :, None]


def _first_greatest(one: Tables, two: Tables) -> Tables:
    """Of two values with their ranks the greater one, and of equals that of the lower rank."""
    (value, rank), (value2, rank2) = one, two
    xp = array.module_of(value)
    take = value2 == value
    take &= rank2 < rank
    take |= value2 > value
    return xp.where(take, value2, value), xp.where(take, rank2, rank)


@dataclass
class _Bins:
    """The bins of all regions, each in one image; their rows are first .. first + count - 1, columns alike.

    shape          (K, SH, SW)
    image          (K), from 0
    row, height    (K, SH, 1)
    column, width  (K, 1, SW)
    """

    xp: ModuleType
    shape: tuple[int, int, int]
    image: Array
    row: Array
    height: Array
    column: Array
    width: Array

    @classmethod
    def of(cls, x: Array, rois: Array, method: str, subdivisions: Numbers, transform: Any) -> "_Bins":
        """The bins over x (N, H, W, C), checked."""
        if method not in METHODS:
            raise ValueError(f"roipool: method is {method!r}; 'max' or 'avg' is right")
        xp, (n, h, w, _) = array.module_of(x, rois), x.shape
        parts = geometry.positive_pair(subdivisions, "roipool: subdivisions")
        regions = array.four_d(rois)
        if regions.shape[0] != 5 or regions.shape[2:] != (1, 1):
            raise ValueError(f"roipool: rois has shape {rois.shape}; (5, K), [image u0 v0 u1 v1] a region, is right")
        image, *corners = regions[:, :, 0, 0].astype(np.float64)
        if not bool(((image >= 1) & (image <= n) & (image % 1 == 0) & xp.isfinite(sum(corners))).all()):
            raise ValueError(f"roipool: each region must name an image from 1 to {n} and four finite corners")
        u0, v0, u1, v1 = corners
        (left, top), (right, bottom) = (_moved(xp, u, v, affine(transform)) for u, v in ((u0, v0), (u1, v1)))
        row, height = (edge[:, :, None] for edge in _cut(xp, top, bottom, parts[0], h))
        column, width = (edge[:, None, :] for edge in _cut(xp, left, right, parts[1], w))
        return cls(xp, (regions.shape[1], *parts), image.astype(int) - 1, row, height, column, width)

    @property
    def filled(self) -> Array:
        """(bins, 1): whether a bin holds a pixel."""
        return ((self.height > 0) & (self.width > 0)).reshape(-1, 1)

    def averaging(self, x: Array) -> Array:
        """The sparse matrix (bins, pixels) that takes the means over the bins."""
        xp, (n, h, w, _) = self.xp, x.shape
        size = (self.height * self.width).ravel()
        starts = xp.concatenate([xp.zeros(1, int), xp.cumsum(size)])
        number = xp.arange(int(starts[-1]))  # of a pixel in a bin, over all bins
        owner = xp.searchsorted(starts[1:], number, side="right")
        region, i, j = xp.unravel_index(owner, self.shape)
        down, across = xp.divmod(number - starts[owner], self.width[region, 0, j])
        pixel = (self.image[region] * h + self.row[region, i, 0] + down) * w + self.column[region, 0, j] + across
        return array.sparse((1 / size[owner]).astype(x.dtype), pixel, starts, (size.size, n * h * w))

    def cover(self, tables: Tables, join: Callable[[Tables, Tables], Tables]) -> Tables:
        """What join makes of each bin's pixels, (bins, C), 0 for an empty one; the tables are (N, H, W, C)."""
        xp = self.xp
        made = tuple(xp.zeros((int(np.prod(self.shape)), t.shape[3]), t.dtype) for t in tables)
        if not made[0].size:
            return made
        powers = 2 ** xp.arange(31)
        rows, columns = (xp.searchsorted(powers, length, side="right") - 1 for length in (self.height, self.width))
        for a in range(int(rows.max()) + 1):
            if a:
                tables = _doubled(tables, join, 1, 2 ** (a - 1))
            blocks = tables
            levels = xp.where(rows == a, columns, -1).ravel()
            for b in range(int(levels.max()) + 1):
                if b:
                    blocks = _doubled(blocks, join, 2, 2 ** (b - 1))
                (chosen,) = xp.nonzero(levels == b)
                if chosen.size:
                    for goal, values in zip(made, self._four(chosen, blocks, join, 2**a, 2**b), strict=True):
                        goal[chosen] = values
        return made

    def _four(self, chosen: Array, blocks: Tables, join: Callable, height: int, width: int) -> Tables:
        """join over four blocks of height x width pixels that cover the chosen bins."""
        region, i, j = self.xp.unravel_index(chosen, self.shape)
        row, column = self.row[region, i, 0], self.column[region, 0, j]
        last_row, last_column = row + self.height[region, i, 0] - height, column + self.width[region, 0, j] - width
        _, h, w, c = blocks[0].shape

        def at(row: Array, column: Array) -> Tables:
            place = (self.image[region] * h + row) * w + column
            return tuple(table.reshape(-1, c).take(place, axis=0) for table in blocks)

        left = join(at(row, column), at(last_row, column))
        right = join(at(row, last_column), at(last_row, last_column))
        return join(left, right)


def _doubled(tables: Tables, join: Callable[[Tables, Tables], Tables], axis: int, step: int) -> Tables:
    """Tables over blocks of twice the size along the axis, from blocks of `step` pixels along it."""
    before = (slice(None),) * axis
    return join(
        tuple(table[(*before, slice(None, -step))] for table in tables),
        tuple(table[(*before, slice(step, None))] for table in tables),
    )


def affine(transform: Any) -> np.ndarray:
    """The 2 x 3 matrix of a transform; six numbers in a row are one column by column, as MATLAB keeps it.

    Raises ValueError where it is not one, two or 2 x 3 finite numbers.
    """
    t = geometry.finite(transform, "roipool: transform")
    if t.size in (1, 2):
        tu, tv = np.broadcast_to(t.ravel(), 2)
        return np.array([[tu, 0, 1 - tu], [0, tv, 1 - tv]])
    if t.shape == (2, 3) or t.size == 6 == max(t.shape):
        return t.reshape(2, 3, order="F")
    raise ValueError(
        f"roipool: transform has shape {t.shape}; one number, two (horizontal, vertical) or 2 x 3 is right"
    )


def _moved(xp: ModuleType, u: Array, v: Array, matrix: np.ndarray) -> list[Array]:
    """The points (u, v) transformed, rounded and counted from 0."""
    moved = [float(a) * u + float(b) * v + float(c) for a, b, c in matrix]
    return [xp.copysign(xp.floor(xp.abs(m) + 0.5), m) - 1 for m in moved]


def _cut(xp: ModuleType, first: Array, last: Array, parts: int, size: int) -> tuple[Array, Array]:
    """First pixel and number of pixels (K, parts) of the bins along one direction of an image of that size."""
    first, length = first[:, None], xp.maximum(last - first + 1, 1)[:, None]
    begin, end = (
        xp.clip(first + edge, 0, size).astype(int)
        for edge in (xp.floor(xp.arange(parts) * length / parts), xp.ceil(xp.arange(1, parts + 1) * length / parts))
    )
    return begin, end - begin


@dataclass
class ROIPooling(block.Layer):
    """method "max" or "avg", subdivisions [SH, SW], transform as above; flatten: y is (1, 1, SH*SW*C, K), H running first."""

    method: str = "max"
    subdivisions: list[int] = field(default_factory=lambda: [6, 6])
    transform: Any = 1
    flatten: bool = False

    n_inputs, n_params = (2,), (0,)

    def __post_init__(self) -> None:
        self.subdivisions = list(geometry.positive_pair(self.subdivisions, "ROIPooling: subdivisions"))
        matrix = affine(self.transform)
        if np.size(self.transform) == 6:
            self.transform = matrix
        if self.method not in METHODS:
            raise ValueError(f"ROIPooling: method is {self.method!r}; 'max' or 'avg' is right")

    def _options(self) -> dict[str, Any]:
        return {"method": self.method, "subdivisions": self.subdivisions, "transform": self.transform}

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x and rois."""
        x, rois = inputs
        y = forward(x, rois, **self._options())
        return [y.reshape(1, 1, -1, y.shape[3], order="F") if self.flatten else y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx, and None for the regions; no parameters."""
        (x, rois), (dy,) = inputs, der_outputs
        if self.flatten:
            dy = dy.reshape(*self.subdivisions, -1, array.four_d(dy).shape[3], order="F")
        return [backward(x, rois, dy, **self._options()), None], []

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(SH, SW, C, K)], flattened [(1, 1, SH*SW*C, K)]."""
        (_, _, c, _), (_, k, _, _) = input_sizes
        sh, sw = self.subdivisions
        return [(1, 1, sh * sw * c, k) if self.flatten else (sh, sw, c, k)]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField | None]:
        """Unknown for x, of which the regions decide what is seen; None for the regions."""
        return [geometry.UNKNOWN, None]
