"""How a convolution's windows lie over its input: the shapes, checked, and the parts in which the work is done.

Within this file and conv.py data are base arrays, x (N, H, W, C) and y (N, YH, YW, K). A part is (images, lines): some images,
and of these some lines of y (or of x, where the input's derivative is made).
"""

from dataclasses import dataclass
from math import prod
from types import ModuleType

import numpy as np

from . import array, geometry, settings, threads
from .array import Array
from .geometry import Numbers

Part = tuple[slice, slice]

PART_BYTES = 2 << 20  # of window rows on a CPU; the best of 1 to 8 MB
LEAST_PIXELS = 256  # in a part: below, a matrix product is busier with fetching the filters than with multiplying
LEAST_WORK = 1 << 21  # multiplications that are worth a second thread


@dataclass(frozen=True)
class Group:
    """Which channels of x one group of filters reads, and which channels of y it makes."""

    inputs: slice
    outputs: slice


@dataclass(frozen=True)
class Plan:
    """The shapes of one convolution, checked, and how its windows lie over the padded input."""

    input: tuple[int, int, int, int]
    output: tuple[int, int, int, int]
    window: tuple[int, int]
    k: int
    g: int
    stride: tuple[int, int]
    pad: tuple[int, int, int, int]
    dilate: tuple[int, int]
    identity: bool
    algorithm: str = "auto"

    @classmethod
    def of(
        cls,
        size: tuple[int, int, int, int],
        w: Array,
        b: Array | None,
        stride: Numbers,
        pad: Numbers,
        dilate: Numbers,
        algorithm: str = "auto",
    ) -> "Plan":
        """The plan for x of that size (H, W, C, N) and these parameters. Raises ValueError where they do not fit."""
        h, wd, c, n = size
        identity = w.size == 0
        fh, fw, fc, k = (1, 1, c, c) if identity else array.four_d(w).shape
        if c % fc or k % (c // fc):
            raise ValueError(
                f"conv: w has shape {w.shape} and x has {c} channels; w's {fc} channels must equal x's or divide them into "
                f"groups, and the groups must divide its {k} filters"
            )
        if b is not None and b.size not in (0, k):
            raise ValueError(
                f"conv: b has {b.size} values and w has {k} filters; one value a filter, or none, is right"
            )
        stride = geometry.positive_pair(stride, "conv: stride")
        pad = geometry.four(pad, "conv: pad")
        dilate = geometry.positive_pair(dilate, "conv: dilate")
        if identity and dilate != (1, 1):
            raise ValueError(f"conv: w is empty (identity filters) and dilate is {dilate}; 1 is right then")
        yh = geometry.slide(h, geometry.extent(fh, dilate[0]), stride[0], pad[0], pad[1], "conv, vertically")
        yw = geometry.slide(wd, geometry.extent(fw, dilate[1]), stride[1], pad[2], pad[3], "conv, horizontally")
        return cls((h, wd, c, n), (yh, yw, k, n), (fh, fw), k, c // fc, stride, pad, dilate, identity, algorithm)

    @property
    def window_size(self) -> int:
        """Values in one window of one group."""
        return prod(self.window) * self.input[2] // self.g

    def groups(self) -> list[Group]:
        """The groups, in order; identity filters need one for all channels."""
        if self.identity:
            return [Group(slice(0, self.k), slice(0, self.k))]
        fc, kg = self.input[2] // self.g, self.k // self.g
        return [Group(slice(g * fc, (g + 1) * fc), slice(g * kg, (g + 1) * kg)) for g in range(self.g)]

    def matrix(self, w: Array) -> Array:
        """All filters as a matrix (FH*FW*FC, K); no copy where w is in C order."""
        return array.module_of(w).ascontiguousarray(w).reshape(-1, self.k)

    def strip(self, x: Array, part: Part) -> Array:
        """What a part of y sees of x: (images, lines, left + W + right, C), with zeros where the pad lies."""
        images, lines = part
        (h, w, c, _), (top, _, left, right) = self.input, self.pad
        first = lines.start * self.stride[0] - top
        count = (lines.stop - lines.start - 1) * self.stride[0] + geometry.extent(self.window[0], self.dilate[0])
        start, stop = min(max(first, 0), h), max(min(first + count, h), 0)
        if not left and not right and stop - start == count:
            return x[images, start:stop]
        strip = array.flat(array.module_of(x), (images.stop - images.start, count, left + w + right, c), x.dtype)
        inside = slice(start - first, max(stop, start) - first)
        strip[:, : inside.start] = strip[:, inside.stop :] = 0
        strip[:, inside, :left] = strip[:, inside, left + w :] = 0
        strip[:, inside, left : left + w] = x[images, start:stop]
        return strip

    def windows(self, strip: Array, lines: int, group: Group) -> Array:
        """A view (images, lines, YW, FH, FW, FC) of a strip, in which [n, i, j] is the window that pixel (i, j) of y sees."""
        channels = strip[..., group.inputs]
        sn, sh, sw, sc = channels.strides
        (sv, sx), (dv, dx) = self.stride, self.dilate
        return array.module_of(strip).lib.stride_tricks.as_strided(
            channels,
            (len(strip), lines, self.output[1], *self.window, channels.shape[3]),
            (sn, sh * sv, sw * sx, sh * dv, sw * dx, sc),
        )

    def columns(self, x: Array, part: Part, group: Group) -> Array:
        """The windows of a part as the rows of a matrix (pixels, FH*FW*FC): im2col. No copy where they lie so (1x1)."""
        view = self.windows(self.strip(x, part), part[1].stop - part[1].start, group)
        if view.flags.c_contiguous:
            return view.reshape(-1, self.window_size)
        columns = array.flat(array.module_of(x), view.shape, x.dtype)
        columns[...] = view
        return columns.reshape(-1, self.window_size)

    def readers(self, lines: slice, p: int) -> tuple[slice, range]:
        """The lines of y whose windows' row p lies in these lines of x, and where it lies, counted from the first of them."""
        stride, shift = self.stride[0], p * self.dilate[0] - self.pad[0]
        start = max(-(-(lines.start - shift) // stride), 0)
        stop = max(min(-(-(lines.stop - shift) // stride), self.output[0]), start)
        first = start * stride + shift - lines.start
        return slice(start, stop), range(first, first + (stop - start) * stride, stride)

    def taps(self, strip: Array, lines: range, down: slice, across: slice) -> Array:
        """A view (images, lines, YW, taps down, taps across, C): where these taps of windows lie on these lines of a strip."""
        (sn, sh, sw, sc), (n, _, _, c) = strip.strides, strip.shape
        (sv, sx), (dv, dx) = self.stride, self.dilate
        count = [min(s.stop, f) - s.start for s, f in zip((down, across), self.window, strict=True)]
        return array.module_of(strip).lib.stride_tricks.as_strided(
            strip[:, lines.start :, across.start * dx :],
            (n, len(lines), self.output[1], *count, c),
            (sn, sh * sv, sw * sx, sh * dv, sw * dx, sc),
        )

    def parts(self, most: int, least: int = 1, lines: int | None = None) -> list[Part]:
        """At least so many parts of at most about so many pixels, of y or of an image with so many lines."""
        yh, yw, _, n = self.output
        yh = lines or yh
        count = max(-(-n * yh * yw // max(most, 1)), least)
        count = -(-count // least) * least  # as many for each thread
        images = threads.slices(n, min(n, count))
        return [(i, s) for i in images for s in threads.slices(yh, -(-count // len(images)))]

    def shares(
        self, xp: ModuleType, channels: int, lines: int | None = None, whole: bool = False
    ) -> list[tuple[Part, slice]]:
        """(part, channels) for threads to share, of an output with so many channels a group (and so many lines).

        Where there are pixels enough, each thread takes some of these and all channels; of a small map it takes all pixels
        and some channels, so that each filter is fetched once. With `whole` no image is cut.
        """
        count, images = self.threads(xp), self.output[3]
        if whole:
            cuts = [slice(0, channels)] if images >= count else threads.slices(channels, count)
            height = slice(0, lines or self.output[0])
            return [((i, height), some) for i in threads.slices(images, images) for some in cuts]
        if self.pixels >= count * LEAST_PIXELS // 2:
            return [(part, slice(0, channels)) for part in self.parts(self.most(xp), count, lines)]
        return [
            (part, some) for some in threads.slices(channels, count) for part in self.parts(self.most(xp), 1, lines)
        ]

    @property
    def pixels(self) -> int:
        """Of y, in all images."""
        yh, yw, _, n = self.output
        return n * yh * yw

    def threads(self, xp: ModuleType) -> int:
        """How many are to share the work."""
        return threads.count() if xp is np and self.pixels * self.k * self.window_size >= LEAST_WORK else 1

    def most(self, xp: ModuleType) -> int:
        """Pixels of a part."""
        if xp is np:
            return max(PART_BYTES // (4 * self.window_size), LEAST_PIXELS)
        return settings.current().scratch // (8 * self.window_size)
