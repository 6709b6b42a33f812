"""Sizes, pads and receptive fields of everything that slides a window (MatConvNet's dagnn.Filter).

Source    MatConvNet manual, section 3 (receptive fields) and vl_nnconv's size rule; matlab/+dagnn/Filter.m of 1.0-beta25
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any, TypeVar

import numpy as np

from . import array

Axis = tuple[float, float, float]  # size, stride and offset in one direction
Length = TypeVar("Length", int, float)
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
        return _joined(
            [
                (stride * (size2 - 1) + size, stride * stride2, stride * (offset2 - 1) + offset)
                for (size, stride, offset), (size2, stride2, offset2) in zip(self._axes(), after._axes(), strict=True)
            ]
        )

    def united(self, other: "ReceptiveField") -> "ReceptiveField":
        """The smallest field that covers both, where their strides agree; NaN in a direction where they do not."""
        return _joined([_united(one, two) for one, two in zip(self._axes(), other._axes(), strict=True)])

    def _axes(self) -> list[Axis]:
        return list(zip(self.size, self.stride, self.offset, strict=True))


def _joined(axes: list[Axis]) -> ReceptiveField:
    (size, stride, offset), (size2, stride2, offset2) = axes
    return ReceptiveField((size, size2), (stride, stride2), (offset, offset2))


def _united(one: Axis, two: Axis) -> Axis:
    if one[1] != two[1]:
        return nan, nan, nan
    first = min(offset - (size - 1) / 2 for size, _, offset in (one, two))
    last = max(offset + (size - 1) / 2 for size, _, offset in (one, two))
    return last - first + 1, one[1], (first + last) / 2


IDENTITY = ReceptiveField((1, 1), (1, 1), (1, 1))
UNKNOWN = ReceptiveField((nan, nan), (nan, nan), (nan, nan))


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


def finite(values: Numbers, who: str) -> np.ndarray:
    """Numbers as an array of float64. Raises ValueError, naming `who`, where they are none or not finite."""
    try:
        found = np.asarray(values if array.module_of(values) is np else array.to_numpy(values))
    except ValueError:  # of lists that make no array
        found = np.array(None)
    if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        came = repr(values) if found.size < 10 else f"an array of shape {found.shape} with NaN or infinity in it"
        raise ValueError(f"{who}: it is {came}; finite numbers are right")
    return found.astype(float)


def _whole(values: Numbers, who: str) -> tuple[int, ...]:
    flat = finite(values, who).ravel().tolist()
    whole = tuple(int(v) for v in flat)
    if any(w != v for w, v in zip(whole, flat, strict=True)):
        raise ValueError(f"{who}: it is {flat}; whole numbers are right")
    return whole


def extent(window: int, dilate: int = 1) -> int:
    """How many pixels a window of that many taps covers when there are dilate - 1 pixels between them."""
    return (window - 1) * dilate + 1


def agree(one: Sequence[float], two: Sequence[float]) -> bool:
    """Whether two sizes are equal as far as they are known; NaN is a number that is not."""
    return len(one) == len(two) and all(a == b or isnan(a) or isnan(b) for a, b in zip(one, two, strict=True))


def slide(size: Length, window: int, stride: int, before: int, after: int, who: str) -> Length:
    """How many positions a window takes: floor((size + before + after - window) / stride) + 1; NaN for a size of NaN.

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
    who: str,
    channels: float | None = None,
) -> tuple[float, float, float, float]:
    """The size (YH, YW, channels, N) that a sliding window makes of (H, W, C, N); NaN where unknown; channels None keeps C.

    Raises ValueError as slide does, naming `who`.
    """
    h, w, c, n = size
    yh = slide(h, window[0], stride[0], pad[0], pad[1], f"{who}, vertically")
    yw = slide(w, window[1], stride[1], pad[2], pad[3], f"{who}, horizontally")
    return yh, yw, c if channels is None else channels, n


def window_field(window: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> ReceptiveField:
    """The receptive field of a window of `window` pixels (dilation included): its centre starts at 1 - pad + (w-1)/2."""
    return ReceptiveField(
        size=(window[0], window[1]),
        stride=(stride[0], stride[1]),
        offset=(1 - pad[0] + (window[0] - 1) / 2, 1 - pad[2] + (window[1] - 1) / 2),
    )
