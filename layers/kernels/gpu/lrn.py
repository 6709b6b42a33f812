"""Local response normalisation on the GPU: launches lrn.cu. Arrays are C-contiguous: x, y, dx, dy (pixels, C)."""

from ... import array
from ...array import Array
from . import launch


def forward(x: Array, n: int, kappa: float, alpha: float, beta: float) -> Array:
    """y."""
    y = array.module_of(x).empty(x.shape, x.dtype)
    launch.kernel("lrn", "lrn_forward", x.dtype)(*launch.plane(*x.shape), (x, y, *x.shape, n, kappa, alpha, beta))
    return y


def backward(x: Array, dy: Array, n: int, kappa: float, alpha: float, beta: float) -> Array:
    """dx."""
    xp = array.module_of(x, dy)
    dx, shares = xp.empty(x.shape, x.dtype), xp.empty(x.shape, x.dtype)
    layout = launch.plane(*x.shape)
    args = (x, dy, dx, shares, *x.shape, n, kappa, alpha, beta)
    launch.kernel("lrn", "lrn_shares", x.dtype)(*layout, args)
    launch.kernel("lrn", "lrn_backward", x.dtype)(*layout, (x, shares, dx, *x.shape, n, 2 * alpha * beta))
    return dx
