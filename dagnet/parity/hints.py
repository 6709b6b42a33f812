"""Known mistakes, each of them tried: a hint is given where running the layer that way brings it to MATLAB's numbers.

The layer that is off is run again on MATLAB's inputs with the one thing changed that the mistake would have changed. A change
that brings it within tolerance is told; where none does, one that brings it NEARER times as near is told as such. Mistakes in
what a network is fed are tried on its inputs in the same way.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.files import simplenn
from dagnet.layers import array, bnorm, conv, convt, dropout, geometry, loss, lrn, pool
from dagnet.layers.array import Array
from dagnet.training import profile

from . import compare, runs
from .compare import Comparison, Measure, Row
from .dump import Dump

NEARER = 20
LRN_POWER = 4.5e-3  # MatConvNet's approximate power is at most 0.41 % off


@dataclass
class Hint:
    """Where (a layer's name, or an input's), what mistake it looks like, and how far off it was and is without it.

    cause   "pooling", "border", "channel order", "mean", "moments", "power", "mode", "transposed", "labels", "release", ...
    after   None where nothing was changed, but the pattern of the difference says it
    sure    within tolerance then; else only nearer
    """

    where: str
    cause: str
    text: str
    before: float
    after: float | None
    sure: bool

    def __str__(self) -> str:
        far = "of another size" if self.before == np.inf else f"off by {self.before:.2g}"
        if self.after is None:
            return f"{self.where}: {self.text} ({far})"
        then = f"then it agrees, within {self.after:.2g}" if self.sure else f"then it is nearer: {self.after:.2g}"
        return f"{self.where}: {self.text} ({far}; {then})"


@dataclass
class Change:
    """One thing changed in a layer; what is None stays as it is."""

    cause: str
    text: str
    block: Any = None
    inputs: list[Array] | None = None
    params: list[Array] | None = None


def find(net: DagNN, dump: Dump, result: Comparison, inputs: Mapping[str, Array] | None = None) -> list[Hint]:
    """Hints for every input and every layer that is off by itself, in execution order; none where all agrees."""
    mean = _mean(net)
    found = []
    for row in result.rows:
        if row.kind == "input" and not row.ok:
            found += _of_input(row, (dump.inputs | dict(inputs or {}))[row.name], dump.values[row.name], mean)
    whole = runs.Pass()  # where an input is not in the dump there is nothing to try a change on
    rows: dict[str, list[Row]] = {}
    for row in result.rows:
        if row.layer and row.alone is not None:
            rows.setdefault(row.layer, []).append(row)
    for name, some in rows.items():
        if all(row.alone_ok for row in some):
            continue
        case = runs.case_of(net, net.layers[name], dump, whole)
        if case is not None:
            found += _of_layer(case, some, dump, mean)
    return found


# ---------------------------------------------------------------- an input


def _of_input(row: Row, ours: Array, theirs: np.ndarray, mean: np.ndarray | None) -> list[Hint]:
    def tried(cause: str, text: str, changed: Array) -> Hint:
        far = compare.measure(changed, theirs)
        return Hint(
            row.name, cause, text, row.whole.relative, far.relative, far.max_abs <= row.allowed_whole * row.scale
        )

    ours = array.four_d(ours)
    hints = [
        tried("transposed", "height and width are exchanged", ours.transpose(1, 0, 2, 3)),
        tried("channel order", "its channels are in reverse order (RGB and BGR)", ours[:, :, ::-1]),
        tried("range", "it is in 0..1 where MATLAB's is in 0..255", ours * 255),
    ]
    if ours.shape[2] == 1:
        hints.append(tried("labels", "its labels count from 0 where MATLAB's count from 1", ours + 1))
    if ours.shape == theirs.shape:
        shift = (theirs.astype(np.float64) - ours).mean(axis=(0, 1, 3))
        named = _named_shift(shift, mean)
        hints.append(tried("mean", named, ours + shift.astype(ours.dtype).reshape(1, 1, -1, 1)))
    return _best(hints)


def _named_shift(shift: np.ndarray, mean: np.ndarray | None) -> str:
    """The mistake that a constant a channel, added to reach MATLAB's image, looks like."""
    numbers = ", ".join(f"{abs(v):.6g}" for v in shift)
    what = "the mean image's colour" if mean is not None and np.allclose(np.abs(shift), mean, rtol=1e-3) else "a mean"
    done = "is not subtracted here" if (shift <= 0).all() else "is subtracted here and not in MATLAB"
    return f"{what} ({numbers}) {done}" if len(set(shift > 0)) == 1 else f"a constant ({numbers}) a channel differs"


def _mean(net: DagNN) -> np.ndarray | None:
    try:
        return simplenn.average_rgb(net.meta)
    except ValueError:
        return None


# ---------------------------------------------------------------- a layer


def _of_layer(case: runs.Case, rows: list[Row], dump: Dump, mean: np.ndarray | None) -> list[Hint]:
    """Forward decides where forward is off, else the derivatives do."""
    off = [row for row in rows if not row.alone_ok and row.kind == "value"] or [r for r in rows if not r.alone_ok]
    before = max(row.alone.relative for row in off if row.alone)
    hints = []
    for change in _changes(case, mean):
        far = [_distance(case, change, row, dump) for row in off]
        after = max(m.relative for m in far)
        sure = all(m.max_abs <= row.allowed_alone * row.scale for m, row in zip(far, off, strict=True))
        hints.append(Hint(case.record.name, change.cause, change.text, before, after, sure))
    return _best(hints) or list(_seen(case, off, before))


def _distance(case: runs.Case, change: Change, row: Row, dump: Dump) -> Measure:
    """How far the row's array is with that change."""
    record = case.record
    try:
        outputs, der_inputs, der_params = case.run(change.block or record.block, change.inputs, change.params)
    except ValueError as error:
        return Measure(problem=str(error))
    if row.kind == "value":
        return compare.measure(outputs[record.outputs.index(row.name)], dump.values[row.name])
    names, ders, theirs = (
        (record.params, der_params, dump.param_ders)
        if row.kind == "param der"
        else (record.inputs, der_inputs, dump.ders)
    )
    return compare.measure(ders[names.index(row.name)] if ders else None, theirs[row.name])


def _best(hints: list[Hint]) -> list[Hint]:
    """Those that explain all; else the one that comes nearest, where it comes much nearer."""
    sure: dict[str, Hint] = {}
    for hint in hints:
        if hint.sure:
            sure.setdefault(hint.cause, hint)  # of changes that come to the same, the simplest stands first
    if sure:
        return list(sure.values())
    near = [hint for hint in hints if hint.after is not None and hint.after * NEARER <= hint.before < np.inf]
    return sorted(near, key=lambda hint: hint.after or 0.0)[:1]


def _changes(case: runs.Case, mean: np.ndarray | None) -> Iterator[Change]:
    layer = case.record.block
    if isinstance(layer, (dropout.DropOut, bnorm.BatchNorm)):
        yield _mode(layer)
    if isinstance(layer, bnorm.BatchNorm):
        yield from _moments(case, layer)
    if isinstance(layer, loss.Loss):
        yield from _loss(case, layer)
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


def _moments(case: runs.Case, layer: Any) -> Iterator[Change]:
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
    yield Change("release", f"{text}; another --profile is right", _with(layer, scale_moments_by_images=scaled))


def _loss(case: runs.Case, layer: Any) -> Iterator[Change]:
    x, labels, *others = case.inputs
    text = "divides the loss by the number of images" if not layer.normalise else "does not divide the loss"
    yield Change(
        "release", f"MATLAB's release {text}; another --profile is right", _with(layer, normalise=not layer.normalise)
    )
    yield Change("labels", "labels count from 0 here and from 1 in MATLAB", inputs=[x, labels + 1, *others])
    if (labels >= 1).all():
        yield Change("labels", "labels count from 1 here and from 0 in MATLAB", inputs=[x, labels - 1, *others])


def _lrn(layer: Any) -> Iterator[Change]:
    n, kappa, alpha, beta = layer.param
    for text, factor in (("divided by", 1 / n), ("multiplied by", n)):
        changed = _with(layer, param=[n, kappa, alpha * factor, beta])
        yield Change("alpha", f"MATLAB's alpha is ours {text} the window's {n:g} channels, as Caffe counts it", changed)


def _filters(case: runs.Case) -> Iterator[Change]:
    f, *rest = case.params
    x = case.inputs[0]
    yield Change("transposed", "height and width of its filters are exchanged", params=[f.swapaxes(0, 1), *rest])
    yield Change("flipped", "its filters are turned by 180 degrees", params=[f[::-1, ::-1], *rest])
    if f.shape[2] == x.shape[2] == 3:
        text = "the filters' input channels are in reverse order (RGB and BGR)"
        yield Change("channel order", text, params=[f[:, :, ::-1], *rest])
    yield Change("transposed", "height and width of its input are exchanged", inputs=[x.swapaxes(0, 1)])


def _pads(case: runs.Case, layer: Any, window: Any) -> Iterator[Change]:
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
    after = [t - o for o, t in zip(ours[1::2], theirs[1::2], strict=True)]
    if ours[::2] != theirs[::2]:
        return ""
    return (
        "sizes are rounded up (ceil) in MATLAB, down (floor) here: "
        if min(after) >= 0
        else ("sizes are rounded down (floor) in MATLAB, up (ceil) here: " if max(after) <= 0 else "")
    )


def _image(case: runs.Case, mean: np.ndarray | None) -> Iterator[Change]:
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
        yield Change("mean", _named_shift(shift, mean), inputs=[changed])


# ---------------------------------------------------------------- what is seen where no change explains all


def _seen(case: runs.Case, off: list[Row], before: float) -> Iterator[Hint]:
    layer, y = case.record.block, case.outputs[0]
    if y is None or off[0].kind != "value" or before == np.inf:
        return
    ours = case.run(layer)[0][0]
    difference = np.abs(ours.astype(np.float64) - y)
    if isinstance(layer, lrn.LRN):
        x = case.inputs[0]
        powers = np.abs(np.where(x == 0, 0, difference) / np.where(ours == 0, 1, np.abs(ours)))
        if powers.max() <= LRN_POWER:
            text = f"only the power differs, by at most {powers.max():.2%} at any place: MatConvNet's CPU code approximates it"
            yield Hint(case.record.name, "power", text, before, None, False)
    rows_columns = np.argwhere(difference.max(axis=(2, 3)) > off[0].allowed_alone * off[0].scale)
    inner = np.minimum(rows_columns, np.array(y.shape[:2]) - 1 - rows_columns).min(axis=1).max()
    if inner + 1 <= min(y.shape[:2]) // 4:
        text = f"it differs only within {inner + 1} pixel{'s' * bool(inner)} of the border"
        yield Hint(case.record.name, "border", text, before, None, False)
