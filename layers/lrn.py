"""Local response normalisation across channels (MatConvNet vl_nnnormalize, dagnn.LRN).

Shapes    x, y, dx, dy, L (H, W, C, N); param [n, kappa, alpha, beta]
Forward   y_k = x_k * L_k^-beta,  L_k = kappa + alpha * sum of x_q^2 over the window q = k - floor((n-1)/2) .. k + ceil((n-1)/2)
          Channels outside 1..C count as 0. alpha is not divided by n (Caffe does that).
Backward  dx_q = dy_q * L_q^-beta - 2 alpha beta x_q * sum of dy_k x_k L_k^(-beta-1) over the k whose window holds q
Source    MatConvNet manual, 4.7; vl_nnnormalize of 1.0-beta25. Its CPU code takes an approximate power, up to 0.4 % away;
          we take the exact one, as its GPU code does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import array, block
from .array import Array


def forward(x: Array, *, param: Sequence[float] = (5, 1, 0.0001 / 5, 0.75)) -> Array:
    """y. Raises ValueError where x is not float32 or float64, or param not four numbers with n >= 1."""
    array.check_floats("LRN", x=x)
    n, kappa, alpha, beta = _checked(param)
    x = array.channels_last(x)
    return x * (kappa + alpha * _window_sum(x * x, (n - 1) // 2, n // 2)) ** -beta


def backward(x: Array, dy: Array, *, param: Sequence[float] = (5, 1, 0.0001 / 5, 0.75)) -> Array:
    """dx. Raises ValueError as forward does."""
    array.check_floats("LRN", x=x, dy=dy)
    n, kappa, alpha, beta = _checked(param)
    x, dy = array.channels_last(x), array.channels_last(dy)
    size = kappa + alpha * _window_sum(x * x, (n - 1) // 2, n // 2)
    power = size**-beta
    inner = _window_sum(dy * x * power / size, n // 2, (n - 1) // 2)
    return dy * power - 2 * alpha * beta * x * inner


def _window_sum(x: Array, before: int, after: int) -> Array:
    """s_k = sum of x_q over q = k - before .. k + after, within the channels (axis 2)."""
    total = x.copy(order="K")
    channels = x.shape[2]
    for d in range(1, min(after, channels - 1) + 1):
        total[:, :, :-d] += x[:, :, d:]
    for d in range(1, min(before, channels - 1) + 1):
        total[:, :, d:] += x[:, :, :-d]
    return total


def _checked(param: Sequence[float]) -> tuple[int, float, float, float]:
    if len(param) != 4 or int(param[0]) != param[0] or param[0] < 1:
        raise ValueError(f"LRN: param is {list(param)}; [n, kappa, alpha, beta] with a whole n of at least 1 is right")
    n, kappa, alpha, beta = (float(v) for v in param)
    return int(n), kappa, alpha, beta


@dataclass
class LRN(block.Layer):
    """Input: x. Output: y. No parameters."""

    param: list[float] = field(default_factory=lambda: [5, 1, 0.0001 / 5, 0.75])

    n_inputs, n_params = (1,), (0,)

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x."""
        return [forward(inputs[0], param=self.param)]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx."""
        return [backward(inputs[0], der_outputs[0], param=self.param)], []
