"""Dropout (MatConvNet vl_nndropout, dagnn.DropOut).

Shapes    x, y, mask, dx, dy (H, W, C, N)
Forward   mask = 0 with probability `rate`, else 1 / (1 - rate)
          y    = mask * x            so that y's mean is x's and a test needs no scaling: there y = x
Backward  dx   = mask * dy
Source    MatConvNet manual, section 4.6; vl_nndropout.m and DropOut.m of 1.0-beta25
"""

from dataclasses import dataclass

import numpy as np

from . import array, block
from .array import Array

Seed = int | np.random.SeedSequence


def forward(
    x: Array, rate: float = 0.5, rng: np.random.Generator | None = None, *, mask: Array | None = None
) -> tuple[Array, Array]:
    """y and the mask: the one given, else one drawn from rng.

    Raises ValueError where the rate is not in 0 <= rate < 1, a given mask has not x's shape, or mask and rng are missing.
    """
    x = array.four_d(x)
    if mask is None:
        mask = draw(x, rate, rng)
    elif mask.shape != x.shape:
        raise ValueError(f"dropout: the mask has shape {mask.shape}; x's shape {x.shape} is right")
    return mask * x, mask


def backward(mask: Array, dy: Array) -> Array:
    """dx, from the mask that forward returned and dy."""
    return mask * dy


def draw(x: Array, rate: float, rng: np.random.Generator | None) -> Array:
    """A mask for x, in its shape and dtype and on its device.

    Raises ValueError where the rate is not in 0 <= rate < 1, or rng is missing.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: rate is {rate}; a probability 0 <= rate < 1 is right")
    if rng is None:
        raise ValueError("dropout: neither a mask nor a generator rng came; one of them is right")
    xp = array.module_of(x)
    h, w, c, n = x.shape
    source = rng if xp is np else xp.random.default_rng(int(rng.integers(2**63)))
    kept = source.random((n, h, w, c), np.float32).transpose(1, 2, 3, 0) >= rate
    return kept * x.dtype.type(1 / (1 - rate))


@dataclass
class DropOut(block.Layer):
    """rate: the probability of a zero. frozen: the last mask is used again instead of a new one.

    The masks come from the attribute `rng`; seed() makes them repeatable.
    """

    rate: float = 0.5
    frozen: bool = False

    def __post_init__(self) -> None:
        self.mask: Array | None = None
        self.seed(0)

    def seed(self, seed: Seed) -> None:
        """Start the masks anew, from a number or a SeedSequence: the same seed, the same masks."""
        self.rng = np.random.default_rng(seed)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x; in test mode x itself."""
        if self.mode == "test":
            return [inputs[0]]
        y, self.mask = forward(inputs[0], self.rate, self.rng, mask=self.mask if self.frozen else None)
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
