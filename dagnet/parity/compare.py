"""Two runs of one network, array by array: MATLAB's, as dumped, and ours.

end to end   the net is run here on the dumped inputs; what an early layer does otherwise is seen in all later ones
alone        each layer is given MATLAB's own inputs and derivatives, so that only what this layer does otherwise is seen

How far is too far                                                                       a is ours, b MATLAB's
             alone        BASE * max(1, sqrt(n) / 32), for sums of n products, since rounding grows like sqrt(n)
             end to end   that times the number of layers through which the array came, forward and back
             A parameter's derivative is a sum of n terms that may cancel, as a bias before a batch normalisation has it:
             in place of max|b| counts what they would come to if they did not, the root of the sum of dy^2, if that is larger
             Where rounding made a ReLU or a maximum decide otherwise, derivatives end to end that passed it are judged by
             their direction: 1 - cosine at most DECIDED. Alone there is no such excuse, since the inputs are MATLAB's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.files.matvalues import class_of
from dagnet.graph import LayerRecord
from dagnet.layers.array import Array

from . import runs
from .dump import Dump
from .measures import BASE, Measure, largest, measure
from .runs import Pass

DECIDED = 1e-5
Kind = Literal["input", "value", "der", "param der"]
KINDS: tuple[Kind, ...] = ("value", "der", "param der")  # of what a pass makes


@dataclass
class Row:
    """One dumped array beside ours.

    layer     the layer that makes the value, reads the variable that is derived, or uses the parameter; "" for inputs, and for
              names that the net does not have
    whole     end to end;  alone: the layer alone, None where there is nothing to run it on
    largest   max|b|
    scale     what the allowed differences are relative to: max|b|, or more for a sum that cancels
    decided   how many ReLUs and maxima on the way of an end-to-end derivative decided otherwise
    """

    layer: str
    type: str
    kind: Kind
    name: str
    shape: tuple[int, ...]
    whole: Measure
    alone: Measure | None
    allowed_whole: float
    allowed_alone: float
    largest: float
    scale: float
    decided: int = 0

    @property
    def label(self) -> str:
        """The array's name as the report has it: x1, or d x1 for a derivative."""
        return f"d {self.name}" if self.kind.endswith("der") else self.name

    @property
    def place(self) -> str:
        """Where the array belongs, as the report has it."""
        return self.layer or ("(input)" if self.kind == "input" else "(unknown)")

    @property
    def problem(self) -> str:
        """Why the array cannot be compared; "" where it can."""
        return (self.alone.problem if self.alone else "") or self.whole.problem

    @property
    def alone_ok(self) -> bool:
        """Whether the layer alone is within its tolerance, or was not run alone."""
        return self.alone is None or self.alone.max_abs <= self.allowed_alone * self.scale

    @property
    def whole_ok(self) -> bool:
        """Whether end to end is within tolerance."""
        excused = self.decided > 0 and self.whole.off_cosine <= DECIDED
        return self.whole.max_abs <= self.allowed_whole * self.scale or excused

    @property
    def ok(self) -> bool:
        """Both."""
        return self.alone_ok and self.whole_ok


@dataclass
class Comparison:
    """All rows in execution order, inputs first. flips: by layer, how many decisions differ. stopped: why ours ended early."""

    rows: list[Row]
    flips: dict[str, int]
    stopped: str
    not_dumped: list[str]

    @property
    def ok(self) -> bool:
        """Whether every dumped array is within tolerance."""
        return all(row.ok for row in self.rows)

    @property
    def bad(self) -> list[Row]:
        """The rows out of tolerance."""
        return [row for row in self.rows if not row.ok]

    def first_bad(self) -> Row | None:
        """Where to look first: an input that differs, else the first layer off by itself, else the first row off."""
        bad = self.bad
        inputs, alone = [r for r in bad if r.kind == "input"], [r for r in bad if not r.alone_ok]
        return next(iter([*inputs, *alone, *bad]), None)


def compare(
    net: DagNN, dump: Dump, inputs: Mapping[str, Array] | None = None, tolerance: float | None = None
) -> Comparison:
    """Runs the net, which is set to the dump's mode, and compares every array that the dump holds.

    inputs      replace the dump's end to end, by name: they are compared with what the dump holds
    tolerance   replaces BASE
    An input of the net that was not given to eval counts as given where MATLAB had a value for it, left from before.
    Raises ValueError where the net has none of the dump's inputs or derivatives to start from, or another precision, and where
    the mask of a DropOut cannot be known, RuntimeError where a block is not known here.
    """
    _check(net, dump)
    net.mode = dump.mode
    if dump.mode == "normal":
        runs.set_masks(net, dump)
    left = {name: value for name in net.inputs if (value := dump.value(name)) is not None}
    used = left | dump.inputs | dict(inputs or {})
    whole = runs.end_to_end(net, used, dump)
    alone = runs.layer_by_layer(net, dump, whole)
    flips = {r.name: n for r in net.layers.values() if r.inputs and (n := runs.flips(r, whole, dump))}
    rows = _Rows(net, dump, used, whole, alone, flips, tolerance).all()
    not_dumped = [name for name in net.vars if dump.value(name) is None]
    return Comparison(rows, flips, whole.problems.get("", ""), not_dumped)


def _check(net: DagNN, dump: Dump) -> None:
    """Raises ValueError where the dump is of another net, as names and precision tell before anything is run."""
    for field, names, known in (("inputs", dump.inputs, net.inputs), ("derOutputs", dump.der_outputs, net.outputs)):
        if strangers := [name for name in names if name not in net.vars]:
            raise ValueError(
                f"dump.{field}: the net has no variable '{strangers[0]}', only {', '.join(known)}; "
                "the network that was dumped is right"
            )
    for record in net.layers.values():
        x = dump.value(record.inputs[0]) if record.inputs and record.params else None
        w = net.params[record.params[0]].value if record.params else None
        if x is not None and w is not None and x.dtype.kind == w.dtype.kind == "f" and x.dtype != w.dtype:
            raise ValueError(
                f"layer '{record.name}': its parameter '{record.params[0]}' is {class_of(w)} and the dump's "
                f"'{record.inputs[0]}' is {class_of(x)}; the network as it was when dumped, in one precision with it, is right"
            )


@dataclass
class _Rows:
    """Lays the dump's arrays beside those of the two passes."""

    net: DagNN
    dump: Dump
    inputs: Mapping[str, Array]
    whole: Pass
    alone: Pass
    flips: Mapping[str, int]
    tolerance: float | None

    def all(self) -> list[Row]:
        """In execution order: a layer's outputs, the derivatives that it is the first to pass back, its parameters'."""
        rows = [self._input(name, theirs) for name in self.net.inputs if (theirs := self.dump.value(name)) is not None]
        depths = self._depths()
        deepest, passed = max(depths.values(), default=0), sum(self.flips.values())
        seen: set[tuple[str, str]] = set()
        for name in self.net.execution_order:
            record, depth = self.net.layers[name], depths[name]
            back = 2 * deepest - depth + 1
            seeded = [v for v in record.outputs if not self.net.vars[v].fanout]
            parts: list[tuple[Kind, list[str], int, int]] = [
                ("value", record.outputs, depth, 0),
                ("der", record.inputs, back, passed),
                ("der", seeded, 1, 0),
                ("param der", record.params, back, passed),
            ]
            for kind, names, way, decided in parts:
                for v in names:
                    if v in self._dumped(kind) and (kind, v) not in seen:
                        seen.add((kind, v))
                        rows.append(self._row(record, kind, v, way, decided))
            passed -= self.flips.get(name, 0)
        return rows + [self._unknown(kind, v) for kind in KINDS for v in self._strangers(kind)]

    def _dumped(self, kind: str) -> Mapping[str, np.ndarray]:
        return {"value": self.dump.values, "der": self.dump.ders, "param der": self.dump.param_ders}[kind]

    def _ours(self, kind: str, which: Pass) -> Mapping[str, Array]:
        return {"value": which.values, "der": which.ders, "param der": which.param_ders}[kind]

    def _strangers(self, kind: str) -> list[str]:
        known = self.net.params if kind == "param der" else self.net.vars
        return [name for name in self._dumped(kind) if name not in known]

    def _unknown(self, kind: Kind, name: str) -> Row:
        what = "parameter" if kind == "param der" else "variable"
        lost = Measure(problem=f"the net has no {what} of that name")
        return Row("", "", kind, name, self._dumped(kind)[name].shape, lost, None, 0.0, 0.0, 0.0, 0.0)

    def _input(self, name: str, theirs: np.ndarray) -> Row:
        allowed = self._base(theirs)
        far = measure(self.inputs.get(name), theirs)
        return Row("", "", "input", name, theirs.shape, far, None, allowed, allowed, largest(theirs), largest(theirs))

    def _row(self, record: LayerRecord, kind: Kind, name: str, way: int, decided: int) -> Row:
        theirs = self._dumped(kind)[name]
        whole = measure(self._ours(kind, self.whole).get(name), theirs, self.whole.problems.get("", ""))
        ours, problem = self._ours(kind, self.alone).get(name), self.alone.problems.get(record.name, "")
        alone = None if ours is None and not problem else measure(ours, theirs, problem)
        known = all(self.dump.value(v) is not None for v in record.inputs)
        allowed, scale = self._allowed(record, kind, theirs)
        return Row(
            record.name,
            type(record.block).__name__,
            kind,
            name,
            theirs.shape,
            whole,
            alone,
            allowed * way,
            allowed if known else allowed * way,
            largest(theirs),
            scale,
            decided,
        )

    def _allowed(self, record: LayerRecord, kind: Kind, theirs: np.ndarray) -> tuple[float, float]:
        """How far the layer alone may be, and relative to what: as the module's text says."""
        params = [self.net.params[p].value for p in record.params]
        dy = self.dump.ders.get(record.outputs[0])
        terms, scale = 1.0, largest(theirs)
        if kind == "param der" and dy is not None:
            terms = dy.size / dy.shape[2]
            scale = max(scale, float(np.sqrt(np.square(dy, dtype=np.float64).sum(axis=(0, 1, 3)).max(initial=0.0))))
        elif params and params[0] is not None and params[0].ndim == 4:
            terms = params[0].size / params[0].shape[3]
        return self._base(theirs) * max(1.0, sqrt(terms) / 32), scale

    def _base(self, theirs: np.ndarray) -> float:
        return self.tolerance or BASE.get(theirs.dtype, BASE[np.dtype(np.float64)])

    def _depths(self) -> dict[str, int]:
        """For each layer, the layers on the longest way to it, itself included."""
        made: dict[str, int] = {}
        depths = {}
        for name in self.net.execution_order:
            record = self.net.layers[name]
            depths[name] = 1 + max((made.get(v, 0) for v in record.inputs), default=0)
            made.update(dict.fromkeys(record.outputs, depths[name]))
        return depths
