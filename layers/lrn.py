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

from . import array, block, kernels, parts, threads
from .array import Array


def forward(x: Array, *, param: Sequence[float] = (5, 1, 0.0001 / 5, 0.75)) -> Array:
    """y. Raises ValueError where x is not float32 or float64, or param not four numbers with n >= 1."""
    array.check_floats("LRN", x=x)
    n, kappa, alpha, beta = _checked(param)
    x = array.base(array.four_d(x))
    if fast := kernels.serving("lrn", x):
        return fast.forward(_pixels(x), n, kappa, alpha, beta).reshape(x.shape).transpose(1, 2, 3, 0)
    xp, y = array.module_of(x), array.empty_like(x)

    def piece(x: Array, y: Array) -> None:
        xp.multiply(x, array.power(_size(x, n, kappa, alpha), -beta), out=y)

    threads.run(piece, parts.of([_pixels(x), _pixels(y)]))
    return y.transpose(1, 2, 3, 0)


def backward(x: Array, dy: Array, *, param: Sequence[float] = (5, 1, 0.0001 / 5, 0.75)) -> Array:
    """dx. Raises ValueError as forward does, and where dy has not y's shape."""
    array.check_floats("LRN", x=x, dy=dy)
    n, kappa, alpha, beta = _checked(param)
    x = array.four_d(x)
    x, dy = array.base(x), array.base(array.derivative("LRN", dy, x.shape))
    if fast := kernels.serving("lrn", x, dy):
        return fast.backward(_pixels(x), _pixels(dy), n, kappa, alpha, beta).reshape(x.shape).transpose(1, 2, 3, 0)
    xp, dx = array.module_of(x, dy), array.empty_like(x)

    def piece(x: Array, dy: Array, dx: Array) -> None:
        size = _size(x, n, kappa, alpha)
        xp.multiply(dy, array.power(size, -beta), out=dx)
        inner = _window_sum(dx, xp.divide(x, size, out=size), n // 2, (n - 1) // 2, 2 * alpha * beta)
        inner *= x
        dx -= inner

    threads.run(piece, parts.of([_pixels(x), _pixels(dy), _pixels(dx)]))
    return dx.transpose(1, 2, 3, 0)


def _pixels(x: Array) -> Array:
    """x (N, H, W, C) as (pixels, C)."""
    return x.reshape(-1, x.shape[3])


def _size(x: Array, n: int, kappa: float, alpha: float) -> Array:
    """L (pixels, C)."""
    size = _window_sum(x, x, (n - 1) // 2, n // 2, alpha)
    size += kappa
    return size


def _window_sum(a: Array, b: Array, before: int, after: int, factor: float) -> Array:
    """s_k = factor * sum of a_q * b_q over q = k - before .. k + after, within the channels: (pixels, C) as a and b.

    The products are laid out with zeros between the pixels. So windows may run over a pixel's end, and NumPy adds long rows.
    """
    xp, (pixels, channels) = array.module_of(a), a.shape
    before, after = min(before, channels - 1), min(after, channels - 1)
    width = before + channels + after
    wide = xp.zeros((pixels + 1, width), a.dtype)
    xp.multiply(a, b, out=wide[:pixels, before : before + channels])
    flat, count = wide.reshape(-1), pixels * width
    total = flat[:count].copy()
    for d in range(1, before + after + 1):
        total += flat[d : d + count]
    return total.reshape(pixels, width)[:, :channels] * factor


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
