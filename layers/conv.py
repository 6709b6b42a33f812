"""Convolution (MatConvNet vl_nnconv, dagnn.Conv).

Shapes    x, dx (H, W, C, N)    w, dw (FH, FW, FC, K)    b, db K values    y, dy (YH, YW, K, N)
          YH = floor((H + top + bottom - (FH-1)*dilate_v - 1) / stride_v) + 1, and YW alike
Forward   y[i,j,k,n]  = b[k] + sum_{p,q,c} w[p,q,c,k] * X[i*stride + p*dilate, j*stride + q*dilate, c, n]
          X is x with zeros around it. No flip: this is a correlation.
Backward  dw[p,q,c,k] = sum_{i,j,n} X[i*stride + p*dilate, ...] * dy[i,j,k,n]      the same windows, summed over their places
          dX[i*stride + p*dilate, ...] += sum_k w[p,q,c,k] * dy[i,j,k,n]           each window gives back what it took
          db[k] = sum_{i,j,n} dy[i,j,k,n]
Groups    G = C / FC groups follow from the shapes: group g reads the channels g*FC ..., and makes the outputs g*K/G ...
Empty w   stands for K = C identity filters of 1x1: pad, stride and bias act alone (then dilate is 1)
Source    MatConvNet manual, section 4.1; vl_nnconv.m of 1.0-beta25

How: the windows are laid out as rows of a matrix (im2col), so that each sum above is one matrix product. The rows are made
in parts of a few megabytes, which stay in the processor's cache and bound the memory (for dw in parts of as many rows as
columns, at most 85 MB for VGG-16's 3x3 layers).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod, sqrt
from types import ModuleType
from typing import Any

import numpy as np

from . import array, block, geometry, kernels, relu
from .array import Array
from .geometry import Numbers

PART_BYTES = {"numpy": 4 << 20, "cupy": 256 << 20}  # of window rows made at a time; on a CPU the best of 1 to 32 MB


def forward(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Numbers = 1,
    pad: Numbers = 0,
    dilate: Numbers = 1,
    rectify: bool = False,
) -> Array:
    """y (YH, YW, K, N), or with rectify max(y, 0): a ReLU while the numbers are at hand.

    Raises ValueError where the shapes do not fit.
    """
    array.check_floats("conv", x=x, w=w, b=b)
    x, w = array.four_d(x), array.four_d(w)
    plan = Plan.of(x.shape, w, b, stride, pad, dilate)
    xp = array.module_of(x, w, b)
    if fast := kernels.serving("conv", x):
        return fast.forward(plan, array.base(x), w, b, rectify).transpose(1, 2, 3, 0)
    padded = plan.padded(array.base(x))
    y = array.empty(xp, plan.output, x.dtype)
    rows = array.base(y)
    for group in plan.groups():
        if plan.identity:
            rows[...] = plan.windows(padded, group)[:, :, :, 0, 0]
            continue
        matrix = plan.matrix(w, group)
        for part, columns in plan.im2col(padded, group):
            out = rows[part][..., group.outputs]
            if out.flags.c_contiguous:
                xp.matmul(columns, matrix, out=out.reshape(len(columns), -1))
            else:
                out[...] = xp.matmul(columns, matrix).reshape(out.shape)
    if b is not None and b.size:
        rows += b.ravel()
    if rectify:
        xp.maximum(rows, 0, out=rows)
    return y


def backward(
    x: Array,
    w: Array,
    b: Array | None,
    dy: Array,
    *,
    stride: Numbers = 1,
    pad: Numbers = 0,
    dilate: Numbers = 1,
    need_dx: bool = True,
    rectified: Array | None = None,
) -> tuple[Array | None, Array, Array | None]:
    """dx (H, W, C, N), dw and db, shaped like w and b; dx is None where it is not needed, db where there is no b.

    rectified is what forward gave with rectify: then dy is the derivative for that.
    Raises ValueError where the shapes do not fit.
    """
    array.check_floats("conv", x=x, w=w, b=b, dy=dy)
    x, filters = array.four_d(x), array.four_d(w)
    plan = Plan.of(x.shape, filters, b, stride, pad, dilate)
    rows = array.base(array.derivative("conv", dy, plan.output))
    if rectified is None:
        db = bias_derivative(rows, b)
    else:
        kept, sums = relu.masked(rows.reshape(-1, plan.k), array.base(rectified).reshape(-1, plan.k))
        rows, db = kept.reshape(rows.shape), sums.reshape(b.shape) if b is not None and b.size else b
    dw = filter_derivative(plan, array.base(x), rows, filters).reshape(w.shape)
    dx = data_derivative(plan, rows, filters) if need_dx else None
    return dx, dw, db


def bias_derivative(dy: Array, b: Array | None) -> Array | None:
    """db like b, from dy (N, YH, YW, K): its sum over pixels and images; None where b is None."""
    if b is None or not b.size:
        return b
    ones = array.module_of(dy).ones(prod(dy.shape[:3]), dy.dtype)  # the sum as a product: BLAS is the faster adder
    return (ones @ dy.reshape(len(ones), dy.shape[3])).reshape(b.shape)


def filter_derivative(plan: "Plan", x: Array, dy: Array, w: Array) -> Array:
    """dw like w, from x (N, H, W, C) and dy (N, YH, YW, K): the windows' rows, transposed, times dy; 0 for no images."""
    xp = array.module_of(x)
    if plan.identity or not len(x):
        return xp.zeros(w.shape, x.dtype)
    if fast := kernels.serving("conv", x):
        return fast.filter_derivative(plan, x, dy)
    padded = plan.padded(x)
    totals = []
    for group in plan.groups():
        shares = (
            xp.matmul(columns.T, dy[part][..., group.outputs].reshape(len(columns), -1))
            for part, columns in plan.im2col(padded, group, least_rows=plan.window_size)  # else adding up costs more
        )
        total = next(shares)
        for share in shares:
            total += share
        totals.append(total.reshape(*w.shape[:3], -1))
    return totals[0] if plan.g == 1 else xp.concatenate(totals, axis=3)


def data_derivative(plan: "Plan", dy: Array, w: Array) -> Array:
    """dx (H, W, C, N), from dy (N, YH, YW, K): dy times the weights, added where the windows have read.

    Neighbouring windows overlap, so a window's taps are added block by block: the taps of one block are nearer than the
    stride, and so no pixel of x is met twice in one addition. With stride 1 a block is one tap.
    """
    if fast := kernels.serving("conv", dy):
        return fast.data_derivative(plan, dy, w).transpose(1, 2, 3, 0)
    xp = array.module_of(dy)
    (top, bottom, left, right), (h, width, c, n) = plan.pad, plan.input
    padded = xp.zeros((n, h + top + bottom, width + left + right, c), dy.dtype)
    block_h, block_w = (-(-s // d) for s, d in zip(plan.stride, plan.dilate, strict=True))
    for group in plan.groups():
        windows = plan.windows(padded, group)
        if plan.identity:
            windows[:, :, :, 0, 0] = dy
            continue
        for part in plan.parts(xp, plan.k // plan.g):
            rows = xp.ascontiguousarray(dy[part][..., group.outputs]).reshape(-1, plan.k // plan.g)
            for p in range(0, plan.window[0], block_h):
                for q in range(0, plan.window[1], block_w):
                    taps = w[p : p + block_h, q : q + block_w, :, group.outputs].reshape(-1, plan.k // plan.g)
                    place = windows[part][:, :, :, p : p + block_h, q : q + block_w]
                    place += xp.matmul(rows, taps.T).reshape(place.shape)
    return padded[:, top : top + h, left : left + width].transpose(1, 2, 3, 0)


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

    @classmethod
    def of(
        cls,
        size: tuple[int, int, int, int],
        w: Array,
        b: Array | None,
        stride: Numbers,
        pad: Numbers,
        dilate: Numbers,
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
        return cls((h, wd, c, n), (yh, yw, k, n), (fh, fw), k, c // fc, stride, pad, dilate, identity)

    @property
    def window_size(self) -> int:
        """Values in one window of one group."""
        return self.window[0] * self.window[1] * self.input[2] // self.g

    def groups(self) -> Iterator[Group]:
        """The groups, in order; identity filters need one for all channels."""
        if self.identity:
            yield Group(slice(None), slice(None))
            return
        fc, kg = self.input[2] // self.g, self.k // self.g
        for g in range(self.g):
            yield Group(slice(g * fc, (g + 1) * fc), slice(g * kg, (g + 1) * kg))

    def matrix(self, w: Array, group: Group) -> Array:
        """The group's filters as a matrix (FH*FW*FC, K/G); no copy where w is in C order and there is one group."""
        return w.reshape(*self.window, -1, self.k)[..., group.outputs].reshape(self.window_size, -1)

    def padded(self, x: Array) -> Array:
        """x (N, H, W, C) with zeros around it; x itself where there is no pad."""
        if not any(self.pad):
            return x
        top, bottom, left, right = self.pad
        n, h, w, c = x.shape
        padded = array.module_of(x).empty((n, h + top + bottom, w + left + right, c), x.dtype)
        padded[:, top : top + h, left : left + w] = x
        padded[:, :top] = padded[:, top + h :] = 0
        padded[:, top : top + h, :left] = padded[:, top : top + h, left + w :] = 0
        return padded

    def windows(self, padded: Array, group: Group) -> Array:
        """A view (N, YH, YW, FH, FW, FC) of the padded input, in which [n, i, j] is the window that y[i, j, :, n] sees."""
        channels = padded[..., group.inputs]
        sn, sh, sw, sc = channels.strides
        (yh, yw, _, n), (fh, fw) = self.output, self.window
        (sv, sx), (dv, dx) = self.stride, self.dilate
        return array.module_of(padded).lib.stride_tricks.as_strided(
            channels, (n, yh, yw, fh, fw, channels.shape[3]), (sn, sh * sv, sw * sx, sh * dv, sw * dx, sc)
        )

    def parts(self, xp: ModuleType, columns: int, least_rows: int = 0) -> Iterator[tuple[slice, slice]]:
        """Slices (images, output rows) which together cover y; each makes about PART_BYTES of rows of `columns` values."""
        yh, yw, _, n = self.output
        pixels = max(PART_BYTES[xp.__name__] // (4 * columns), least_rows, 1)
        images = pixels // (yh * yw)
        if images:
            for first in range(0, n, images):
                yield slice(first, first + images), slice(0, yh)
            return
        lines = max(pixels // yw, 1)
        for image in range(n):
            for first in range(0, yh, lines):
                yield slice(image, image + 1), slice(first, first + lines)

    def im2col(self, padded: Array, group: Group, least_rows: int = 0) -> Iterator[tuple[tuple[slice, slice], Array]]:
        """Part by part: where it lies in y, and its windows as the rows of a matrix (pixels, FH*FW*FC).

        The matrix is valid until the next one is asked for: all share one buffer.
        """
        xp = array.module_of(padded)
        windows = self.windows(padded, group)
        plain = self.window == (1, 1) and self.g == 1  # then the pixels themselves are the rows
        buffer = None
        for part in self.parts(xp, self.window_size, least_rows):
            view = windows[part]
            count = prod(view.shape[:3])
            if plain and view.flags.c_contiguous:
                yield part, view.reshape(count, -1)
                continue
            if buffer is None:
                buffer = xp.empty((count, self.window_size), padded.dtype)
            rows = buffer[:count]
            rows.reshape(view.shape)[...] = view
            yield part, rows


@dataclass
class Conv(block.Layer):
    """Parameters: filters (FH, FW, C, K) and, with has_bias, K biases."""

    size: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    has_bias: bool = True
    pad: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    stride: list[int] = field(default_factory=lambda: [1, 1])
    dilate: list[int] = field(default_factory=lambda: [1, 1])
    opts: list = field(default_factory=lambda: ["cuDNN"])

    n_inputs, n_params = (1,), (1, 2)
    can_rectify = True

    def __post_init__(self) -> None:
        self.size = [int(v) for v in [*self.size, 1, 1, 1, 1][:4]]
        self.pad = list(geometry.four(self.pad, "Conv: pad"))
        self.stride = list(geometry.positive_pair(self.stride, "Conv: stride"))
        self.dilate = list(geometry.positive_pair(self.dilate, "Conv: dilate"))

    def _options(self) -> dict[str, Any]:
        return {"stride": self.stride, "pad": self.pad, "dilate": self.dilate}

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x and the parameters w [, b]."""
        return [forward(inputs[0], *params, **self._options())]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; dw [, db]."""
        return self._derived(inputs[0], params, der_outputs[0], None)

    def forward_rectified(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """max(y, 0)."""
        return [forward(inputs[0], *params, rectify=True, **self._options())]

    def backward_rectified(
        self, inputs: list[Array], outputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; dw [, db], from the ReLU's output and its derivative."""
        return self._derived(inputs[0], params, der_outputs[0], outputs[0])

    def _derived(
        self, x: Array, params: list[Array], dy: Array, rectified: Array | None
    ) -> tuple[list[Array | None], list[Array | None]]:
        w, b = (*params, None)[:2]
        needed = self.needs_input_der
        dx, *ders = backward(x, w, b, dy, need_dx=needed, rectified=rectified, **self._options())
        return [dx], ders[: len(params)]

    def init_params(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Filters with the deviation sqrt(2 / (FH*FW*C)), biases 0 (MatConvNet's Conv.initParams)."""
        fh, fw, c, k = self.size
        filters = rng.standard_normal((fh, fw, c, k), np.float32) * np.float32(sqrt(2 / (fh * fw * c)))
        return [filters, np.zeros((k, 1), np.float32)][: 1 + self.has_bias]

    def _extent(self) -> tuple[int, int]:
        return geometry.extent(self.size[0], self.dilate[0]), geometry.extent(self.size[1], self.dilate[1])

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(YH, YW, K, N)]."""
        return [geometry.window_sizes(input_sizes[0], self._extent(), self.stride, self.pad, "conv", self.size[3])]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """The window's extent, stride and centre."""
        return [geometry.window_field(self._extent(), self.stride, self.pad)]
