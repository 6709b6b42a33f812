"""Sizes, pads and receptive fields of everything that slides a window (MatConvNet's dagnn.Filter).

Source    MatConvNet manual, section 3 (receptive fields) and vl_nnconv's size rule; matlab/+dagnn/Filter.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Numbers = int | float | Sequence[float] | Any  # a number, or a list, tuple or array of them


@dataclass(frozen=True)
class ReceptiveField:
    """Which input pixels an output pixel sees, per direction (vertical, horizontal).

    `size` pixels, centred at `offset + stride * (i - 1)` for output pixel i; pixels are counted from 1. NaN where several
    paths of different strides meet.
    """

    size: tuple[float, float]
    stride: tuple[float, float]
    offset: tuple[float, float]

    def then(self, after: "ReceptiveField") -> "ReceptiveField":
        """The field through this layer and then through `after` (MatConvNet's composition)."""
        axes = (0, 1)
        return ReceptiveField(
            size=tuple(self.stride[a] * (after.size[a] - 1) + self.size[a] for a in axes),
            stride=tuple(self.stride[a] * after.stride[a] for a in axes),
            offset=tuple(self.stride[a] * (after.offset[a] - 1) + self.offset[a] for a in axes),
        )

    def united(self, other: "ReceptiveField") -> "ReceptiveField":
        """The smallest field that covers both, where their strides agree; NaN in a direction where they do not."""
        nan = float("nan")
        size, stride, offset = [], [], []
        for a in (0, 1):
            if self.stride[a] != other.stride[a]:
                size, stride, offset = [*size, nan], [*stride, nan], [*offset, nan]
                continue
            first = min(self.offset[a] - (self.size[a] - 1) / 2, other.offset[a] - (other.size[a] - 1) / 2)
            last = max(self.offset[a] + (self.size[a] - 1) / 2, other.offset[a] + (other.size[a] - 1) / 2)
            size, stride, offset = [*size, last - first + 1], [*stride, self.stride[a]], [*offset, (first + last) / 2]
        return ReceptiveField(tuple(size), tuple(stride), tuple(offset))


IDENTITY = ReceptiveField((1, 1), (1, 1), (1, 1))


def pair(values: Numbers, who: str) -> tuple[int, int]:
    """A stride, dilation, pool size or the like as (vertical, horizontal); one number serves for both.

    Raises ValueError where that is not one or two whole numbers, naming `who`.
    """
    numbers = _whole(values, who)
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    if len(numbers) != 2:
        raise ValueError(f"{who}: it is {list(numbers)}; one or two whole numbers are right")
    return numbers[0], numbers[1]


def four(values: Numbers, who: str) -> tuple[int, int, int, int]:
    """A pad or crop as (top, bottom, left, right); one number serves for all, two are (vertical, horizontal).

    Raises ValueError where that is not one, two or four whole numbers >= 0, naming `who`.
    """
    numbers = _whole(values, who)
    if len(numbers) == 1:
        numbers = numbers * 4
    elif len(numbers) == 2:
        numbers = (numbers[0], numbers[0], numbers[1], numbers[1])
    if len(numbers) != 4 or min(numbers) < 0:
        raise ValueError(f"{who}: it is {list(numbers)}; 1, 2 or 4 whole numbers of at least 0 are right")
    return numbers


def positive_pair(values: Numbers, who: str) -> tuple[int, int]:
    """pair(), and both at least 1."""
    numbers = pair(values, who)
    if min(numbers) < 1:
        raise ValueError(f"{who}: it is {list(numbers)}; at least 1 is right")
    return numbers


def _whole(values: Numbers, who: str) -> tuple[int, ...]:
    flat = getattr(values, "ravel", lambda: values)()
    flat = list(flat) if hasattr(flat, "__len__") else [flat]
    whole = tuple(int(v) for v in flat)
    if any(w != v for w, v in zip(whole, flat, strict=True)):
        raise ValueError(f"{who}: it is {flat}; whole numbers are right")
    return whole


def extent(window: int, dilate: int = 1) -> int:
    """How many pixels a window of that many taps covers when there are dilate - 1 pixels between them."""
    return (window - 1) * dilate + 1


def slide(size: int, window: int, stride: int, before: int, after: int, who: str) -> int:
    """How many positions a window takes: floor((size + before + after - window) / stride) + 1.

    Raises ValueError where the window is larger than the padded input, naming `who`.
    """
    if window > size + before + after:
        raise ValueError(
            f"{who}: its window covers {window} pixels and the padded input has {size} + {before} + {after}; "
            "a larger input or pad is right"
        )
    return (size + before + after - window) // stride + 1


def window_sizes(
    size: tuple[float, float, float, float],
    window: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    channels: float | None = None,
) -> tuple[float, float, float, float]:
    """The size (YH, YW, channels, N) that a sliding window makes of (H, W, C, N); NaN where unknown; channels None keeps C."""
    h, w, c, n = size
    yh = (h + pad[0] + pad[1] - window[0]) // stride[0] + 1
    yw = (w + pad[2] + pad[3] - window[1]) // stride[1] + 1
    return yh, yw, c if channels is None else channels, n


def window_field(window: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> ReceptiveField:
    """The receptive field of a window of `window` pixels (dilation included): its centre starts at 1 - pad + (w-1)/2."""
    return ReceptiveField(
        size=(window[0], window[1]),
        stride=(stride[0], stride[1]),
        offset=(1 - pad[0] + (window[0] - 1) / 2, 1 - pad[2] + (window[1] - 1) / 2),
    )
