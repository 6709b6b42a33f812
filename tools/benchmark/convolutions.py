"""VGG-16's 3x3 layers one by one, two images: forward with its bias, dX, and dW with db.

The first layer has no dX, which training does not ask for.
"""

from functools import partial

import numpy as np

from . import work
from .work import Step, Work

IMAGES = 2
LAYERS = (  # pixels along a side, channels in, channels out
    (96, 3, 64),
    (96, 64, 64),
    (96, 64, 128),
    (96, 128, 128),
    (48, 128, 256),
    (48, 256, 256),
    (24, 256, 512),
    (24, 512, 512),
    (12, 512, 512),
)


def ours(side: int, before: int, after: int) -> dict[str, Step]:
    """Its three passes in dagnet."""
    from dagnet.layers import array, conv

    x, w, dy, b = _values(side, before, after)
    plan = conv.Plan.of(x.shape, w, b, 1, 1, 1)
    pixels, slopes = array.base(x), array.base(dy)

    steps = {
        "forward": lambda: conv.forward(x, w, b, pad=1),
        "dX": lambda: conv.data_derivative(plan, slopes, w),
        "dW": lambda: (conv.filter_derivative(plan, pixels, slopes, w), conv.bias_derivative(slopes, b)),
    }
    return _asked_for(steps, before)


def theirs(side: int, before: int, after: int, channels_last: bool) -> dict[str, Step]:
    """The same in PyTorch: what its autograd calls."""
    import torch

    *arrays, biases = _values(side, before, after)
    x, w, dy = (work.tensor(array, channels_last) for array in arrays)
    b = torch.from_numpy(biases.ravel())

    def backward(*wanted: bool) -> Step:
        options = [after], [1, 1], [1, 1], [1, 1], False, [0, 0], 1
        return lambda: torch.ops.aten.convolution_backward(dy, x, w, *options, wanted)

    steps = {
        "forward": lambda: torch.nn.functional.conv2d(x, w, b, padding=1),
        "dX": backward(True, False, False),
        "dW": backward(False, True, True),
    }
    return _asked_for(steps, before)


def _asked_for(steps: dict[str, Step], before: int) -> dict[str, Step]:
    return {name: step for name, step in steps.items() if before > 3 or name != "dX"}


def _values(side: int, before: int, after: int) -> tuple[np.ndarray, ...]:
    """x, w, dy, b, such that y is about as large as x."""
    rng = np.random.default_rng(2)
    w = rng.standard_normal((3, 3, before, after), np.float32) / np.float32(np.sqrt(9 * before))
    b = rng.standard_normal((after, 1), np.float32)
    return work.data((side, side, before, IMAGES), 0), w, work.data((side, side, after, IMAGES), 1), b


WORKS = {
    f"conv{side}_{before}_{after}": Work(
        f"3x3 convolution, {side}x{side}, {before} to {after}",
        partial(ours, side, before, after),
        partial(theirs, side, before, after),
    )
    for side, before, after in LAYERS
}
