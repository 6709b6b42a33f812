"""Losses over pixels or images (MatConvNet vl_nnloss, vl_nnsoftmaxloss, dagnn.Loss).

Shapes    x, dx (H, W, C, N) scores
          c     (H, W, 1, N) labels 1..C, one a pixel, or N labels, one an image; 0 means: ignore this pixel
          v     instance weights, anything that broadcasts to (H, W, 1, N)
          y, dy one number
Forward   y  = sum over pixels of w * t(x, c),  w = v where c > 0 and 0 where c = 0;  with normalise, y / N
              softmaxlog  t = log sum_k exp(x_k) - x_c
              log         t = -log x_c
              classerror  t = 1 where the highest score is not x_c, else 0
Backward  dx_k = dy * w * dt/dx_k;  with normalise, / N
              softmaxlog  dt/dx_k = exp(x_k) / sum_q exp(x_q) - (k = c)
              log         dt/dx_k = -(k = c) / max(x_c, 1e-8)       the bound is in the derivative alone, as in MatConvNet
              classerror  0
          Labels have no derivative.
Source    MatConvNet manual, 4.8; vl_nnloss.m, vl_nnsoftmaxloss.m, +dagnn/Loss.m of 1.0-beta25 and of master

Up to 1.0-beta25 MatConvNet sums over the images; its master divides by N, ignored labels or not: `normalise`.
A label out of range is an error on the CPU. On the GPU the look would stop the pipeline at every step: there y and dx become
NaN, which stops a training run, and `check_labels` tells where the label is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from . import array, block, geometry
from .array import Array


class Formula(NamedTuple):
    """A loss: t and dt/dx from the scores (C, M) of M pixels and their classes (M,), counted from 0."""

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]


def forward(
    x: Array, c: Array, *, loss: str = "softmaxlog", instance_weights: Array | None = None, normalise: bool = False
) -> Array:
    """y, an array without dimensions, of x's dtype. Raises ValueError for an unknown loss and for labels that do not fit."""
    xp = array.module_of(x, c)
    scores, classes, weights, divisor = _prepare(xp, x, c, instance_weights, normalise)
    t = formula(loss).value(scores, classes)
    t = xp.where(weights == 0, weights, t)  # an infinite t of an ignored pixel must not turn into 0 * inf = NaN
    return xp.asarray((weights * t).sum(dtype=np.float64) / divisor, x.dtype)


def backward(
    x: Array,
    c: Array,
    dy: Array | float = 1.0,
    *,
    loss: str = "softmaxlog",
    instance_weights: Array | None = None,
    normalise: bool = False,
) -> Array:
    """dx, of x's shape and dtype. Raises ValueError as forward does."""
    xp = array.module_of(x, c)
    scores, classes, weights, divisor = _prepare(xp, x, c, instance_weights, normalise)
    slope = formula(loss).slope(scores, classes)
    slope *= weights * (xp.asarray(dy, x.dtype).reshape(()) / divisor)
    h, w, k, n = array.four_d(x).shape
    dx = array.empty(xp, (h, w, k, n), x.dtype)
    dx.transpose(2, 3, 0, 1)[...] = slope.reshape(k, n, h, w)
    return dx.reshape(x.shape)


def softmaxloss(x: Array, c: Array, *, normalise: bool = False) -> Array:
    """vl_nnsoftmaxloss, which vl_nnloss replaced: softmaxlog, where a second channel of c holds the pixels' weights."""
    labels, weights = _labels_and_weights(c)
    return forward(x, labels, instance_weights=weights, normalise=normalise)


def softmaxloss_backward(x: Array, c: Array, dy: Array | float = 1.0, *, normalise: bool = False) -> Array:
    """dx of softmaxloss."""
    labels, weights = _labels_and_weights(c)
    return backward(x, labels, dy, instance_weights=weights, normalise=normalise)


def check_labels(c: Array, classes: int) -> None:
    """Raises ValueError, naming the first wrong label and its place, unless all are whole numbers of 0..classes."""
    labels = array.to_numpy(array.four_d(c))
    right = (labels >= 0) & (labels <= classes) & (labels == np.trunc(labels))
    if right.all():
        return
    place = np.unravel_index(np.argmin(right), labels.shape)
    row, column, channel, image = (int(i) for i in place)
    where = f"image {image}, row {row}, column {column}" + (f", channel {channel}" if labels.shape[2] > 1 else "")
    raise ValueError(
        f"loss: a label is {labels[place]:g}, at {where} (counted from 0); "
        f"whole numbers 1..{classes} are right for {classes} classes, and 0 for pixels to ignore"
    )


def _prepare(
    xp: ModuleType, x: Array, c: Array, instance_weights: Array | None, normalise: bool
) -> tuple[Array, Array, Array, int]:
    """Scores (C, M), classes (M,) from 0, weights (M,), and what the sum is divided by; pixels in the order N, H, W.

    Scores are laid out class by class, so that maxima and sums over few classes are as fast as over many.
    """
    array.check_floats("loss", x=x)
    x = array.four_d(x)
    h, w, k, n = x.shape
    scores = xp.ascontiguousarray(x.transpose(2, 3, 0, 1)).reshape(k, -1)
    labels = _labels_per_pixel(xp, c, (h, w, k, n))
    inside = (labels >= 0) & (labels <= k)
    if xp is np and not inside.all():
        check_labels(c, k)
    classes = xp.where(inside, labels, 0).astype(np.int64)
    if xp is np and labels.dtype.kind == "f" and (classes != labels).any():
        check_labels(c, k)
    weights = (classes > 0).astype(x.dtype)
    if xp is not np:
        weights[~inside] = np.nan
    if instance_weights is not None:
        weights *= _weights_per_pixel(xp, instance_weights, (h, w, k, n))
    return scores, xp.maximum(classes - 1, 0), weights, n if normalise else 1


def _labels_per_pixel(xp: ModuleType, c: Array, size: tuple[int, int, int, int]) -> Array:
    h, w, _, n = size
    labels = xp.broadcast_to(c.reshape(1, 1, 1, n), (h, w, 1, n)) if c.size == n else array.four_d(c)
    if labels.shape != (h, w, 1, n):
        raise ValueError(
            f"loss: labels are {tuple(c.shape)} and scores {size}; right are ({h}, {w}, 1, {n}), one a pixel, "
            f"or {n}, one an image"
        )
    return labels.transpose(2, 3, 0, 1).reshape(-1)


def _weights_per_pixel(xp: ModuleType, v: Array, size: tuple[int, int, int, int]) -> Array:
    h, w, _, n = size
    try:
        weights = xp.broadcast_to(array.four_d(xp.asarray(v)), (h, w, 1, n))
    except ValueError as error:
        raise ValueError(
            f"loss: instance weights are {np.shape(v)}; right is ({h}, {w}, 1, {n}), each of the sizes may be 1"
        ) from error
    return weights.transpose(2, 3, 0, 1).reshape(-1)


def _labels_and_weights(c: Array) -> tuple[Array, Array | None]:
    if c.ndim < 3 or c.shape[2] == 1:
        return c, None
    c = array.four_d(c)
    if c.shape[2] != 2:
        raise ValueError(f"softmaxloss: labels have {c.shape[2]} channels; 1, or 2 (the second: weights) are right")
    return c[:, :, :1], c[:, :, 1:]


def _of_class(scores: Array, classes: Array) -> Array:
    """Each pixel's score for its own class, (M,)."""
    xp = array.module_of(scores)
    pixels = scores.shape[1]
    return scores.reshape(-1).take(classes * pixels + xp.arange(pixels))


def _add_to_class(slope: Array, classes: Array, values: Array | float) -> None:
    """Adds a value a pixel to the entry of its class, in place."""
    xp = array.module_of(slope)
    slope[classes, xp.arange(slope.shape[1])] += values


def _softmaxlog(scores: Array, classes: Array) -> Array:
    xp = array.module_of(scores)
    highest = scores.max(axis=0)
    return xp.log(xp.exp(scores - highest).sum(axis=0)) + (highest - _of_class(scores, classes))


def _softmaxlog_slope(scores: Array, classes: Array) -> Array:
    xp = array.module_of(scores)
    slope = xp.exp(scores - scores.max(axis=0))
    slope /= slope.sum(axis=0)
    _add_to_class(slope, classes, -1)
    return slope


def _log(scores: Array, classes: Array) -> Array:
    return -array.module_of(scores).log(_of_class(scores, classes))


def _log_slope(scores: Array, classes: Array) -> Array:
    xp = array.module_of(scores)
    slope = xp.zeros_like(scores)
    _add_to_class(slope, classes, -1 / xp.maximum(_of_class(scores, classes), scores.dtype.type(1e-8)))
    return slope


def _classerror(scores: Array, classes: Array) -> Array:
    return (scores.argmax(axis=0) != classes).astype(scores.dtype)


def _no_slope(scores: Array, classes: Array) -> Array:
    return array.module_of(scores).zeros_like(scores)


LOSSES = {
    "softmaxlog": Formula(_softmaxlog, _softmaxlog_slope),
    "log": Formula(_log, _log_slope),
    "classerror": Formula(_classerror, _no_slope),
}


def formula(name: str) -> Formula:
    """The loss of that name. Raises ValueError for another, listing those known."""
    if name not in LOSSES:
        raise ValueError(f"loss: {name!r} is not known; one of {', '.join(LOSSES)} is right")
    return LOSSES[name]


# MatConvNet's option names in lower case -> ours. None: MatConvNet parses classWeights and uses it nowhere, and the losses
# that read threshold and topK are not here yet.
OPTIONS = {
    "loss": "loss",
    "instanceweights": "instance_weights",
    "normalise": "normalise",
    "classweights": None,
    "threshold": None,
    "topk": None,
}


def options(pairs: Sequence[Any]) -> dict[str, Any]:
    """MATLAB's list name, value, name, value ... as keyword options of forward and backward.

    Raises ValueError for a list of odd length and for a name that vl_nnloss does not have.
    """
    if len(pairs) % 2:
        raise ValueError(f"Loss: opts has {len(pairs)} elements; pairs of a name and a value are right")
    found = {}
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        if str(name).lower() not in OPTIONS:
            raise ValueError(f"Loss: opts names {name!r}; one of {', '.join(OPTIONS)} is right")
        ours = OPTIONS[str(name).lower()]
        if ours is not None:
            found[ours] = bool(value) if ours == "normalise" else value
    return found


@dataclass
class Loss(block.Layer):
    """Inputs: scores and labels. Output: y, one number.

    normalise      as in forward; False is MatConvNet's releases, True its master
    opts           name, value, ...: options that override the block's for the function (not for the average)
    average        the mean over all pixels since reset, ignored ones counted too, as MatConvNet reports it
    num_averaged   how many pixels that were
    """

    loss: str = "softmaxlog"
    ignore_average: bool = False
    opts: list[Any] = field(default_factory=list)
    normalise: bool = field(default=False, metadata={"optional": True})  # a property in master alone

    n_inputs, n_params = (2,), (0,)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the average."""
        self.average: Array | float = 0.0  # stays on the device: reading it at every step would make the GPU wait
        self.num_averaged: int = 0

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from the scores and labels."""
        x, c = inputs
        y = forward(x, c, **self._options(x, c))
        if not self.ignore_average:
            h, w, _, n = array.four_d(x).shape
            self._average(y * n if self.normalise else y, h * w * n)
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; labels have none."""
        x, c = inputs
        return [backward(x, c, der_outputs[0], **self._options(x, c)), None], []

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """MatConvNet counts one number an image."""
        return [(1, 1, 1, input_sizes[0][3])]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """One number sees everything: no field."""
        nan = (float("nan"), float("nan"))
        return [geometry.ReceptiveField(nan, nan, nan)] * inputs

    def _options(self, x: Array, c: Array) -> dict[str, Any]:
        """The options of the function, which a subclass may let depend on the scores and labels."""
        return {"loss": self.loss, "normalise": self.normalise, **options(self.opts)}

    def _average(self, total: Array, count: int) -> None:
        """average and num_averaged after `count` more, whose values sum to `total`."""
        n = self.num_averaged
        self.average = (n * self.average + total.astype(np.float64)) / (n + count)
        self.num_averaged = n + count
