"""Is backward the slope of forward? Central differences say so, for any block, yours included.

    from dagnet.layers import gradcheck
    gradcheck.check(MyBlock(), inputs=[x], params=[w, b], rng=np.random.default_rng(0))

Take a random number r for every output value and let f = sum(r * outputs). backward with der_outputs = r gives df/dx for every
value x of every input and parameter. Beside it stands  (f(x + step) - f(x - step)) / (2 step),  whose own error is about
step^2: in float64, with step 1e-5, agreement to 1e-6 is agreement. A block with corners (ReLU, max pooling) needs inputs
that stay more than a step away from them.
"""

from collections.abc import Callable, Sequence

import numpy as np

from . import array, block
from .array import Array

STEP = 1e-5


class GradientError(AssertionError):
    """backward is not the slope of forward; the message says for which input or parameter, and where most."""


def check(
    layer: block.Layer,
    inputs: Sequence[Array],
    params: Sequence[Array],
    rng: np.random.Generator,
    tolerance: float = 1e-6,
    differentiable: Sequence[str] | None = None,
) -> float:
    """The worst error, max|a - b| / max|b| per array, of the block's derivatives against central differences.

    inputs, params   float64 arrays of either device; keep them small: forward runs twice for every value
    differentiable   which to look at, "input 0", "param 2", ...; otherwise all for which backward returns a derivative
    Raises GradientError where an error is above the tolerance or a derivative has another shape than its array, and
    ValueError where an array to look at is not float64.
    """
    arrays = {f"input {i}": x for i, x in enumerate(inputs)} | {f"param {i}": p for i, p in enumerate(params)}
    outputs = layer.forward(list(inputs), list(params))
    xp = array.module_of(*inputs)
    projection = [xp.asarray(rng.standard_normal(y.shape)) for y in outputs]
    seen = outputs if layer.backward_uses == "outputs" else list(inputs)
    der_inputs, der_params = layer.backward(seen, list(params), projection)
    ders = dict(zip(arrays, [*der_inputs, *der_params], strict=True))
    if differentiable is None:
        differentiable = [name for name, der in ders.items() if der is not None]

    worst = 0.0
    for name in differentiable:
        if arrays[name].dtype != np.float64:
            raise ValueError(f"gradcheck: {name} is {arrays[name].dtype}; float64 is right")

        def projected(changed: Array, name: str = name) -> float:
            now = arrays | {name: changed}
            values = list(now.values())
            outputs = layer.forward(values[: len(inputs)], values[len(inputs) :])
            return float(sum((r * y).sum() for r, y in zip(projection, outputs, strict=True)))

        worst = max(worst, _compare(name, ders[name], _slope(projected, arrays[name]), tolerance))
    return worst


def _slope(f: Callable[[Array], float], x: Array) -> np.ndarray:
    """df/dx by central differences, on the CPU."""
    slope = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[place] += STEP
        below[place] -= STEP
        slope[place] = (f(above) - f(below)) / (2 * STEP)
    return slope


def _compare(name: str, der: Array | None, slope: np.ndarray, tolerance: float) -> float:
    if der is None:
        raise GradientError(
            f"gradcheck: backward returns no derivative for {name}; one of shape {slope.shape} is right"
        )
    der = array.to_numpy(der)
    if der.shape != slope.shape:
        raise GradientError(f"gradcheck: the derivative for {name} has shape {der.shape}; {slope.shape} is right")
    if der.size == 0:
        return 0.0
    difference = np.abs(der - slope)
    error = float(difference.max() / max(np.abs(slope).max(), STEP))
    if not error <= tolerance:  # so that NaN is an error too
        worst = np.unravel_index(np.argmax(difference), slope.shape)
        place = tuple(int(i) for i in worst)
        raise GradientError(
            f"gradcheck: the derivative for {name} is off by {error:.2g} of its largest value, most at {place}: "
            f"backward says {der[worst]:.9g}, the slope of forward is {slope[worst]:.9g}; at most {tolerance:g} is right"
        )
    return error
