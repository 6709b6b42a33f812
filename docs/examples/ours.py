"""What old_net.m needs besides, in Python: see docs/migrating.md."""

from dataclasses import dataclass

import numpy as np
from dagnet.layers.array import Array

from dagnet.layers import block


def start(filters: np.ndarray) -> np.ndarray:
    """The authors' our_start.m: filters whose mean is 0."""
    return filters - filters.mean()


@dataclass
class Brighten(block.Layer):
    """Their layer: y = byFactor * x."""

    by_factor: float = 1.0

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y"""
        return [inputs[0] * self.by_factor]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx = byFactor * dy"""
        return [der_outputs[0] * self.by_factor], []
