"""Inputs on which a block can be tried: for every block of the catalogue, and for yours, of the right number, size and kind.

All are float64. Values are normal; labels, regions and grids are what they mean. A block of yours gets as many inputs of the
size as its n_inputs says first, and the parameters of its init_params.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import (
    bilinearsampler,
    block,
    bnorm,
    catalogue,
    concat,
    conv,
    convt,
    crop,
    dropout,
    grid,
    loss,
    pdist,
    pool,
    roipool,
    scale,
    smoothl1,
)
from . import sum as sum_

Size = Sequence[int]
SIZE = (7, 6, 4, 2)

# Properties without which a block has nothing to do, as MATLAB names them.
PROPERTIES: dict[str, dict[str, Any]] = {
    "dagnn.AffineGridGenerator": {"Ho": 4, "Wo": 5},
    "dagnn.UniformScalingGridGenerator": {"Ho": 4, "Wo": 5},
    "dagnn.Pooling": {"poolSize": [3, 3], "stride": [2, 2], "pad": [0, 1, 0, 1]},
    "dagnn.ROIPooling": {"subdivisions": [2, 2]},
    "dagnn.Conv": {"pad": [1, 1, 1, 1]},
    "dagnn.ConvTranspose": {"upsample": [2, 2], "crop": [1, 1, 1, 1]},
}

# What else, beside these, makes a block compute something of its own.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "dagnn.Loss": [{"loss": name, "opts": ["topK", 1]} for name in loss.LOSSES],
    "dagnn.Pooling": [{"method": method} for method in pool.METHODS],
    "dagnn.ROIPooling": [{"method": method} for method in pool.METHODS],
    "dagnn.PDist": [{"p": 2}, {"p": 1}, {"p": 3, "aggregate": False}],
}


@dataclass
class Sample:
    """A block, and what to give it. averaged: the parameters, as gradcheck names them, that get averages and no derivative."""

    block: block.Layer
    inputs: list[np.ndarray]
    params: list[np.ndarray]
    averaged: tuple[str, ...] = ()


def make(
    matlab_type: str, properties: dict[str, Any], size: Size, rng: np.random.Generator, rounded: bool = False
) -> Sample:
    """A block of that type, with these properties beside those of PROPERTIES, and its inputs, the first of that size.

    rounded   normal inputs are multiples of a half, so that ReLUs meet 0 and maxima are shared
    Raises LookupError for an unknown type and ValueError where properties or size do not fit the block.
    """
    catalogue.find(matlab_type)
    h, w, c, n = size
    layer = catalogue.from_matlab(matlab_type, PROPERTIES.get(matlab_type, {}) | properties)
    if isinstance(layer, (conv.Conv, convt.ConvTranspose)) and not all(layer.size):
        layer.size = [3, 3, c, 5] if isinstance(layer, conv.Conv) else [4, 4, 3, c]
    if isinstance(layer, bnorm.BatchNorm):
        layer.num_channels = c

    def normal(*shape: int) -> np.ndarray:
        x = rng.standard_normal(shape)
        return np.round(2 * x) / 2 if rounded else x

    inputs_of = next((made for cls, made in INPUTS.items() if isinstance(layer, cls)), _alike)
    inputs = inputs_of(layer, (h, w, c, n), normal, rng)
    params = [value + 0.1 * rng.standard_normal(value.shape) for value in layer.init_params(rng)]
    if isinstance(layer, scale.Scale):
        params = [rng.standard_normal((1, 1, c)) for _ in range(1 + layer.has_bias)]
    if isinstance(layer, dropout.DropOut):  # else every pass would draw another mask
        layer.forward(inputs, params)
        layer.frozen = True
    return Sample(layer, inputs, params, ("param 2",) if isinstance(layer, bnorm.BatchNorm) else ())


Normal = Callable[..., np.ndarray]


def _loss(layer: loss.Loss, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    """Scores, positive where a logarithm is taken of them (below 1 where of 1 - x too), and labels."""
    h, w, c, n = size
    x = normal(*size)
    if layer.loss in ("log", "binarylog"):
        x = 0.1 + 0.8 * np.clip(np.abs(x) / 3, 0, 1)
    if loss.formula(layer.loss).of_attributes:
        return [x, rng.integers(-1, 2, size).astype(float)]
    return [x, rng.integers(0, c + 1, (h, w, 1, n)).astype(float)]


def _crop(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    h, w, c, n = size
    top, left = layer.crop
    return [normal(*size), normal(max(1, h - top - 1), max(1, w - left - 1), c, n)]


def _concat(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    second = list(size)
    second[layer.dim - 1] += 1
    return [normal(*size), normal(*second)]


def _sampler(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    return [normal(*size), rng.uniform(-1.2, 1.2, (2, 4, 5, size[3]))]


def _regions(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    """Three regions: image, and two corners (u, v) from 1 on."""
    h, w, _, n = size
    corners = [np.sort(rng.integers(1, side + 1, (2, 3)), axis=0) for side in (w, h)]
    rows = [rng.integers(1, n + 1, 3), corners[0][0], corners[1][0], corners[0][1], corners[1][1]]
    return [normal(*size), np.stack(rows).astype(float)]


def _grid(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    return [normal(1, 1, layer.numbers, size[3])]


def _alike(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    return [normal(*size) for _ in range(next(iter(layer.n_inputs), 1))]


def _two(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    return [normal(*size), normal(*size)]


def _weighted(layer: Any, size: Size, normal: Normal, rng: np.random.Generator) -> list[np.ndarray]:
    return [2 * normal(*size), normal(*size), rng.uniform(0.5, 2, size)]


# The first class that fits counts, so those derived from Loss stand before it.
INPUTS: dict[type, Callable[[Any, Size, Normal, np.random.Generator], list[np.ndarray]]] = {
    smoothl1.LossSmoothL1: _weighted,
    pdist.PDist: _two,
    loss.Loss: _loss,
    crop.Crop: _crop,
    concat.Concat: _concat,
    bilinearsampler.BilinearSampler: _sampler,
    roipool.ROIPooling: _regions,
    grid.AffineGridGenerator: _grid,
    grid.UniformScalingGridGenerator: _grid,
    sum_.Sum: _two,
}
