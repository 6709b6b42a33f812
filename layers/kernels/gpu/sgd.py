"""Stochastic gradient descent on the GPU: launches sgd.cu, once for as many parameters as a kernel takes.

w       parameters, m their momenta, d their derivatives: lists of C-contiguous arrays of one dtype; w and m change in place
decays  the parameters' weight decays, rates their learning rates: lists of numbers
"""

from collections.abc import Sequence
from itertools import accumulate

from ...array import Array
from . import launch, source

CHUNK = 8192  # numbers that a block changes, as in sgd.cu


def step(
    w: Sequence[Array],
    m: Sequence[Array],
    d: Sequence[Array],
    *,
    decays: Sequence[float],
    rates: Sequence[float],
    scale: float,
    momentum: float,
    nesterov: bool,
) -> None:
    """g = scale d + decay w, m = momentum m - g, w += rate m; with nesterov w += rate (momentum m - g)."""
    for first in range(0, len(w), source.LIST):
        some = slice(first, first + source.LIST)
        sizes = [x.size for x in w[some]]
        *starts, blocks = accumulate((-(-size // CHUNK) for size in sizes), initial=0)
        lists = (list(w[some]), list(m[some]), list(d[some]), sizes, starts, list(decays[some]), list(rates[some]))
        args = (*lists, len(sizes), scale, momentum, nesterov)
        launch.kernel("sgd", "sgd_step", w[0].dtype)((blocks,), launch.BLOCK, args)
