"""Two ways to run the network here: end to end on the dump's inputs, and each layer alone on what MATLAB had.

End to end shows what a user gets. Alone shows which layer is to blame: with MATLAB's own inputs and derivatives given to each
layer, what an early one does otherwise is not seen in all later ones.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import block, dropout, loss, pool, relu, settings
from dagnet.layers.array import Array

from .dump import Dump

Outcome = tuple[list[Array], list[Array | None], list[Array | None]]  # outputs, derivatives of inputs and of params


@dataclass
class Pass:
    """What a way of running the net gave, by name. problems: by layer ("" for the net), why it could not run."""

    values: dict[str, Array] = field(default_factory=dict)
    ders: dict[str, Array] = field(default_factory=dict)
    param_ders: dict[str, Array] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass
class Case:
    """A layer with what MATLAB gave it and got from it; outputs and their derivatives are None where the dump has none."""

    record: LayerRecord
    inputs: list[Array]
    params: list[Array]
    outputs: list[Array | None]
    der_outputs: list[Array | None]

    @settings.using(exact=True)
    def run(
        self,
        layer: block.Layer,
        inputs: list[Array] | None = None,
        params: list[Array] | None = None,
        *,
        back: bool = True,
    ) -> Outcome:
        """What a block gives in this place, with other inputs or params where such come.

        There are no derivatives without `back`, and none from those of outputs that are missing or of another size.
        The block is copied, so that what it keeps stays as it is. Raises ValueError as blocks do.
        """
        layer = copy.deepcopy(layer)
        if isinstance(layer, loss.Loss):
            layer.reset()  # an accuracy goes on from what it has counted end to end
        inputs, params = inputs or self.inputs, params or self.params
        outputs = layer.forward(inputs, params)
        given = [der for der in self.der_outputs if der is not None]
        if not back or [der.size for der in given] != [y.size for y in outputs]:
            return outputs, [], []
        held = [y if t is None else t for y, t in zip(outputs, self.outputs, strict=True)]
        layer.needs_input_der = True
        seen = inputs if layer.backward_uses == "inputs" else held
        ders = [der.astype(y.dtype).reshape(y.shape) for der, y in zip(given, outputs, strict=True)]
        return outputs, *layer.backward(seen, params, ders)


def case_of(net: DagNN, record: LayerRecord, dump: Dump, whole: Pass) -> Case | None:
    """The layer's case, ours serving where an input is not in the dump; None where no run has it, or a parameter no value."""
    params = [net.params[p].value for p in record.params]
    inputs = [whole.values.get(v) if (value := dump.value(v)) is None else value for v in record.inputs]
    if any(value is None for value in [*inputs, *params]):
        return None
    outputs, ders = ([table.get(v) for v in record.outputs] for table in (dump.values, dump.ders | dump.der_outputs))
    return Case(record, inputs, params, outputs, ders)


@settings.using(exact=True)
def end_to_end(net: DagNN, inputs: Mapping[str, Array], dump: Dump) -> Pass:
    """The net's own run, as far as it comes."""
    seeds = {name: float(d.item()) if d.size == 1 else d for name, d in dump.der_outputs.items()}
    net.conserve_memory = False
    result = Pass()
    try:
        net.eval(inputs, seeds)
    except ValueError as error:
        result.problems[""] = "; ".join([str(error), *getattr(error, "__notes__", ())])
    held = {name: var.held for name, var in net.vars.items()}
    result.values = {name: h["value"] for name, h in held.items() if h["value"] is not None}
    result.ders = {name: h["der"] for name, h in held.items() if h["der"] is not None}
    result.param_ders = {name: p.der for name, p in net.params.items() if p.der is not None}
    return result


def layer_by_layer(net: DagNN, dump: Dump, whole: Pass) -> Pass:
    """Every layer alone. A derivative to which several layers add is their sum, absent where one of them could not run."""
    result = Pass()
    incomplete: set[str] = set()
    for name in reversed(net.execution_order):
        record = net.layers[name]
        case = case_of(net, record, dump, whole)
        if case is None:
            continue
        try:
            outputs, der_inputs, der_params = case.run(record.block)
        except ValueError as error:
            result.problems[name] = str(error)
            incomplete.update([*record.inputs, *record.params])
            continue
        if not der_inputs and all(der is not None for der in case.der_outputs):
            incomplete.update([*record.inputs, *record.params])
        result.values |= dict(zip(record.outputs, outputs, strict=True))
        _add(result.ders, record.inputs, der_inputs)
        _add(result.param_ders, record.params, der_params)
    for table in (result.ders, result.param_ders):
        for key in incomplete & table.keys():
            del table[key]
    return result


def _add(table: dict[str, Array], names: list[str], ders: list[Array | None]) -> None:
    for name, der in zip(names, ders, strict=False):  # none at all after a pass forward
        if der is not None:
            table[name] = table[name] + der if name in table else der


def set_masks(net: DagNN, dump: Dump) -> None:
    """Gives every DropOut the mask that MATLAB drew, as its input and output tell it, and where the input is 0 their
    derivatives.

    Raises ValueError where the dump does not hold them.
    """
    for record in net.layers.values():
        if isinstance(record.block, dropout.DropOut):
            (x,), (y,) = ([dump.value(v) for v in names] for names in (record.inputs, record.outputs))
            if x is None or y is None:
                raise ValueError(
                    f"layer '{record.name}': the dump lacks '{record.inputs[0]}' or '{record.outputs[0]}', so the mask that "
                    "MATLAB's DropOut drew is not known; a dump of all variables, or in test mode, is right"
                )
            dx, dy = (dump.ders.get(v) for v in (record.inputs[0], record.outputs[0]))
            if dx is not None and dy is not None:
                x, y = np.where(x == 0, dy, x), np.where(x == 0, dx, y)
            scale = x.dtype.type(1 / (1 - record.block.rate))
            record.block.mask = (np.abs(y) >= np.abs(x) * (scale / 2)) * scale
            record.block.frozen = True


def flips(record: LayerRecord, whole: Pass, dump: Dump) -> int:
    """How many of a ReLU's or a max pooling's decisions differ between the run end to end and MATLAB's."""
    layer = record.block
    x, theirs = whole.values.get(record.inputs[0]), dump.value(record.inputs[0])
    if x is None or theirs is None or x.shape != theirs.shape:
        return 0
    if isinstance(layer, relu.ReLU):
        return int(((x > 0) != (theirs > 0)).sum())
    if isinstance(layer, pool.Pooling) and layer.method == "max":
        ours, matlab = (_routes(layer, v.astype(x.dtype)) for v in (x, theirs))
        return int(np.abs(ours - matlab).sum()) // 2
    return 0


def _routes(layer: pool.Pooling, x: Array) -> Array:
    """How many windows take their maximum from each place of x."""
    ones = np.ones_like(layer.forward([x], [])[0])
    return pool.backward(x, layer.pool_size, ones, stride=layer.stride, pad=layer.pad)
