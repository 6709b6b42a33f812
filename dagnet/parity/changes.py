"""What a layer would do had a known mistake been made: the changes that hints are found by trying.

    floor or ceil, other pads, another border    pooling, convolution
    filters or input transposed, filters flipped, channels in reverse order, a mean not subtracted    convolution
    moments as variance, epsilon, another mode    batch normalisation, dropout
    labels from 0, divided by the images or not, other number of classes    losses
    alpha divided by the window    LRN
All on the CPU.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagnet.layers import bnorm, conv, convt, dropout, geometry, loss, lrn, pool, segmentation
from dagnet.layers.array import Array
from dagnet.training import profile

from .runs import Case

CLASSES_OF_FCN = 21  # hard-wired in its SegmentationAccuracy.m


@dataclass
class Change:
    """One thing changed in a layer; what is None stays as it is."""

    cause: str
    text: str
    block: Any = None
    inputs: list[Array] | None = None
    params: list[Array] | None = None


def of(case: Case, mean: np.ndarray | None) -> Iterator[Change]:
    """The changes for the layer, the simplest of each cause first; `mean` is the colour of the net's mean image, if known."""
    layer = case.record.block
    if isinstance(layer, (dropout.DropOut, bnorm.BatchNorm)):
        yield _mode(layer)
    if isinstance(layer, bnorm.BatchNorm):
        yield from _moments(case, layer)
    if isinstance(layer, loss.Loss):
        yield from _loss(case, layer)
    if isinstance(layer, segmentation.SegmentationAccuracy):
        text = f"matconvnet-fcn takes its means over {CLASSES_OF_FCN} classes, however many there are"
        yield Change("classes", text, _with(layer, n_classes=CLASSES_OF_FCN))
    if isinstance(layer, lrn.LRN):
        yield from _lrn(layer)
    if isinstance(layer, pool.Pooling):
        yield from _pads(case, layer, layer.pool_size)
        other = {"max": "avg", "avg": "max"}[layer.method]
        yield Change("pooling", f"the method is {other!r} in MATLAB", _with(layer, method=other))
    if isinstance(layer, (conv.Conv, convt.ConvTranspose)):
        yield from _filters(case)
    if isinstance(layer, conv.Conv):
        extent = [geometry.extent(n, d) for n, d in zip(case.params[0].shape[:2], layer.dilate, strict=True)]
        yield from _pads(case, layer, extent)
        yield from _image(case, mean)


def _with(layer: Any, **fields: Any) -> Any:
    changed = copy.deepcopy(layer)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _mode(layer: Any) -> Change:
    other = {"normal": "test", "test": "normal"}[layer.mode]
    return Change("mode", f"MATLAB ran in mode {other!r}, this run in mode {layer.mode!r}", _with(layer, mode=other))


def _moments(case: Case, layer: Any) -> Iterator[Change]:
    g, b, moments = case.params
    mu, sigma = moments[:, :1], moments[:, 1:]
    for text, second in (
        ("the second moment here is the variance, and sigma is right: its root", np.sqrt(sigma)),
        (
            f"the second moment here is the variance, and sigma is right: the root of it and epsilon {layer.epsilon:g}",
            np.sqrt(sigma + moments.dtype.type(layer.epsilon)),
        ),
        ("MATLAB took the square of the second moment here, the variance, for sigma", sigma**2),
    ):
        yield Change("moments", text, params=[g, b, np.concatenate([mu, second], axis=1)])
    for epsilon in sorted({release.epsilon for release in profile.PROFILES.values()}):
        if epsilon != layer.epsilon:
            text = f"epsilon is {epsilon:g} in MATLAB and {layer.epsilon:g} here"
            yield Change("release", text, _with(layer, epsilon=epsilon))
    scaled = not layer.scale_moments_by_images
    text = f"MATLAB's release hands out the moments{' ' if scaled else ' not '}multiplied by the number of images"
    names = [release.name for release in profile.PROFILES.values() if release.moments_times_n == scaled]
    yield Change("release", f"{text}; {_profiles(names)}", _with(layer, scale_moments_by_images=scaled))


def _loss(case: Case, layer: Any) -> Iterator[Change]:
    x, labels, *others = case.inputs
    divides = not layer.normalise
    text = f"MATLAB's release {'divides' if divides else 'does not divide'} the loss by the number of images"
    names = [release.name for release in profile.PROFILES.values() if release.normalise == divides]
    yield Change("release", f"{text}; {_profiles(names)}", _with(layer, normalise=divides))
    yield Change("labels", "labels count from 0 here and from 1 in MATLAB", inputs=[x, labels + 1, *others])
    if (labels >= 1).all():
        yield Change("labels", "labels count from 1 here and from 0 in MATLAB", inputs=[x, labels - 1, *others])


def _profiles(names: list[str]) -> str:
    return f"--profile {' or '.join(names)} is right"


def _lrn(layer: Any) -> Iterator[Change]:
    n, kappa, alpha, beta = layer.param
    for text, factor in ((", which is Caffe's, divided by", 1 / n), (" times", n)):
        changed = _with(layer, param=[n, kappa, alpha * factor, beta])
        yield Change("alpha", f"MATLAB's alpha is ours{text} the {n:g} channels of the window", changed)


def _filters(case: Case) -> Iterator[Change]:
    f, *rest = case.params
    x = case.inputs[0]
    yield Change("transposed", "height and width of its filters are exchanged", params=[f.swapaxes(0, 1), *rest])
    yield Change("flipped", "its filters are turned by 180 degrees", params=[f[::-1, ::-1], *rest])
    if f.shape[2] == x.shape[2] == 3:
        text = "the filters' input channels are in reverse order (RGB and BGR)"
        yield Change("channel order", text, params=[f[:, :, ::-1], *rest])
    yield Change("transposed", "height and width of its input are exchanged", inputs=[x.swapaxes(0, 1)])


def _pads(case: Case, layer: Any, window: Any) -> Iterator[Change]:
    """Other pads that give the size of MATLAB's output, the nearest first, and other things to find beyond the border."""
    x, y = case.inputs[0], case.outputs[0]
    if y is None:
        return
    pads = list(layer.pad)
    ways = []
    for axis, (before, after) in enumerate((pads[:2], pads[2:])):
        fits = [
            (p, q)
            for p in range(window[axis])
            for q in range(window[axis])
            if (x.shape[axis] + p + q - window[axis]) // layer.stride[axis] + 1 == y.shape[axis]
        ]
        fits.sort(key=lambda fit: abs(fit[0] - before) + abs(fit[1] - after))
        ways.append(fits[:9])
    others = sorted(
        ([*rows, *columns] for rows in ways[0] for columns in ways[1]),
        key=lambda pad: (abs(sum(pad) - sum(pads)), sum(abs(p - q) for p, q in zip(pad, pads, strict=True))),
    )
    cause = "pooling" if isinstance(layer, pool.Pooling) else "border"
    for pad in [pad for pad in others if pad != pads][:36]:
        word = _rounding(pads, pad)
        yield Change(
            cause if word else "border", f"{word}pad is {pad} in MATLAB and {pads} here", _with(layer, pad=pad)
        )
    if not any(pads):
        return
    widths = ((pads[0], pads[1]), (pads[2], pads[3]), (0, 0), (0, 0))
    for text, mode in (("zeros that count", "constant"), ("its edge again", "edge"), ("its mirror image", "symmetric")):
        if mode == "constant" and isinstance(layer, conv.Conv):
            continue
        changed = np.pad(x, widths, mode=mode)  # type: ignore[call-overload]  # mode is one of its words
        yield Change("border", f"beyond the border MATLAB finds {text}", _with(layer, pad=[0, 0, 0, 0]), [changed])


def _rounding(ours: list[int], theirs: list[int]) -> str:
    """Says floor or ceil where only the pads at the bottom and at the right differ, all in one direction."""
    more = [t - o for o, t in zip(ours[1::2], theirs[1::2], strict=True)]
    if ours[::2] != theirs[::2] or min(more) < 0 < max(more):
        return ""
    up, down = "up (ceil)", "down (floor)"
    there, here = (up, down) if max(more) > 0 else (down, up)
    return f"sizes are rounded {there} in MATLAB, {here} here: "


def _image(case: Case, mean: np.ndarray | None) -> Iterator[Change]:
    """The constant a channel which, added to the input, explains MATLAB's output best: a mean not subtracted."""
    x, y, layer = case.inputs[0], case.outputs[0], case.record.block
    try:
        ours = layer.forward([x], case.params)[0]
    except ValueError:
        return
    if y is None or y.shape != ours.shape or x.shape[2] > 4:
        return
    without = [case.params[0], *(0 * p for p in case.params[1:])]
    ones = np.eye(x.shape[2], dtype=x.dtype)
    steps = [layer.forward([np.zeros_like(x[..., :1]) + one.reshape(1, 1, -1, 1)], without)[0][..., 0] for one in ones]
    basis = np.stack([step.ravel() for step in steps], axis=1).astype(np.float64)
    wanted = (y.astype(np.float64) - ours).mean(axis=3).ravel()
    shift = np.linalg.lstsq(basis, wanted, rcond=None)[0]
    if np.isfinite(shift).all() and shift.any():
        changed = x + shift.astype(x.dtype).reshape(1, 1, -1, 1)
        yield Change("mean", shift_in_words(shift, mean), inputs=[changed])


def shift_in_words(shift: np.ndarray, mean: np.ndarray | None) -> str:
    """The mistake that a constant a channel, added to reach MATLAB's image, looks like."""
    numbers = ", ".join(f"{abs(v):.6g}" for v in shift)
    what = "the mean image's colour" if mean is not None and np.allclose(np.abs(shift), mean, rtol=1e-3) else "a mean"
    done = "is not subtracted here" if (shift <= 0).all() else "is subtracted here and not in MATLAB"
    return f"{what} ({numbers}) {done}" if len(set(shift > 0)) == 1 else f"a constant ({numbers}) a channel differs"
