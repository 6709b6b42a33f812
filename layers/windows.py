"""How windows lie along an axis, and maxima, sums and their derivatives over them, one axis at a time, in parts for threads.

Shapes    x, dx (N, H, W, C)    y, dy (N, YH, YW, C)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from . import array, threads
from .array import Array

PART_BYTES = 1 << 20  # of x that a thread takes at a time, on the CPU


@dataclass(frozen=True)
class Line:
    """How windows lie along one axis (1 = H, 2 = W) of an array (N, H, W, C)."""

    axis: int
    size: int
    window: int
    stride: int
    before: int
    positions: int

    @property
    def idle(self) -> bool:
        """Whether each window is one pixel and each pixel one window."""
        return self.window == self.stride == 1 and self.positions == self.size

    @property
    def apart(self) -> bool:
        """Whether no pixel lies in two windows."""
        return self.stride >= self.window

    @property
    def tiled(self) -> bool:
        """Whether each pixel lies in one window."""
        return self.stride == self.window and self.positions * self.stride >= self.size + self.before

    @property
    def counts(self) -> list[int]:
        """How many pixels each window holds."""
        starts = (i * self.stride - self.before for i in range(self.positions))
        return [min(start + self.window, self.size) - max(start, 0) for start in starts]

    def taps(self) -> Iterator[tuple[int, tuple[slice, ...], tuple[slice, ...], bool]]:
        """For each pixel of the window its number, the places of x that it reads, the places of y that this is for, and whether
        it is the first pixel of these windows.

        Position i reads pixel i*stride - before + tap. Where that lies in the padding, i is left out.
        """
        all_before, seen = (slice(None),) * self.axis, self.positions
        for tap in range(self.window):
            shift = tap - self.before
            first = max(-(shift // self.stride), 0)
            end = min((self.size - 1 - shift) // self.stride + 1, self.positions)
            for start, stop in ((first, seen), (max(first, seen), end)):
                if start < stop:
                    pixels = slice(start * self.stride + shift, (stop - 1) * self.stride + shift + 1, self.stride)
                    yield tap, (*all_before, pixels), (*all_before, slice(start, stop)), start < seen
            seen = min(first, seen)

    def resized(self, x: Array, length: int) -> tuple[int, ...]:
        """x's shape with that length along this axis."""
        return (*x.shape[: self.axis], length, *x.shape[self.axis + 1 :])

    def cut(self, first: int, end: int) -> tuple[slice, "Line"]:
        """Of the positions from first to end: the pixels that they read, and their line over these.

        Where windows are apart, all the line's cuts together hold each pixel once.
        """
        start = max(first * self.stride - self.before, 0)
        last = max(end * self.stride, (end - 1) * self.stride + self.window) - self.before
        stop = self.size if end == self.positions else min(last, self.size)
        before = start + self.before - first * self.stride
        return slice(start, stop), replace(self, size=stop - start, before=before, positions=end - first)


def share(
    work: Callable[..., None], pixels: Array, *others: Array, rows: Line, columns: Line, into_pixels: bool = False
) -> None:
    """work(pixels, *others, rows, columns), on the CPU in parts: of pixels (N, H, W, C) and arrays (N, YH, YW, C).

    into_pixels: it writes to the pixels; where windows overlap an image is then not cut, so that no two write to one pixel.
    """
    if array.module_of(pixels) is not np:
        work(pixels, *others, rows, columns)
        return
    image = max(1, pixels[:1].nbytes)
    images = max(1, PART_BYTES // image)
    cuts = 1 if into_pixels and not rows.apart else ceil(image / PART_BYTES)
    step = ceil(rows.positions / cuts)
    parts: list[tuple[Any, ...]] = []
    for n in range(0, len(pixels), images):
        for first in range(0, rows.positions, step):
            own, line = rows.cut(first, min(first + step, rows.positions))
            ours = (a[n : n + images, first : first + step] for a in others)
            parts.append((pixels[n : n + images, own], *ours, line, columns))
    threads.run(work, parts)


def join(
    join: Callable[..., Array],
    x: Array,
    line: Line,
    y: Array | None = None,
    *,
    index: Array | None = None,
    earlier: Array | int = 0,
    step: int = 1,
) -> Array:
    """y = the maximum or the sum over the windows along one axis.

    index: becomes earlier + step * tap of each window's first maximum, where earlier < step says of each x its own place.
    """
    xp = array.module_of(x)
    if y is None:
        y = xp.empty(line.resized(x, line.positions), x.dtype)
    so_far = y
    for tap, pixels, at, first in line.taps():
        new, everywhere = x[pixels], y[at].shape == y.shape
        if index is not None:
            place = (earlier if isinstance(earlier, int) else earlier[pixels]) + index.dtype.type(step * tap)
            if first:
                index[at] = place
            else:  # a place is higher than those of the taps before
                better = xp.greater(new, so_far[at]).view(np.uint8)
                xp.maximum(index[at], xp.multiply(better, place, dtype=index.dtype), out=index[at])
        if first and everywhere:
            so_far = new
        elif first:
            y[at] = new
        else:
            if so_far is not y and not everywhere:
                y[...] = so_far
                so_far = y
            join(so_far[at], new, out=y[at])
            so_far = y
    if so_far is not y:
        y[...] = so_far
    return y


def spread(dy: Array, line: Line, dx: Array) -> Array:
    """dx of the sum along one axis: each dy goes to all pixels of its window."""
    if not line.tiled:
        dx[...] = 0
    for _, pixels, at, _ in line.taps():
        if line.apart:
            dx[pixels] = dy[at]
        else:
            dx[pixels] += dy[at]
    return dx


def counts(y: Array, rows: Line, columns: Line) -> Array:
    """How many pixels of x each window holds, (YH, YW, 1)."""
    down, across = (array.module_of(y).asarray(line.counts, y.dtype) for line in (rows, columns))
    return (down[:, None] * across)[:, :, None]
