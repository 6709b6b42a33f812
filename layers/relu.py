"""Rectified linear unit (MatConvNet vl_nnrelu, dagnn.ReLU).

Shapes    x, y, dx, dy (H, W, C, N)
Forward   y  = max(x, 0) + leak * min(x, 0)        NaN is passed on (MATLAB's max makes it 0)
Backward  dx = dy * (1 if x > 0 else leak)      at x = 0 we take leak
          With leak >= 0, y > 0 exactly where x > 0: backward may then be given y in place of x.
Source    MatConvNet manual, section 4.4; vl_nnrelu.m of 1.0-beta25
"""

from dataclasses import dataclass, field
from typing import Literal

from . import array, block, kernels, parts, threads
from .array import Array


def forward(x: Array, *, leak: float = 0.0) -> Array:
    """y, shaped like x. Raises ValueError unless x is float32 or float64."""
    array.check_floats("relu", x=x)
    xp, x = array.module_of(x), array.four_d(x)
    if fast := kernels.serving("relu", x):
        return fast.forward(array.base(x), leak).transpose(1, 2, 3, 0)
    y = array.empty_like(x)

    def part(x: Array, y: Array) -> None:
        xp.maximum(x, 0, out=y)
        if leak != 0:
            below = xp.minimum(x, 0)
            below *= float(leak)
            y += below

    threads.run(part, parts.elements(x, y))
    return y


def backward(x: Array, dy: Array, *, leak: float = 0.0) -> Array:
    """dx, from x (or from y where leak >= 0) and dy. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("relu", x=x, dy=dy)
    xp, x = array.module_of(x, dy), array.four_d(x)
    dy = array.derivative("relu", dy, x.shape)
    if fast := kernels.serving("relu", x, dy):
        return fast.backward(array.base(x), array.base(dy), leak).transpose(1, 2, 3, 0)
    dx = array.empty_like(dy)

    def part(x: Array, dy: Array, slope: Array) -> None:
        xp.greater(x, 0, out=slope)
        if leak != 0:
            slope *= 1 - float(leak)
            slope += float(leak)
        slope *= dy

    threads.run(part, parts.elements(x, dy, dx))
    return dx


def masked(dy: Array, y: Array) -> tuple[Array, Array]:
    """(pixels, K) each: dy where the output y is above 0, else 0; and the K sums of that, which are a bias's derivative."""
    xp = array.module_of(dy, y)
    if fast := kernels.serving("relu", dy, y):
        return fast.masked(dy, y)
    kept = array.empty_like(dy)

    def part(dy: Array, y: Array, kept: Array) -> Array:
        xp.greater(y, 0, out=kept)
        kept *= dy
        return parts.column_sums(kept)

    return kept, sum(threads.run(part, parts.of([dy, y, kept])))


@dataclass
class ReLU(block.Layer):
    """use_short_circuit: backward takes the output, so that the net may free the input during the forward pass."""

    use_short_circuit: bool = True
    leak: float = 0.0
    opts: list = field(default_factory=list)

    n_inputs, n_params = (1,), (0,)

    @property
    def backward_uses(self) -> Literal["inputs", "outputs"]:  # type: ignore[override]  # here it depends on the leak
        """ "outputs" with use_short_circuit; a negative leak needs the input's sign, which the output then hides."""
        return "outputs" if self.use_short_circuit and self.leak >= 0 else "inputs"

    @property
    def rectifies(self) -> bool:  # type: ignore[override]  # here it depends on the leak
        """Whether y is all that backward asks for, and max(x, 0)."""
        return self.leak == 0 and self.backward_uses == "outputs"

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x."""
        return [forward(inputs[0], leak=self.leak)]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; no parameters."""
        return [backward(inputs[0], der_outputs[0], leak=self.leak)], []
