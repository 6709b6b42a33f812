"""Whether the objectives stay finite, and where the first number stands that is not: for the message of a run that diverged.

On the CPU each (sub-)batch is looked at when it is computed, before the solver may spoil the parameters with it. On the GPU the
host would have to wait for it each time. There the look itself is taken on the GPU, and read back when the losses are printed
and at the end of a pass: later updates may have spoiled the parameters by then, but no checkpoint was written of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dagnet.dagnn import DagNN
from dagnet.layers import array, dropout, loss
from dagnet.layers.array import Array


class Watch:
    """Looks at the objectives of `looks` (sub-)batches of a pass."""

    def __init__(self, net: DagNN, objectives: Sequence[str], looks: int) -> None:
        self._net, self._objectives = net, list(objectives)
        self._done, self._read = 0, 0
        self._finite: Any = None  # on the GPU: (looks, objectives)
        if net.device == "gpu":
            self._finite = array.cupy_module().ones((looks, len(self._objectives)), bool)

    def look(self, inputs: Mapping[str, Array]) -> None:
        """At what was computed from these inputs. Raises FloatingPointError, on the CPU, where an objective is not finite."""
        for i, name in enumerate(self._objectives):
            value = self._net.vars[name].held["value"]
            if value is None:
                continue
            if self._finite is not None:
                self._finite[self._done, i] = array.module_of(value).isfinite(value).all()
            elif not is_finite(value):
                shown = f"{float(value):g}" if value.size == 1 else "not finite"
                raise FloatingPointError(f"training: '{name}' became {shown}: {first_place(self._net, inputs)}")
        self._done += 1

    def read(self) -> None:
        """What was seen since the last reading. Raises Spoiled where it was not finite; on the CPU, look has told already."""
        if self._finite is None or self._read == self._done:
            return
        finite = array.to_numpy(self._finite[self._read : self._done])
        if not finite.all():
            look, objective = min(zip(*(~finite).nonzero(), strict=True))
            raise Spoiled(self._read + int(look), self._objectives[objective])
        self._read = self._done


class Spoiled(Exception):
    """An objective was not finite: in which look, counted from 0, and which."""

    def __init__(self, look: int, objective: str) -> None:
        super().__init__(look, objective)
        self.look, self.objective = look, objective


def is_finite(value: Array) -> bool:
    """Whether no number in it is NaN or infinite."""
    return bool(array.module_of(value).isfinite(value).all())


def spoiled_param(net: DagNN) -> str | None:
    """Names the first parameter, and its layer, that holds a NaN or an infinity; None where all are finite."""
    places = [(name, record.name) for record in net.layers.values() for name in record.params]
    values = [net.params[name].value for name, _ in places]
    if values:
        xp = array.module_of(*values)
        finite = array.to_numpy(xp.stack([xp.isfinite(value).all() for value in values]))  # read back once
        for (name, layer), is_right in zip(places, finite, strict=True):
            if not is_right:
                return f"parameter '{name}' of layer '{layer}'"
    return None


def first_place(net: DagNN, inputs: Mapping[str, Array]) -> str:
    """Names the input, parameter or layer where the first number that is not finite stands; runs the net forward once more.

    Raises ValueError where the cause is a label out of range, naming it and its place.
    """
    for name, value in inputs.items():
        if not is_finite(value):
            return f"the input '{name}' that get_batch gave is not finite"
    spoiled = spoiled_param(net)
    if spoiled and net.device == "cpu":
        return f"{spoiled} is not finite since an earlier update"
    _forward_keeping_all(net, inputs)
    _check_labels(net)
    if spoiled:
        return "nothing is wrong with the batch itself; a lower learning_rate is right"
    for layer in net.execution_order:
        record = net.layers[layer]
        for name in record.outputs:
            value = net.vars[name].value
            if value is None or is_finite(value):
                continue
            return f"layer '{layer}' ({type(record.block).__name__}) is the first whose output ('{name}') is not finite"
    return "every layer's output is finite when the batch is run again"


def _check_labels(net: DagNN) -> None:
    """Raises ValueError for a label out of range, which a loss on the GPU only turns into NaN."""
    for record in net.layers.values():
        values = [net.vars[name].value for name in record.inputs]
        if isinstance(record.block, loss.Loss) and all(value is not None for value in values):
            record.block.check(values)


def _forward_keeping_all(net: DagNN, inputs: Mapping[str, Array]) -> None:
    conserve = net.conserve_memory
    net.conserve_memory = False
    for record in net.layers.values():
        if isinstance(record.block, dropout.DropOut):  # on the GPU its mask is a later batch's, maybe of another size
            record.block.frozen = net.device == "cpu" and record.block.mask is not None
    try:
        net.eval(inputs)
    finally:
        net.conserve_memory = conserve
