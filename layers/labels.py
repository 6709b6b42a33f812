"""Labels and their weights, as the losses read them.

Classes     (H, W, 1, N) whole numbers 1..C, one at each pixel
Attributes  (H, W, C, N) of +1 (has it) and -1 (has it not)
In both, 0 means: ignore. N labels, one an image, stand for all its pixels (of attributes: where C is 1).
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np

from . import array
from .array import Array

PART_BYTES = 128 << 10  # of scores, which meet a dozen arrays of their size
Size = tuple[int, int, int, int]


def check(c: Array, classes: int, of_attributes: bool = False, first: tuple[int, int] = (0, 0)) -> None:
    """Raises ValueError, naming the first wrong label and its place, unless all are 0..classes; of attributes -1, 0 or 1.

    first: the row and the image of a whole at which c begins.
    """
    labels = array.to_numpy(array.four_d(c))
    least, most = _range(classes, of_attributes)
    right = (labels >= least) & (labels <= most) & (labels == np.trunc(labels))
    if right.all():
        return
    place = np.unravel_index(np.argmin(right), labels.shape)
    row, column, channel, image = (int(i) for i in place)
    where = f"image {first[1] + image}, row {first[0] + row}, column {column}" + (
        f", channel {channel}" if labels.shape[2] > 1 else ""
    )
    wanted = (
        "+1 or -1 is right for an attribute, and 0 for one to ignore"
        if of_attributes
        else f"whole numbers 1..{classes} are right for {classes} classes, and 0 for pixels to ignore"
    )
    raise ValueError(f"loss: a label is {labels[place]:g}, at {where} (counted from 0); {wanted}")


class Part(NamedTuple):
    """Pixels that are rows of images: their scores, labels and instance weights, and their place in the whole."""

    x: Array
    c: Array
    v: Array | None
    rows: slice
    images: slice


def whole(x: Array, c: Array, of_attributes: bool, instance_weights: Array | None) -> Part:
    """Scores, labels and weights of all pixels. Raises ValueError for sizes that do not fit."""
    array.check_floats("loss", x=x)
    xp, x = array.module_of(x, c), array.four_d(x)
    h, w, k, n = x.shape
    goal = (h, w, k if of_attributes else 1, n)
    c, v = _per_pixel(xp, c, goal), None
    if instance_weights is not None:
        v = xp.asarray(instance_weights)
        array.check_repeats("loss: instance_weights", v, goal)
        v = xp.broadcast_to(array.four_d(v), goal)
    return Part(x, c, v, slice(0, h), slice(0, n))


def parts(x: Array, c: Array, of_attributes: bool, instance_weights: Array | None) -> list[Part]:
    """The same in parts for threads to share, one at least; on the GPU there is one, which is everything."""
    x, c, v, _, _ = whole(x, c, of_attributes, instance_weights)
    h, w, k, n = x.shape
    lines = max(1, PART_BYTES // max(1, w * k * x.itemsize)) if array.module_of(x) is np else max(1, h * n)
    down, along = min(lines, h), max(1, lines // max(1, h))
    starts = [(row, image) for image in range(0, n, along) for row in range(0, h, down)] or [(0, 0)]
    cuts = [(slice(row, row + down), slice(image, image + along)) for row, image in starts]
    return [Part(x[i, :, :, j], c[i, :, :, j], v if v is None else v[i, :, :, j], i, j) for i, j in cuts]


def prepare(part: Part, of_attributes: bool) -> tuple[Array, Array, Array]:
    """Scores (C, M) of the M pixels, in the order N, H, W; labels; weights, 0 where a label is 0.

    Classes come as (M,), counted from 0, attributes as (C, M) in x's dtype, and weights in the labels' shape. On the GPU the
    weight of a label out of range is NaN. Raises ValueError for such a label on the CPU.
    """
    x, c, v = part.x, part.c, part.v
    xp, k = array.module_of(x, c), x.shape[2]
    labels = _rows(xp, c)
    least, most = _range(k, of_attributes)
    inside = (labels >= least) & (labels <= most)
    whole = xp.where(inside, labels, 0).astype(np.int64)
    if xp is np and not (inside.all() and (labels.dtype.kind != "f" or (whole == labels).all())):
        check(c, k, of_attributes, (part.rows.start, part.images.start))
    weights = (whole != 0).astype(x.dtype)
    if xp is not np:
        weights = xp.where(inside, weights, x.dtype.type(np.nan))  # to write into a mask, CuPy would make the host wait
    if v is not None:
        weights *= _rows(xp, v)
    if of_attributes:
        return _rows(xp, x), whole.astype(x.dtype), weights
    return _rows(xp, x), xp.maximum(whole[0] - 1, 0), weights[0]


def _range(classes: int, of_attributes: bool) -> tuple[int, int]:
    """The least and the highest label."""
    return (-1, 1) if of_attributes else (0, classes)


def _rows(xp: ModuleType, x: Array) -> Array:
    """x (H, W, C, N) as (C, M): so sums and maxima over few channels are as fast as over many."""
    return xp.ascontiguousarray(x.transpose(2, 3, 0, 1)).reshape(x.shape[2], -1)


def _per_pixel(xp: ModuleType, c: Array, goal: Size) -> Array:
    h, w, k, n = goal
    labels = xp.broadcast_to(c.reshape(1, 1, 1, n), (h, w, 1, n)) if c.size == n else array.four_d(c)
    if labels.shape != goal:
        each = f"{goal}, one a pixel" + (" and attribute" if k > 1 else f", or {n}, one an image")
        raise ValueError(f"loss: labels are {tuple(c.shape)}; right for these scores are {each}")
    return labels
