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
along one direction and then along the other: PH + PW array operations in place of PH * PW, and the order among equals above
comes by itself.
"""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from . import array, block, geometry, kernels
from .array import Array
from .geometry import Numbers

METHODS = ("max", "avg")
PART_BYTES = {"numpy": 2 << 20, "cupy": 1 << 30}  # of x that backward takes at a time


def forward(x: Array, pool: Numbers, *, stride: Numbers = 1, pad: Numbers = 0, method: str = "max") -> Array:
    """y (YH, YW, C, N). Raises ValueError where the window does not fit or the method is unknown."""
    return forward_indexed(x, pool, stride=stride, pad=pad, method=method)[0]


def forward_indexed(
    x: Array, pool: Numbers, *, stride: Numbers = 1, pad: Numbers = 0, method: str = "max"
) -> tuple[Array, Array | None]:
    """y, and which pixel of its window each maximum is, a byte each, for backward; None where x itself must tell it."""
    array.check_floats("pool", x=x)
    x = array.four_d(x)
    rows, columns = _lines(x.shape, pool, stride, pad, method)
    pixels, index = array.base(x), None
    if fast := _fast(pixels, rows, columns):
        if method == "max":
            y, index = fast.max_forward(pixels, rows, columns)
        else:
            y = fast.avg_forward(pixels, rows, columns)
        return y.transpose(1, 2, 3, 0), index
    y = _reduce(_reduce(pixels, rows, method), columns, method)
    if y is pixels:  # a 1x1 window: the result is to be an array of its own
        y = y.copy()
    if method == "avg":
        y /= _counts(y, rows, columns)
    return y.transpose(1, 2, 3, 0), None


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
    dy = array.derivative("pool", dy, (rows.positions, columns.positions, *x.shape[2:]))
    pixels, dy = array.base(x), array.base(dy)
    if fast := _fast(dy, rows, columns):
        if method == "avg":
            return fast.avg_backward(dy, rows, columns).transpose(1, 2, 3, 0)
        index = fast.max_forward(pixels, rows, columns)[1] if index is None else index
        return fast.max_backward(index, dy, rows, columns).transpose(1, 2, 3, 0)
    dx = array.module_of(dy).empty(pixels.shape, dy.dtype)
    for part in _parts(pixels):
        dx[part] = (
            _backward_max(pixels[part], dy[part], rows, columns)
            if method == "max"
            else _spread(_spread(dy[part] / _counts(dy, rows, columns), columns), rows)
        )
    return dx.transpose(1, 2, 3, 0)


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

    def taps(self) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """For each pixel of the window: the places of x that it reads, and the places of y that this is for.

        Position i reads pixel i*stride - before + tap. Where that lies in the padding, i is left out.
        """
        all_before = (slice(None),) * self.axis
        for tap in range(self.window):
            shift = tap - self.before
            first = max(-(shift // self.stride), 0)
            end = min((self.size - 1 - shift) // self.stride + 1, self.positions)
            if first < end:
                pixels = slice(first * self.stride + shift, (end - 1) * self.stride + shift + 1, self.stride)
                yield (*all_before, pixels), (*all_before, slice(first, end))

    def resized(self, x: Array, length: int) -> tuple[int, ...]:
        """x's shape with that length along this axis."""
        return (*x.shape[: self.axis], length, *x.shape[self.axis + 1 :])


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


def _fast(x: Array, rows: Line, columns: Line) -> ModuleType | None:
    """The fast twins, where there are any and a byte can tell all of a window's taps apart, and NaN."""
    return kernels.serving("pool", x) if rows.window * columns.window < 256 else None


def _parts(x: Array) -> Iterator[slice]:
    """Slices of images of x (N, H, W, C) of about PART_BYTES each: in parts, backward's temporaries stay small and in cache."""
    images = max(1, PART_BYTES[array.module_of(x).__name__] // max(1, x[:1].nbytes))
    for first in range(0, len(x), images):
        yield slice(first, first + images)


def _reduce(x: Array, line: Line, method: str) -> Array:
    """The maximum (max) or the sum (avg) over the windows along one axis."""
    if line.idle:
        return x
    xp = array.module_of(x)
    join, start = (xp.maximum, -xp.inf) if method == "max" else (xp.add, 0)
    y = xp.full(line.resized(x, line.positions), start, x.dtype)
    for pixels, places in line.taps():
        join(y[places], x[pixels], out=y[places])
    return y


def _backward_max(x: Array, dy: Array, rows: Line, columns: Line) -> Array:
    """dx (N, H, W, C): from the windows to their leftmost best columns, and in these to the topmost best pixels."""
    column_maxima = _reduce(x, rows, "max")
    y = _reduce(column_maxima, columns, "max")
    return _route(x, column_maxima, _route(column_maxima, y, dy.copy(), columns), rows)


def _route(x: Array, y: Array, left: Array, line: Line) -> Array:
    """dx of the maximum along one axis: each dy goes to the first pixel of its window that equals y.

    `left` is dy when it comes, is written to, and says what no pixel has been given yet.
    """
    if line.idle:
        return left
    xp = array.module_of(x)
    dx = xp.zeros(x.shape, left.dtype)
    apart = line.stride >= line.window  # no pixel lies in two windows
    for pixels, places in line.taps():
        remaining, goal = left[places], dx[pixels]
        share = xp.multiply(x[pixels] == y[places], remaining, out=goal if apart else None)
        if not apart:
            xp.add(goal, share, out=goal)
        xp.subtract(remaining, share, out=remaining)
    return dx


def _spread(dy: Array, line: Line) -> Array:
    """dx of the sum along one axis: each dy goes to all pixels of its window."""
    if line.idle:
        return dy
    xp = array.module_of(dy)
    dx = xp.zeros(line.resized(dy, line.size), dy.dtype)
    for pixels, places in line.taps():
        xp.add(dx[pixels], dy[places], out=dx[pixels])
    return dx


def _counts(y: Array, rows: Line, columns: Line) -> Array:
    """How many pixels of x each window holds, (YH, YW, 1)."""
    xp = array.module_of(y)
    ones = xp.ones((1, rows.size, columns.size, 1), y.dtype)
    return _reduce(_reduce(ones, rows, "avg"), columns, "avg")[0]


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
        self.pool_size = list(geometry.positive_pair(self.pool_size, "Pooling: pool_size"))
        self.pad = list(geometry.four(self.pad, "Pooling: pad"))
        self.stride = list(geometry.positive_pair(self.stride, "Pooling: stride"))
        if self.method not in METHODS:
            raise ValueError(f"Pooling: method is {self.method!r}; 'max' or 'avg' is right")
        self.reset()

    def _options(self) -> dict[str, Any]:
        return {"stride": self.stride, "pad": self.pad, "method": self.method}

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x."""
        (x,) = inputs
        y, index = forward_indexed(x, self.pool_size, **self._options())
        if index is not None and self.mode == "normal":
            self._index, self._indexed = index, weakref.ref(x)
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; no parameters."""
        (x,), (dy,) = inputs, der_outputs
        index = self._index if self._indexed is not None and self._indexed() is x else None
        self.reset()
        return [backward(x, self.pool_size, dy, **self._options(), index=index)], []

    def reset(self) -> None:
        """Forget where the maxima were."""
        self._index: Array | None = None
        self._indexed: weakref.ref | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: the properties."""
        return self.__dict__ | {"_index": None, "_indexed": None}

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(YH, YW, C, N)]."""
        return [geometry.window_sizes(input_sizes[0], self.pool_size, self.stride, self.pad, "pool")]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """The window, its stride and centre."""
        return [geometry.window_field(self.pool_size, self.stride, self.pad)]
