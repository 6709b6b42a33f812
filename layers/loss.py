"""Losses over pixels or images (MatConvNet vl_nnloss, vl_nnsoftmaxloss, dagnn.Loss).

Shapes    x, dx (H, W, C, N) scores; y, dy one number
          c     labels. Of classes: (H, W, 1, N), 1..C at each pixel; or N, one an image; 0 means: ignore this pixel
                Of attributes: (H, W, C, N), +1 or -1 for each; 0 means: ignore this one
          v     instance weights, anything that broadcasts to the labels' shape
Forward   y  = sum over the labels of w * t(x, c),  w = v where c is not 0 and 0 where it is;  with normalise, y / N
Backward  dx = dy * w * dt/dx;  with normalise, / N.  Labels have no derivative.
          t and dt/dx are in class_losses.py    (softmaxlog, log, mhinge, mshinge, classerror, topkerror)
                     and in attribute_losses.py (logistic, binarylog, hinge, binaryerror).
Source    MatConvNet manual, 4.8; vl_nnloss.m, vl_nnsoftmaxloss.m, +dagnn/Loss.m of 1.0-beta25 and of master

Up to 1.0-beta25 MatConvNet sums over the images; its master divides by N, ignored labels or not: `normalise`.
A label out of range is an error on the CPU. On the GPU the look would stop the pipeline at every step: there y and dx become
NaN, which stops a training run, and `labels.check` tells where the label is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from . import array, attribute_losses, block, class_losses, geometry, kernels, labels, parts, threads
from .array import Array


class Formula(NamedTuple):
    """A loss: t and dt/dx (None: 0) from scores (C, M) and labels, whether these are of attributes, and t's own option.

    both: t and dt/dx at once, where that spares work.
    """

    value: Callable[..., Array]
    slope: Callable[[Array, Array], Array] | None
    of_attributes: bool = False
    option: str | None = None
    both: Callable[[Array, Array], tuple[Array, Array]] | None = None


LOSSES = {
    "softmaxlog": Formula(class_losses.softmaxlog, class_losses.softmaxlog_slope, both=class_losses.softmaxlog_both),
    "log": Formula(class_losses.log, class_losses.log_slope),
    "mhinge": Formula(class_losses.mhinge, class_losses.mhinge_slope),
    "mshinge": Formula(class_losses.mshinge, class_losses.mshinge_slope),
    "classerror": Formula(class_losses.classerror, None),
    "topkerror": Formula(class_losses.topkerror, None, option="top_k"),
    "logistic": Formula(attribute_losses.logistic, attribute_losses.logistic_slope, True),
    "binarylog": Formula(attribute_losses.binarylog, attribute_losses.binarylog_slope, True),
    "hinge": Formula(attribute_losses.hinge, attribute_losses.hinge_slope, True),
    "binaryerror": Formula(attribute_losses.binaryerror, None, True, option="threshold"),
}


def forward(
    x: Array,
    c: Array,
    *,
    loss: str = "softmaxlog",
    instance_weights: Array | None = None,
    threshold: float = 0.0,
    top_k: int = 5,
    normalise: bool = False,
) -> Array:
    """y, an array without dimensions, of x's dtype. threshold is binaryerror's alone, top_k topkerror's.

    Raises ValueError for an unknown loss, for labels or weights that do not fit, and where top_k is not of 1..C.
    """
    rule = formula(loss)
    if loss == "softmaxlog" and (fast := kernels.serving("softmax", x)):
        return _softmaxlog(fast.log_loss, x, c, instance_weights, normalise, derive=False)[0]
    given = {"threshold": threshold, "top_k": top_k}
    option = {rule.option: given[rule.option]} if rule.option else {}

    def value(part: labels.Part) -> Array:
        scores, c, weights = labels.prepare(part, rule.of_attributes)
        return _weighted(weights, rule.value(scores, c, **option))

    return _total(threads.run(value, _parts(x, c, rule, instance_weights)), x, normalise)


def forward_derived(
    x: Array, c: Array, *, loss: str = "softmaxlog", instance_weights: Array | None = None, normalise: bool = False
) -> tuple[Array, Array]:
    """y, and backward's dx for a dy of 1, of a loss whose formula gives both. Raises ValueError as forward does."""
    if loss == "softmaxlog" and (fast := kernels.serving("softmax", x)):
        return _softmaxlog(fast.log_loss, x, c, instance_weights, normalise)
    rule, dx = formula(loss), _empty_like(x)
    scale = 1 / array.four_d(x).shape[3] if normalise else 1

    def value(part: labels.Part) -> Array:
        scores, c, weights = labels.prepare(part, rule.of_attributes)
        t, slope = rule.both(scores, c)  # type: ignore[misc]  # which the caller has seen
        slope *= weights if scale == 1 else weights * scale
        _put(slope, dx, part)
        return _weighted(weights, t)

    return _total(threads.run(value, _parts(x, c, rule, instance_weights)), x, normalise), dx


def backward(
    x: Array,
    c: Array,
    dy: Array | float = 1.0,
    *,
    loss: str = "softmaxlog",
    instance_weights: Array | None = None,
    threshold: float = 0.0,
    top_k: int = 5,
    normalise: bool = False,
) -> Array:
    """dx (H, W, C, N), of x's dtype; 0 for the losses that count errors, the only ones to read threshold and top_k.

    Raises ValueError as forward does, but for top_k, and where dy is not one number.
    """
    xp, rule = array.module_of(x, c), formula(loss)
    cut, dx = _parts(x, c, rule, instance_weights), _empty_like(x)
    scale = array.derivative("loss", xp.asarray(dy, x.dtype), (1, 1, 1, 1)).reshape(())
    if normalise:
        scale = scale / array.four_d(x).shape[3]

    def derive(part: labels.Part) -> None:
        scores, c, weights = labels.prepare(part, rule.of_attributes)
        slope = rule.slope(scores, c) if rule.slope else xp.zeros_like(scores)
        slope *= weights * scale
        _put(slope, dx, part)

    threads.run(derive, cut)
    return dx


def _softmaxlog(
    log_loss: Callable[..., tuple[Array, Array]],
    x: Array,
    c: Array,
    instance_weights: Array | None,
    normalise: bool,
    derive: bool = True,
) -> tuple[Array, Array]:
    """y and, with derive, dx, by a fast twin: pixels are rows, labels and weights numbers of x's dtype."""
    x, c, v, _, _ = labels.whole(x, c, False, instance_weights)
    pixels, dtype = array.base(x), x.dtype
    rows, weights = (a if a is None else array.base(a).astype(dtype, copy=False).reshape(-1) for a in (c, v))
    images = x.shape[3] if normalise else 1
    try:
        total, dx = log_loss(pixels.reshape(-1, x.shape[2]), rows, weights, 1 / images, derive)
    except ValueError:  # on the CPU: a label out of range
        labels.check(c, x.shape[2])  # says where
        raise
    y = array.module_of(x).asarray(total / images, dtype)
    return y, dx.reshape(pixels.shape).transpose(1, 2, 3, 0) if derive else dx


def _parts(x: Array, c: Array, rule: Formula, instance_weights: Array | None) -> list[tuple[labels.Part]]:
    return [(part,) for part in labels.parts(x, c, rule.of_attributes, instance_weights)]


def _weighted(weights: Array, t: Array) -> Array:
    """The sum of w * t."""
    xp = array.module_of(t)
    t = xp.where(weights == 0, weights, t)  # an infinite t of an ignored pixel must not turn into 0 * inf = NaN
    return (weights * t).sum(dtype=np.float64)


def _total(sums: list[Array], x: Array, normalise: bool) -> Array:
    """y from the parts' sums."""
    total = sum(sums[1:], sums[0]) / (array.four_d(x).shape[3] if normalise else 1)
    return array.module_of(x).asarray(total, x.dtype)


def _empty_like(x: Array) -> Array:
    """An uninitialised array of x's size, in the memory order N, H, W, C."""
    return array.empty(array.module_of(x), array.four_d(x).shape, x.dtype)


def _put(slope: Array, dx: Array, part: labels.Part) -> None:
    """Put what the part's scores (C, M) have as slope to its place in dx."""
    goal = dx[part.rows, :, :, part.images].transpose(2, 3, 0, 1)
    for row, own in zip(
        slope, goal, strict=True
    ):  # class by class, since NumPy would take pixels of few numbers, one by one
        own[...] = row.reshape(own.shape)


def formula(name: str) -> Formula:
    """The loss of that name. Raises ValueError for another, listing those known."""
    if name not in LOSSES:
        raise ValueError(f"loss: {name!r} is not known; one of {', '.join(LOSSES)} is right")
    return LOSSES[name]


def softmaxloss(x: Array, c: Array, *, normalise: bool = False) -> Array:
    """vl_nnsoftmaxloss, which vl_nnloss replaced: softmaxlog, where a second channel of c holds the pixels' weights."""
    c, weights = _labels_and_weights(c)
    return forward(x, c, instance_weights=weights, normalise=normalise)


def softmaxloss_backward(x: Array, c: Array, dy: Array | float = 1.0, *, normalise: bool = False) -> Array:
    """dx of softmaxloss."""
    c, weights = _labels_and_weights(c)
    return backward(x, c, dy, instance_weights=weights, normalise=normalise)


def _labels_and_weights(c: Array) -> tuple[Array, Array | None]:
    if c.ndim < 3 or c.shape[2] == 1:
        return c, None
    c = array.four_d(c)
    if c.shape[2] != 2:
        raise ValueError(f"softmaxloss: labels have {c.shape[2]} channels; 1, or 2 (the second: weights) are right")
    return c[:, :, :1], c[:, :, 1:]


# MatConvNet's option names in lower case -> ours. None: MatConvNet parses classWeights and uses it nowhere.
OPTIONS = {
    "loss": "loss",
    "instanceweights": "instance_weights",
    "normalise": "normalise",
    "classweights": None,
    "threshold": "threshold",
    "topk": "top_k",
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

    averages_over_images   True: average is the mean over images, of the sums over their pixels, as beta18 to beta23 have it.
                           Set by the training profile, not saved.
    """

    loss: str = "softmaxlog"
    ignore_average: bool = False
    opts: list[Any] = field(default_factory=list)
    normalise: bool = field(default=False, metadata={"optional": True})  # a property in master alone

    n_inputs: ClassVar[tuple[int, ...]] = (2,)
    n_params = (0,)
    averages_over_images = False  # no annotation: it is no property of MatConvNet's

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the average, and what was kept for backward."""
        self._kept: tuple[Array, Array, Array] | None = None  # x, c, and their dx for a dy of 1
        self.average: Array | float = 0.0
        self.num_averaged: Array | int = 0

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from the scores and labels."""
        x, c = inputs
        y = self._value(x, c)
        if not self.ignore_average:
            h, w, _, n = array.four_d(x).shape
            self._average(y * n if self.normalise else y, n if self.averages_over_images else h * w * n)
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx; labels have none."""
        (x, c), (dy,), kept, self._kept = inputs, der_outputs, self._kept, None
        if kept is None or kept[0] is not x or kept[1] is not c:
            return [backward(x, c, dy, **self._options(x, c)), None], []
        dx, scale = kept[2], array.derivative("loss", array.module_of(x, c).asarray(dy, x.dtype), (1, 1, 1, 1))
        threads.run(lambda dx: array.module_of(dx).multiply(dx, scale.reshape(()), out=dx), parts.elements(dx))
        return [dx, None], []

    def check(self, inputs: list[Array]) -> None:
        """Raises ValueError where a label is out of range, which forward, on the GPU, only turns into NaN."""
        x, c = inputs
        labels.check(c, array.four_d(x).shape[2], formula(self._options(x, c)["loss"]).of_attributes)

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """MatConvNet counts one number an image."""
        return [(1, 1, 1, input_sizes[0][3])]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """One number sees everything: no field."""
        return [geometry.UNKNOWN] * inputs

    def _options(self, x: Array, c: Array) -> dict[str, Any]:
        """The options of the function, which a subclass may let depend on the scores and labels."""
        return {"loss": self.loss, "normalise": self.normalise, **options(self.opts)}

    def _value(self, x: Array, c: Array) -> Array:
        """y; where backward will follow, dx too, if that costs little more."""
        options = self._options(x, c)
        self._kept = None
        if not self.derivatives_follow or formula(options["loss"]).both is None:
            return forward(x, c, **options)
        options = {name: options[name] for name in options.keys() & {"loss", "instance_weights", "normalise"}}
        y, dx = forward_derived(x, c, **options)
        self._kept = x, c, dx
        return y

    def _average(self, total: Array, count: Array | int) -> None:
        """average and num_averaged after `count` more, whose values sum to `total`. On the GPU both stay there."""
        xp, n = array.module_of(total), self.num_averaged
        if xp is not np and isinstance(n, int):
            n = xp.full((), n, np.float64)
        self.average = array.kept(self.average, (n * self.average + total.astype(np.float64)) / (n + count))
        self.num_averaged = array.kept(self.num_averaged, n + count)
