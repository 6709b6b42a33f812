"""Known mistakes, each of them tried: a hint is given where running the layer that way brings it to MATLAB's numbers.

The layer that is off is run again on MATLAB's inputs with the one thing changed that the mistake would have changed. A change
that brings it within tolerance is told; where none does, one that brings it NEARER times as near is told as such. Mistakes in
what a network is fed are tried on its inputs in the same way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.files import simplenn
from dagnet.layers import array, lrn
from dagnet.layers.array import Array

from . import changes, runs
from .compare import Comparison, Row
from .dump import Dump
from .measures import Measure, measure

NEARER = 20
LRN_POWER = 4.5e-3  # MatConvNet's approximate power is at most 0.41 % off


@dataclass
class Hint:
    """Where (a layer's name, or an input's), what mistake it looks like, and how far off it was and is without it.

    cause   "pooling", "border", "channel order", "mean", "moments", "power", "mode", "transposed", "labels", "release",
            "parameters", ...
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


def find(net: DagNN, dump: Dump, result: Comparison, inputs: Mapping[str, Array] | None = None) -> list[Hint]:
    """Hints for every input and every layer that is off by itself, in execution order; none where all agrees."""
    mean = _mean(net)
    found = []
    for row in result.rows:
        theirs = dump.value(row.name)
        if row.kind == "input" and not row.ok and theirs is not None:
            found += _of_input(row, (inputs or {}).get(row.name, theirs), theirs, mean)
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
    return found or _of_all(net, rows)


# ---------------------------------------------------------------- an input


def _of_input(row: Row, ours: Array, theirs: np.ndarray, mean: np.ndarray | None) -> list[Hint]:
    def tried(cause: str, text: str, changed: Array) -> Hint:
        far = measure(changed, theirs)
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
    if ours.shape == theirs.shape and not any(hint.sure for hint in hints):
        shift = (theirs.astype(np.float64) - ours).mean(axis=(0, 1, 3))
        named = changes.shift_in_words(shift, mean)
        hints.append(tried("mean", named, ours + shift.astype(ours.dtype).reshape(1, 1, -1, 1)))
    return _best(hints)


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
    for change in changes.of(case, mean):
        far = [_distance(case, change, row, dump) for row in off]
        after = max(m.relative for m in far)
        sure = all(m.max_abs <= row.allowed_alone * row.scale for m, row in zip(far, off, strict=True))
        hints.append(Hint(case.record.name, change.cause, change.text, before, after, sure))
    return _best(hints) or list(_seen(case, off, before))


def _distance(case: runs.Case, change: changes.Change, row: Row, dump: Dump) -> Measure:
    """How far the row's array is with that change."""
    record = case.record
    try:
        layer, back = change.block or record.block, row.kind != "value"
        outputs, der_inputs, der_params = case.run(layer, change.inputs, change.params, back=back)
    except ValueError as error:
        return Measure(problem=str(error))
    if row.kind == "value":
        return measure(outputs[record.outputs.index(row.name)], dump.values[row.name])
    names, ders, theirs = (
        (record.params, der_params, dump.param_ders)
        if row.kind == "param der"
        else (record.inputs, der_inputs, dump.ders)
    )
    return measure(ders[names.index(row.name)] if ders else None, theirs[row.name])


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


def _of_all(net: DagNN, rows: Mapping[str, list[Row]]) -> list[Hint]:
    """Whether the layers that are off are just those that have parameters."""
    off = {name: some for name, some in rows.items() if not all(row.alone_ok for row in some)}
    if len(off) < 2 or off.keys() != {name for name in rows if net.layers[name].params}:
        return []
    first, some = next(iter(off.items()))
    before = max(row.alone.relative for row in some if row.alone)
    text = (
        "from here on every layer with parameters is off, and none without: MATLAB had others, of another epoch perhaps"
    )
    return [Hint(first, "parameters", text, before, None, False)]


# ---------------------------------------------------------------- what is seen where no change explains all


def _seen(case: runs.Case, off: list[Row], before: float) -> Iterator[Hint]:
    layer, y = case.record.block, case.outputs[0]
    if y is None or off[0].kind != "value" or before == np.inf:
        return
    ours = case.run(layer, back=False)[0][0]
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
