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

How: the windows of some pixels of y are laid out as the rows of a matrix P (im2col.py). Then, with y and dy as matrices
(pixels, K), each sum above is one matrix product:
          y = P w + b        dw = P^T dy        dP = dy w^T, whose rows are added to dX where their windows lie
That is done in parts, which threads share and which stay in the processor's cache: the bias is added and the ReLU applied
while a part is there, and the memory is bounded. The inner functions (make, add_up) do one part; docs/backprop.md derives
it all, with numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from types import ModuleType
from typing import Any

import numpy as np

from . import algorithms, array, block, gemm, geometry, kernels, parts, relu, threads
from .array import Array
from .geometry import Numbers
from .im2col import Group, Part, Plan


def forward(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Numbers = 1,
    pad: Numbers = 0,
    dilate: Numbers = 1,
    rectify: bool = False,
    algorithm: str = "auto",
) -> Array:
    """y (YH, YW, K, N), or with rectify max(y, 0): a ReLU while the numbers are at hand. See algorithms.py for `algorithm`.

    Raises ValueError where the shapes do not fit, or the algorithm does not fit them.
    """
    array.check_floats("conv", x=x, w=w, b=b)
    x, w = array.four_d(x), array.four_d(w)
    plan = Plan.of(x.shape, w, b, stride, pad, dilate, algorithm)
    xp, x = array.module_of(x, w, b), array.base(x)
    if fast := algorithms.serving(plan, "forward", x):
        return fast.forward(plan, x, w, b, rectify).transpose(1, 2, 3, 0)
    y = array.empty(xp, plan.output, x.dtype)
    pixels, matrix = array.base(y), plan.matrix(w)

    def make(group: Group, part: Part, some: slice) -> None:
        # of the part's pixels of y, what some filters of the group make: rows = columns w + b
        filters = _within(group.outputs, some)
        rows, columns = pixels[part].reshape(-1, plan.k)[:, filters], plan.columns(x, part, group)
        if plan.identity:
            rows[...] = columns
        else:
            gemm.add(columns, matrix[:, filters], rows)
        if b is not None and b.size:
            bias = b.ravel()[filters]
            for some_rows, added in parts.of([rows], [bias]) if rows.flags.c_contiguous else [(rows, bias)]:
                some_rows += added
        if rectify:
            xp.maximum(rows, 0, out=rows)

    shares = plan.shares(xp, plan.k // plan.g)
    _run(xp, make, [(group, *share) for group in plan.groups() for share in shares])
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
    algorithm: str = "auto",
) -> tuple[Array | None, Array, Array | None]:
    """dx (H, W, C, N), dw and db, shaped like w and b; dx is None where it is not needed, db where there is no b.

    rectified is what forward gave with rectify: then dy is the derivative for that.
    Raises ValueError as forward does.
    """
    array.check_floats("conv", x=x, w=w, b=b, dy=dy)
    x, filters = array.four_d(x), array.four_d(w)
    plan = Plan.of(x.shape, filters, b, stride, pad, dilate, algorithm)
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
    pixels = dy.reshape(-1, dy.shape[3])
    if fast := kernels.serving("sums", pixels):
        return fast.of_columns(pixels).reshape(b.shape)
    return sum(threads.run(parts.column_sums, parts.of([pixels]))).reshape(b.shape)


def filter_derivative(plan: Plan, x: Array, dy: Array, w: Array) -> Array:
    """dw like w, from x (N, H, W, C) and dy (N, YH, YW, K): the windows' rows, transposed, times dy; 0 for no images.

    Threads share the pixels, each with a sum of its own, which are added in one order at the end; or, where there are many
    filters and few pixels, the filters.
    """
    xp = array.module_of(x)
    if plan.identity or not len(x):
        return xp.zeros(w.shape, x.dtype)
    if fast := algorithms.serving(plan, "dw", x):
        return fast.filter_derivative(plan, x, dy)
    count, kg = plan.threads(xp), plan.k // plan.g
    cuts = plan.parts(plan.most(xp), count)
    if plan.pixels >= 2 * count * kg:
        shares = [(cuts[some], slice(0, kg)) for some in threads.slices(len(cuts), count)]
    else:
        shares = [(cuts, some) for some in threads.slices(kg, count)]
    sums = [array.flat(xp, (plan.window_size, plan.k), x.dtype) for _ in shares[: 1 if shares[0][0] is cuts else None]]

    def add_up(group: Group, total: Array, mine: list[Part], some: slice) -> None:
        filters = _within(group.outputs, some)
        for i, part in enumerate(mine):
            columns = plan.columns(x, part, group)
            gemm.add(columns.T, dy[part].reshape(-1, plan.k)[:, filters], total[:, filters], beta=float(i > 0))

    _run(xp, add_up, [(g, sums[i % len(sums)], *share) for g in plan.groups() for i, share in enumerate(shares)])
    for other in sums[1:]:
        sums[0] += other
    return sums[0].reshape(w.shape)


def data_derivative(plan: Plan, dy: Array, w: Array) -> Array:
    """dx (H, W, C, N), from dy (N, YH, YW, K): dy times the weights, added where the windows have read.

    Each thread makes some lines of dx, out of those lines of dy whose windows have read them (with a stride, whole images).
    Tap (p, q) of all windows is one column of dP for each channel, and lies in dx as dy's pixels do, a stride apart and moved
    by (p, q). Taps nearer to each other than the stride never meet in a pixel, and are added at once, as a block: one addition
    that met a pixel twice would count it once. With stride 1 a block is one tap.
    """
    if fast := algorithms.serving(plan, "dx", dy):
        return fast.data_derivative(plan, dy, w).transpose(1, 2, 3, 0)
    xp, (h, width, c, _) = array.module_of(dy), plan.input
    dx, taps = array.empty(xp, plan.input, dy.dtype), plan.matrix(w).reshape(*plan.window, -1, plan.k)
    pixels, (top, bottom, left, right) = array.base(dx), plan.pad
    down, across = (-(-s // d) for s, d in zip(plan.stride, plan.dilate, strict=True))  # taps of a block

    def make(group: Group, part: Part, some: slice) -> None:
        images, lines = part
        reached = slice(-top, h + bottom) if plan.stride[0] > 1 else lines
        channels = _within(group.inputs, some)
        size = channels.stop - channels.start
        shape = (images.stop - images.start, reached.stop - reached.start, left + width + right, size)
        strip = array.flat(xp, shape, dy.dtype)  # lines of dX: of dx with its pad, whose derivatives nobody asks for
        strip[...] = 0
        for p in range(0, plan.window[0], down):
            read, place = plan.readers(reached, p)  # lines of dy, and where the rows p of their windows lie
            rows = dy[images, read][..., group.outputs]
            for q in range(0, plan.window[1], across):
                target = plan.taps(strip, place, slice(p, p + down), slice(q, q + across))
                if plan.identity:
                    target[:, :, :, 0, 0] += rows
                    continue
                block = taps[p : p + down, q : q + across, some, group.outputs].reshape(-1, plan.k // plan.g)
                made = array.flat(xp, target.shape, dy.dtype)  # dP, of these taps
                gemm.add(rows.reshape(-1, plan.k // plan.g), block.T, made.reshape(-1, len(block)))
                target += made
        lines_of_strip = slice(lines.start - reached.start, lines.stop - reached.start)
        pixels[images, lines, :, channels] = strip[:, lines_of_strip, left : left + width]

    shares = plan.shares(xp, c // plan.g, lines=h, whole=plan.stride[0] > 1)
    _run(xp, make, [(group, *share) for group in plan.groups() for share in shares])
    return dx


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def _run(xp: ModuleType, work: Callable[..., None], items: list[tuple[Any, ...]]) -> None:
    """By our threads; on the GPU, which shares the work itself, one after the other."""
    if xp is np:
        threads.run(work, items)
        return
    for item in items:
        work(*item)


@dataclass
class Conv(block.Layer):
    """Parameters: filters (FH, FW, C, K) and, with has_bias, K biases.

    algorithm, which is no property of MatConvNet's and not saved, may be set to fix this layer's (see algorithms.py).
    """

    size: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    has_bias: bool = True
    pad: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    stride: list[int] = field(default_factory=lambda: [1, 1])
    dilate: list[int] = field(default_factory=lambda: [1, 1])
    opts: list = field(default_factory=lambda: ["cuDNN"])

    n_inputs, n_params = (1,), (1, 2)
    can_rectify = True
    algorithm = "auto"  # no annotation: it is no property of MatConvNet's

    def __post_init__(self) -> None:
        self.size = [int(v) for v in [*self.size, 1, 1, 1, 1][:4]]
        self.pad = list(geometry.four(self.pad, "Conv: pad"))
        self.stride = list(geometry.positive_pair(self.stride, "Conv: stride"))
        self.dilate = list(geometry.positive_pair(self.dilate, "Conv: dilate"))

    def _options(self) -> dict[str, Any]:
        return {"stride": self.stride, "pad": self.pad, "dilate": self.dilate, "algorithm": self.algorithm}

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
