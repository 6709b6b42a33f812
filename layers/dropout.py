"""Dropout (MatConvNet vl_nndropout, dagnn.DropOut).

Shapes    x, y, mask, dx, dy (H, W, C, N)
Forward   mask = 0 with probability `rate`, else 1 / (1 - rate)
          y    = mask * x            so that y's mean is x's and a test needs no scaling: there y = x
Backward  dx   = mask * dy
Source    MatConvNet manual, section 4.6; vl_nndropout.m and DropOut.m of 1.0-beta25
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from . import array, block, parts, threads
from .array import Array

Seed = int | np.random.SeedSequence
Generator = np.random.Generator | Any  # or CuPy's


def forward(
    x: Array, rate: float = 0.5, rng: Generator | None = None, *, mask: Array | None = None
) -> tuple[Array, Array]:
    """y and the mask: the one given, else one drawn from rng.

    Raises ValueError where x is not float32 or float64, the rate is not in 0 <= rate < 1, a given mask has not x's shape, or
    mask and rng are missing.
    """
    array.check_floats("dropout", x=x)
    x = array.four_d(x)
    if mask is None:
        mask = draw(x, rate, rng)
    elif mask.shape != x.shape:
        raise ValueError(f"dropout: the mask has shape {mask.shape}; x's shape {x.shape} is right")
    return _product(mask, x), mask


def backward(mask: Array, dy: Array) -> Array:
    """dx, from the mask that forward returned and dy. Raises ValueError where the two differ in shape or dtype."""
    array.check_floats("dropout", mask=mask, dy=dy)
    array.module_of(mask, dy)
    return _product(mask, array.derivative("dropout", dy, mask.shape))


def draw(x: Array, rate: float, rng: Generator | None) -> Array:
    """A mask for x, in its shape and dtype, from a generator of x's module: it lives where x does.

    Raises ValueError where the rate is not in 0 <= rate < 1, or rng is missing.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate is {rate}; a probability 0 <= rate < 1 is right")
    if rng is None:
        raise ValueError("dropout: neither a mask nor a generator rng came; one of them is right")
    h, w, c, n = x.shape
    xp = array.module_of(x)
    drawn, mask = rng.random((n, h, w, c), np.float32), array.flat(xp, (n, h, w, c), x.dtype)
    scale = x.dtype.type(1 / (1 - rate))
    threads.run(lambda drawn, mask: xp.multiply(drawn >= rate, scale, out=mask), parts.elements(drawn, mask))
    return mask.transpose(1, 2, 3, 0)


def _product(mask: Array, x: Array) -> Array:
    """mask * x in x's memory order."""
    y = array.empty_like(x)
    threads.run(array.module_of(mask, x).multiply, parts.elements(x, mask, y))
    return y


@dataclass
class DropOut(block.Layer):
    """rate: the probability of a zero. frozen: the last mask is used again instead of a new one.

    drawn: the shapes (N, H, W, C) of all masks since the last seed; redraw() brings a block that was seeded alike as far.

    seed() decides the masks. A block that nobody seeded is seeded by its layer's name when it enters a net: so two layers of a
    net draw different masks, and the same net, made or loaded again, the same ones. Outside a net the seed is 0.
    """

    rate: float = 0.5
    frozen: bool = False

    n_inputs, n_params = (1,), (0,)

    def __post_init__(self) -> None:
        self.mask: Array | None = None
        self._seed: Seed | None = None
        self._generators: dict[str, Generator] = {}
        self.drawn: list[tuple[int, ...]] = []

    def seed(self, seed: Seed) -> None:
        """Start the masks anew, from a number or a SeedSequence: the same seed, the same masks (others on the GPU)."""
        self._seed = seed
        self._generators, self.drawn = {}, []

    @property
    def generators(self) -> list[Generator]:
        """Those that were made since the last seed: on each device that masks were drawn on, one."""
        return list(self._generators.values())

    def redraw(self, xp: ModuleType, shapes: Iterable[Sequence[int]]) -> None:
        """Draw masks of these shapes (N, H, W, C) on that module's device, and drop them: the next one is the one after."""
        for shape in shapes:
            self._generator(xp).random(tuple(shape), np.float32)
            self.drawn.append(tuple(shape))

    def join(self, layer: str) -> None:
        """Seed the masks by the layer's name, where nobody has seeded them."""
        if self._seed is None:
            self.seed(np.random.SeedSequence(list(layer.encode())))

    def _generator(self, xp: ModuleType) -> Generator:
        """The generator on that module's device: made once for a seed, and drawn from at each call."""
        if xp.__name__ not in self._generators:
            self._generators[xp.__name__] = xp.random.default_rng(self._seed or 0)
        return self._generators[xp.__name__]

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: the seed, from which its masks start anew, on either device."""
        return self.__dict__ | {"_generators": {}, "drawn": []}

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x; in test mode x itself."""
        if self.mode == "test":
            return [inputs[0]]
        x, mask = inputs[0], self.mask if self.frozen else None
        y, self.mask = forward(x, self.rate, self._generator(array.module_of(x)), mask=mask)
        if mask is None:
            h, w, c, n = self.mask.shape
            self.drawn.append((n, h, w, c))
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; no parameters."""
        if self.mode == "test":
            return [der_outputs[0]], []
        if self.mask is None:
            raise ValueError("DropOut: there is no mask; backward is right after a forward in normal mode")
        return [backward(self.mask, der_outputs[0])], []

    def reset(self) -> None:
        """Forget the mask, and thaw."""
        self.mask = None
        self.frozen = False
