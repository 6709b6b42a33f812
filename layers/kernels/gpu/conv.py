"""Convolution on the GPU: cuBLAS's matrix products around windows that ../conv.cu lays out as rows; 3x3 by quicker ways.

Shapes and formulas as in layers/conv.py: forward is windows times filters, dw the windows, transposed, times dy, and dx dy
times the filters, transposed, of which each pixel then sums what its windows give back. The windows take at most
settings.scratch bytes: y's pixels are done in parts, counted through images, rows and columns. Groups are one batched product.
"""

from collections.abc import Iterator

from ... import array, settings
from ...array import Array
from ...im2col import Plan
from . import launch, sums, tensorcore, winograd


def forward(plan: Plan, x: Array, w: Array, b: Array | None, rectify: bool) -> Array:
    """y (N, YH, YW, K), with rectify max(y, 0), from x (N, H, W, C), w (FH, FW, C/G, K) and K biases or none."""
    if winograd.serves(plan, x.dtype):
        return winograd.forward(plan, x, w, b, rectify)
    if tensorcore.serves(plan, x):
        return tensorcore.forward(plan, x, w, b, rectify)
    yh, yw, k, n = plan.output
    y = array.module_of(x).empty((n, yh, yw, k), x.dtype)
    pixels = y.reshape(-1, k)
    if plan.identity:
        _im2col(plan, x, y, 0, len(pixels))  # windows of one tap are y
    else:
        filters = _matrices(plan, w)
        for part, columns in _windows(plan, x):
            launch.gemm_batched(columns, filters, _by_group(plan, pixels[part]))
    if rectify or (b is not None and b.size):
        _finish(pixels, b, rectify)
    return y


def data_derivative(plan: Plan, dy: Array, w: Array) -> Array:
    """dx (N, H, W, C), from dy (N, YH, YW, K) and w."""
    if winograd.serves(plan, dy.dtype):
        return winograd.data_derivative(plan, dy, w)
    if tensorcore.serves(plan, dy):
        return tensorcore.data_derivative(plan, dy, w)
    xp, (h, width, c, n), (yh, yw, k, _) = array.module_of(dy), plan.input, plan.output
    pixels, step = dy.reshape(-1, k), _step(plan, dy.itemsize)
    whole = plan.identity or step >= yh * yw or _already_rows(plan)  # no image is cut
    dx = (xp.empty if whole else xp.zeros)((n, h, width, c), dy.dtype)
    if plan.identity:
        _col2im(plan, dy, dx, slice(0, len(pixels)), slice(0, n * h * width), False)
        return dx
    filters = _matrices(plan, w).transpose(0, 2, 1)
    if _already_rows(plan):
        launch.gemm_batched(_by_group(plan, pixels), filters, _by_group(plan, _rows(plan, dx)))
        return dx
    buffer = xp.empty(plan.g * step * plan.window_size, dy.dtype)
    for part, reached in _whole_images(plan, step) if whole else _cut_images(plan, step):
        columns = _columns(plan, buffer, part)
        launch.gemm_batched(_by_group(plan, pixels[part]), filters, columns)
        _col2im(plan, columns, dx, part, reached, not whole)
    return dx


def filter_derivative(plan: Plan, x: Array, dy: Array) -> Array:
    """dw (FH, FW, C/G, K), from x (N, H, W, C) and dy (N, YH, YW, K): of at least one image, and not for identity filters."""
    if winograd.serves(plan, x.dtype):
        return winograd.filter_derivative(plan, x, dy)
    if tensorcore.serves(plan, x, dy):
        return tensorcore.filter_derivative(plan, x, dy)
    xp, pixels = array.module_of(x, dy), dy.reshape(-1, plan.k)
    dw = xp.empty((*plan.window, plan.input[2] // plan.g, plan.k), x.dtype)
    can_be_cut = plan.g == 1 and plan.window_size * plan.k <= sums.WIDEST
    shares = launch.shares(1, plan.window_size, plan.k, _step(plan, x.itemsize)) if can_be_cut else 1
    total = _matrices(plan, dw) if shares == 1 else xp.empty((shares, plan.window_size, plan.k), x.dtype)
    for part, columns in _windows(plan, x):
        _add_products(columns, _by_group(plan, pixels[part]), total, 1.0 if part.start else 0.0)
    return dw if shares == 1 else sums.of_columns(total.reshape(shares, -1)).reshape(dw.shape)


def _add_products(columns: Array, dy: Array, total: Array, beta: float) -> None:
    """total = columns' dy + beta total, group by group; where total has more matrices, each takes a share of the pixels."""
    pixels = columns.shape[1]
    each = pixels // len(total) if len(total) > len(columns) else 0
    cut = each * len(total)
    if cut:
        left, right = (a[0, :cut].reshape(len(total), each, -1) for a in (columns, dy))
        launch.gemm_batched(left.transpose(0, 2, 1), right, total, beta)
    if cut < pixels:
        left, right = columns[:, cut:], dy[:, cut:]
        launch.gemm_batched(left.transpose(0, 2, 1), right, total[: len(columns)], 1.0 if cut else beta)


# ---------------------------------------------------------------- matrices


def _matrices(plan: Plan, w: Array) -> Array:
    """The filters (FH, FW, C/G, K) as a matrix for each group, (G, FH*FW*C/G, K/G); a view where w is in C order."""
    w = array.module_of(w).ascontiguousarray(w)
    return w.reshape(plan.window_size, plan.g, plan.k // plan.g).transpose(1, 0, 2)


def _by_group(plan: Plan, rows: Array) -> Array:
    """A view (G, pixels, values of a group) of pixels (pixels, values)."""
    return rows.reshape(len(rows), plan.g, rows.shape[1] // plan.g).transpose(1, 0, 2)


def _already_rows(plan: Plan) -> bool:
    """Whether x's own memory is the windows' rows: 1x1 filters, and filters as large as the image (fully connected)."""
    pixels = plan.window == plan.stride == (1, 1)
    images = plan.window == plan.input[:2] and plan.dilate == (1, 1) and plan.g == 1
    return not any(plan.pad) and (pixels or images)


def _rows(plan: Plan, x: Array) -> Array:
    """x's memory as the windows' rows (pixels of y, G*FH*FW*C/G)."""
    return x.reshape(-1, plan.g * plan.window_size)


def _windows(plan: Plan, x: Array) -> Iterator[tuple[slice, Array]]:
    """Part by part: which of y's pixels, and their windows (G, pixels, FH*FW*C/G), which the next part overwrites."""
    yh, yw, _, n = plan.output
    if _already_rows(plan):
        yield slice(0, n * yh * yw), _by_group(plan, _rows(plan, x))
        return
    step = _step(plan, x.itemsize)
    buffer = array.module_of(x).empty(plan.g * step * plan.window_size, x.dtype)
    for part in _parts(0, n * yh * yw, step):
        columns = _columns(plan, buffer, part)
        _im2col(plan, x, columns, part.start, part.stop - part.start)
        yield part, columns


def _columns(plan: Plan, buffer: Array, part: slice) -> Array:
    """The windows' place (G, pixels, FH*FW*C/G) in a buffer of numbers."""
    shape = plan.g, part.stop - part.start, plan.window_size
    return buffer[: shape[0] * shape[1] * shape[2]].reshape(shape)


# ---------------------------------------------------------------- parts


def _step(plan: Plan, itemsize: int) -> int:
    """How many of y's pixels to take at a time, so that their windows fit the scratch; the parts are about equal."""
    yh, yw, _, n = plan.output
    most = max(1, settings.current().scratch // (itemsize * plan.window_size * plan.g))
    return -(-n * yh * yw // max(1, -(-n * yh * yw // most)))


def _parts(first: int, end: int, step: int) -> Iterator[slice]:
    for start in range(first, end, max(1, step)):
        yield slice(start, min(start + step, end))


def _whole_images(plan: Plan, step: int) -> Iterator[tuple[slice, slice]]:
    """Which pixels of y, and which of x their windows reach: as many images as `step` pixels of y make."""
    (h, width, _, n), size = plan.input, plan.output[0] * plan.output[1]
    for images in _parts(0, n, step // size):
        yield (
            slice(images.start * size, images.stop * size),
            slice(images.start * h * width, images.stop * h * width),
        )


def _cut_images(plan: Plan, step: int) -> Iterator[tuple[slice, slice]]:
    """The same where one image makes too many windows: of x, the rows that are reached."""
    (h, width, _, n), (yh, yw) = plan.input, plan.output[:2]
    for image in range(n):
        for part in _parts(image * yh * yw, (image + 1) * yh * yw, step):
            lines = part.start // yw - image * yh, (part.stop - 1) // yw - image * yh
            first = max(0, lines[0] * plan.stride[0] - plan.pad[0])
            last = min(h - 1, lines[1] * plan.stride[0] - plan.pad[0] + (plan.window[0] - 1) * plan.dilate[0])
            yield part, slice((image * h + first) * width, (image * h + last + 1) * width)


# ---------------------------------------------------------------- launches


def _im2col(plan: Plan, x: Array, columns: Array, first: int, count: int) -> None:
    step = _channels(plan, x, columns)
    (across, _), block = launch.plane(count, plan.window_size // step)
    kernel = launch.kernel("conv", "im2col", x.dtype)
    kernel((across, plan.g), block, (x, columns, *_geometry(plan), first, count, step))


def _col2im(plan: Plan, columns: Array, dx: Array, part: slice, reached: slice, more: bool) -> None:
    step = _channels(plan, dx, columns)
    count, pixels = part.stop - part.start, max(0, reached.stop - reached.start)
    grid, block = launch.plane(pixels, plan.input[2] // step)
    kernel = launch.kernel("conv", "col2im", dx.dtype)
    kernel(grid, block, (columns, dx, *_geometry(plan), part.start, count, reached.start, pixels, more, step))


def _finish(pixels: Array, b: Array | None, rectify: bool) -> None:
    """Add the biases, where there are any, to y (pixels, K), and with rectify take max(y, 0)."""
    count, k = pixels.shape
    biases = b.ravel() if b is not None and b.size else None
    step = launch.step(pixels, *([] if biases is None else [biases]))
    grid, block = launch.plane(count, k // step)
    launch.kernel("conv", "finish", pixels.dtype)(grid, block, (pixels, biases, count, k, rectify, step))


def _channels(plan: Plan, data: Array, columns: Array) -> int:
    """How many channels a thread takes: as many as launch.step says, where they are one group's."""
    step = launch.step(data, columns)
    return step if plan.input[2] // plan.g % step == 0 else 1


def _geometry(plan: Plan) -> tuple[int, ...]:
    """The kernels' h ... left."""
    (h, width, c, _), (top, _, left, _) = plan.input, plan.pad
    return h, width, c, plan.g, *plan.output[:2], *plan.window, *plan.stride, *plan.dilate, top, left
