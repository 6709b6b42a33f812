"""Stochastic gradient descent in one pass over each parameter.

w       parameters, m their momenta, d their derivatives: lists of C-contiguous arrays of one dtype; w and m change in place
decays  the parameters' weight decays, rates their learning rates: lists of numbers
"""

from collections.abc import Sequence

import numpy as np

from ... import parts, threads
from . import loops


def step(
    w: Sequence[np.ndarray],
    m: Sequence[np.ndarray],
    d: Sequence[np.ndarray],
    *,
    decays: Sequence[float],
    rates: Sequence[float],
    scale: float,
    momentum: float,
    nesterov: bool,
) -> None:
    """g = scale d + decay w, m = momentum m - g, w += rate m; with nesterov w += rate (momentum m - g)."""
    work = []
    for *arrays, decay, rate in zip(w, m, d, decays, rates, strict=True):
        numbers = [arrays[0].dtype.type(number) for number in (decay, rate, scale, momentum)]
        work += [(*part, *numbers, nesterov) for part in parts.elements(*arrays)]
    threads.run(_step, work)


@loops.compiled
def _step(w, m, d, decay, rate, scale, momentum, nesterov):  # noqa: ANN001, ANN202  # numba infers types
    if nesterov:
        for i in range(w.size):
            g = scale * d[i] + decay * w[i]
            m[i] = momentum * m[i] - g
            w[i] += rate * (momentum * m[i] - g)
    else:
        for i in range(w.size):
            m[i] = momentum * m[i] - (scale * d[i] + decay * w[i])
            w[i] += rate * m[i]
