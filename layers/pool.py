"""Max and average pooling (MatConvNet vl_nnpool, dagnn.Pooling).

Shapes    x, dx (H, W, C, N)    y, dy (YH, YW, C, N)    window PH x PW
          YH = floor((H + top + bottom - PH) / stride_v) + 1, and YW alike
Forward   The window of y[i, j] is the rows i*stride - top + (0 .. PH-1) and the columns j*stride - left + (0 .. PW-1) of x,
          as far as they exist: padding only makes room, it never counts. NaN is passed on (MatConvNet's max skips it).
          max   y[i,j,c,n] = max of x[:,:,c,n] over the window
          avg   y[i,j,c,n] = mean of x[:,:,c,n] over the window
Backward  max   dy[i,j] is added to the first place of the window where x equals y, in the order: leftmost column, then topmost
                row
          avg   dy[i,j] / (pixels in the window) is added to all places of the window
Source    MatConvNet manual, section 4.3; vl_nnpool.m and pooling_cpu.cpp of 1.0-beta25

How: a window's maximum is the maximum over its columns' maxima, and its sum the sum of its columns' sums. So both are done
along one direction and then along the other: PH + PW array operations in place of PH * PW. For backward each maximum's index
in its window is kept, the number p + PH * q for row p and column q, in a byte. All is done in parts that stay in cache, for
threads to share.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import array, block, geometry, kernels, windows
from .array import Array
from .geometry import Numbers
from .windows import Line

METHODS = ("max", "avg")
TAPS = 255  # of a window whose index fits a byte, with one number left for NaN, which gets no derivative


def forward(x: Array, pool: Numbers, *, stride: Numbers = 1, pad: Numbers = 0, method: str = "max") -> Array:
    """y (YH, YW, C, N). Raises ValueError where the window does not fit or the method is unknown."""
    array.check_floats("pool", x=x)
    x = array.four_d(x)
    rows, columns = _lines(x.shape, pool, stride, pad, method)
    pixels = array.base(x)
    if method == "avg":
        y = _avg_forward(pixels, rows, columns)
    elif fast := _fast(rows, columns, pixels):
        y, _ = fast.max_forward(pixels, rows, columns)
    else:
        y = _made(pixels, rows.positions, columns.positions)
        windows.share(_maxima, pixels, y, rows=rows, columns=columns)
    return y.transpose(1, 2, 3, 0)


def forward_indexed(x: Array, pool: Numbers, *, stride: Numbers = 1, pad: Numbers = 0) -> tuple[Array, Array]:
    """forward's maxima, and which pixel of its window each is, for backward. Raises ValueError as forward does."""
    array.check_floats("pool", x=x)
    x = array.four_d(x)
    rows, columns = _lines(x.shape, pool, stride, pad, "max")
    y, index = _max_forward(array.base(x), rows, columns)
    return y.transpose(1, 2, 3, 0), index


def backward(
    x: Array,
    pool: Numbers,
    dy: Array,
    *,
    stride: Numbers = 1,
    pad: Numbers = 0,
    method: str = "max",
    index: Array | None = None,
) -> Array:
    """dx (H, W, C, N); index is what forward_indexed gave with y, if it is still there.

    Raises ValueError as forward does, and where dy has not y's shape.
    """
    array.module_of(x, dy)
    array.check_floats("pool", x=x, dy=dy)
    x = array.four_d(x)
    rows, columns = _lines(x.shape, pool, stride, pad, method)
    dy = array.base(array.derivative("pool", dy, (rows.positions, columns.positions, *x.shape[2:])))
    if method == "avg":
        return _avg_backward(dy, rows, columns).transpose(1, 2, 3, 0)
    if index is None:
        _, index = _max_forward(array.base(x), rows, columns)
    return _max_backward(index, dy, rows, columns).transpose(1, 2, 3, 0)


def _lines(
    size: tuple[int, int, int, int], pool: Numbers, stride: Numbers, pad: Numbers, method: str
) -> tuple[Line, Line]:
    """The windows' rows and columns over x of that size (H, W, C, N), checked."""
    if method not in METHODS:
        raise ValueError(f"pool: method is {method!r}; 'max' or 'avg' is right")
    ph, pw = geometry.positive_pair(pool, "pool: the window")
    sv, sh = geometry.positive_pair(stride, "pool: stride")
    top, bottom, left, right = geometry.four(pad, "pool: pad")
    if max(top, bottom) >= ph or max(left, right) >= pw:
        raise ValueError(
            f"pool: pad is {[top, bottom, left, right]} and the window {ph} x {pw}; each pad must be smaller"
        )
    yh = geometry.slide(size[0], ph, sv, top, bottom, "pool, vertically")
    yw = geometry.slide(size[1], pw, sh, left, right, "pool, horizontally")
    return Line(1, size[0], ph, sv, top, yh), Line(2, size[1], pw, sh, left, yw)


def _fast(rows: Line, columns: Line, *arrays: Array) -> Any:
    """The fast twins, where there are some and an index fits a byte."""
    return kernels.serving("pool", *arrays) if rows.window * columns.window <= TAPS else None


def _max_forward(x: Array, rows: Line, columns: Line) -> tuple[Array, Array]:
    """The maxima (N, YH, YW, C) and their index; the number of pixels in a window stands for none."""
    if fast := _fast(rows, columns, x):
        return fast.max_forward(x, rows, columns)
    y = _made(x, rows.positions, columns.positions)
    index = array.flat(array.module_of(x), y.shape, np.min_scalar_type(rows.window * columns.window))
    windows.share(_indexed_maxima, x, y, index, rows=rows, columns=columns)
    return y, index


def _max_backward(index: Array, dy: Array, rows: Line, columns: Line) -> Array:
    """dx (N, H, W, C)."""
    if fast := _fast(rows, columns, dy):
        return fast.max_backward(index, dy, rows, columns)
    dx = _made(dy, rows.size, columns.size)
    windows.share(_to_maxima, dx, dy, index, rows=rows, columns=columns, into_pixels=True)
    return dx


def _avg_forward(x: Array, rows: Line, columns: Line) -> Array:
    """The means (N, YH, YW, C)."""
    if fast := kernels.serving("pool", x):
        return fast.avg_forward(x, rows, columns)
    y = _made(x, rows.positions, columns.positions)
    windows.share(_means, x, y, rows=rows, columns=columns)
    return y


def _avg_backward(dy: Array, rows: Line, columns: Line) -> Array:
    """dx (N, H, W, C)."""
    if fast := kernels.serving("pool", dy):
        return fast.avg_backward(dy, rows, columns)
    dx = _made(dy, rows.size, columns.size)
    windows.share(_to_all, dx, dy, rows=rows, columns=columns, into_pixels=True)
    return dx


def _maxima(x: Array, y: Array, rows: Line, columns: Line) -> None:
    xp = array.module_of(x)
    windows.join(xp.maximum, windows.join(xp.maximum, x, rows), columns, y)


def _indexed_maxima(x: Array, y: Array, index: Array, rows: Line, columns: Line) -> None:
    """The index too: of a window's best columns the leftmost, and in this the topmost of the best pixels."""
    xp, kind = array.module_of(x), index.dtype
    in_column = xp.empty(rows.resized(x, rows.positions), kind)
    best = windows.join(xp.maximum, x, rows, index=in_column)
    windows.join(xp.maximum, best, columns, y, index=index, earlier=in_column, step=rows.window)
    lost = xp.not_equal(y, y).view(np.uint8)
    xp.maximum(index, xp.multiply(lost, kind.type(rows.window * columns.window), dtype=kind), out=index)


def _means(x: Array, y: Array, rows: Line, columns: Line) -> None:
    xp = array.module_of(x)
    windows.join(xp.add, windows.join(xp.add, x, rows), columns, y)
    y /= windows.counts(y, rows, columns)


def _to_maxima(dx: Array, dy: Array, index: Array, rows: Line, columns: Line) -> None:
    """dx = each dy at its window's maximum."""
    xp, apart = array.module_of(dx), rows.apart and columns.apart
    if not (rows.tiled and columns.tiled):
        dx[...] = 0
    for q, across, at_column, _ in columns.taps():
        for p, down, at_row, _ in rows.taps():
            goal, at = dx[down][across], (*at_row, *at_column[2:])
            chosen = index[at] == p + rows.window * q
            if apart:
                xp.multiply(chosen, dy[at], out=goal)
            else:
                goal += chosen * dy[at]


def _to_all(dx: Array, dy: Array, rows: Line, columns: Line) -> None:
    """dx = each dy, shared by the pixels of its window."""
    xp = array.module_of(dx)
    shares = dy / windows.counts(dy, rows, columns)
    windows.spread(windows.spread(shares, columns, xp.empty(columns.resized(dy, columns.size), dy.dtype)), rows, dx)


def _made(like: Array, height: int, width: int) -> Array:
    """An uninitialised (N, height, width, C), in N and C like that array."""
    return array.flat(array.module_of(like), (len(like), height, width, like.shape[3]), like.dtype)


@dataclass
class Pooling(block.Layer):
    """method "max" or "avg", pool_size [PH, PW], pad [top, bottom, left, right], stride [vertical, horizontal].

    Between forward and backward the block keeps where the maxima were, beside the x for which that holds.
    """

    method: str = "max"
    pool_size: list[int] = field(default_factory=lambda: [1, 1])
    pad: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    stride: list[int] = field(default_factory=lambda: [1, 1])
    opts: list = field(default_factory=lambda: ["cuDNN"])

    n_inputs, n_params = (1,), (0,)

    def __post_init__(self) -> None:
        self.reset()
        self.pool_size = list(geometry.positive_pair(self.pool_size, "Pooling: pool_size"))
        self.pad = list(geometry.four(self.pad, "Pooling: pad"))
        self.stride = list(geometry.positive_pair(self.stride, "Pooling: stride"))
        if self.method not in METHODS:
            raise ValueError(f"Pooling: method is {self.method!r}; 'max' or 'avg' is right")

    def _options(self) -> dict[str, Any]:
        return {"stride": self.stride, "pad": self.pad}

    def reset(self) -> None:
        """Forget where the maxima were."""
        self._kept: tuple[Array | None, Array | None] = None, None  # x and the index that holds for it

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x."""
        (x,) = inputs
        self.reset()
        if self.method == "avg" or not self.derivatives_follow:
            return [forward(x, self.pool_size, method=self.method, **self._options())]
        y, index = forward_indexed(x, self.pool_size, **self._options())
        self._kept = x, index
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; no parameters."""
        (x,), (dy,), (seen, index) = inputs, der_outputs, self._kept
        self.reset()
        index = index if seen is x else None
        return [backward(x, self.pool_size, dy, method=self.method, index=index, **self._options())], []

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(YH, YW, C, N)]."""
        return [geometry.window_sizes(input_sizes[0], self.pool_size, self.stride, self.pad, "pool")]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """The window, its stride and centre."""
        return [geometry.window_field(self.pool_size, self.stride, self.pad)]
