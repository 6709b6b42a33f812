"""Which algorithm a convolution on the CPU runs, pass by pass, and why.

products   windows as rows of a matrix, times the filters (conv.py): any convolution
winograd   a quarter of the multiplications, for 3x3 windows with stride 1 (kernels/winograd.py), at a larger rounding error

The choice follows from shapes, dtype and settings alone, so that it is the same in every run; one layer's can be fixed
(Conv.algorithm). What it is for a net, `dagnet show --plan` prints. On the GPU, kernels/gpu/ chooses.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from . import kernels, settings
from .array import Array
from .im2col import Plan
from .kernels import winograd

Pass = Literal["forward", "dx", "dw"]
NAMES = ("auto", "products", "winograd")


@dataclass(frozen=True)
class Choice:
    """An algorithm and the reason for it, in a few words."""

    algorithm: str
    why: str


@dataclass(frozen=True)
class Bounds:
    """From where on Winograd's transforms cost less than the multiplications they spare: measured, with one thread each.

    pixels of y must be more than `fixed` (the filters' transform) and `tile` for each tile of 4x4; C * K and tiles * C * K
    must be at least `channels` and `products`
    """

    fixed: int
    tile: int
    channels: int
    products: int


FAST = Bounds(75, 6, 256, 0)  # numba's loops
PLAIN = {  # transforms by matrix products
    "forward": Bounds(145, 11, 1024, 500_000),
    "dx": Bounds(145, 11, 256, 36_000),  # here the other way has more to add up
    "dw": Bounds(145, 11, 8192, 500_000),  # two transforms for the products' one sum
}


def choose(plan: Plan, pass_: Pass, dtype: Any) -> Choice:
    """The algorithm of one pass over arrays of that dtype.

    Raises ValueError where the layer's own choice is no algorithm, or not one for its windows.
    """
    if plan.algorithm not in NAMES:
        raise ValueError(f"conv: algorithm is {plan.algorithm!r}; {', '.join(NAMES[:-1])} or {NAMES[-1]} is right")
    fits = not plan.identity and (plan.window, plan.stride, plan.dilate, plan.g) == ((3, 3), (1, 1), (1, 1), 1)
    if plan.algorithm != "auto":
        if plan.algorithm == "winograd" and not fits:
            raise ValueError(
                f"conv: algorithm is 'winograd' for windows of {plan.window}, stride {plan.stride}, dilate {plan.dilate} and "
                f"{plan.g} groups; windows of 3x3, stride 1, dilate 1 and one group are right"
            )
        return Choice(plan.algorithm, "fixed for this layer")
    if settings.current().exact:
        return Choice("products", "settings.exact")
    if not fits:
        return Choice("products", "not 3x3 with stride 1")
    if np.dtype(dtype) != np.float32:
        return Choice("products", f"{np.dtype(dtype)}: all its digits are wanted")
    fast = settings.current().fast and kernels.has_numba()
    bounds = FAST if fast else PLAIN[pass_]
    channels = plan.input[2] * plan.k
    height, width, _, images = plan.input if pass_ == "dx" else plan.output
    tiles = images * -(-height // 4) * -(-width // 4)
    if images * height * width <= bounds.fixed + bounds.tile * tiles:
        return Choice("products", f"few pixels: {images * height * width} in {tiles} tile{'s' if tiles != 1 else ''}")
    if channels < bounds.channels or channels * tiles < bounds.products:
        return Choice("products", f"few channels: {plan.input[2]} to {plan.k}")
    return Choice("winograd", "by numba's loops" if fast else "by matrix products")


def serving(plan: Plan, pass_: Pass, *arrays: Array) -> Any:
    """The module to run this pass on these arrays; None where conv.py's own code is to run."""
    if twins := kernels.serving("conv", *arrays):
        return twins
    if isinstance(arrays[0], np.ndarray) and choose(plan, pass_, arrays[0].dtype).algorithm == "winograd":
        return winograd
    return None
