"""Where the first number of a batch that is not finite stands: for the message of a run that has diverged."""

from collections.abc import Mapping

from dagnet.dagnn import DagNN
from dagnet.layers import array, dropout, loss
from dagnet.layers.array import Array


def is_finite(value: Array) -> bool:
    """Whether no number in it is NaN or infinite."""
    return bool(array.module_of(value).isfinite(value).all())


def spoiled_param(net: DagNN) -> str | None:
    """Names the first parameter, and its layer, that holds a NaN or an infinity; None where all are finite."""
    for record in net.layers.values():
        for name in record.params:
            if not is_finite(net.params[name].value):
                return f"parameter '{name}' of layer '{record.name}'"
    return None


def first_place(net: DagNN, inputs: Mapping[str, Array]) -> str:
    """Names the input, parameter or layer where the first number that is not finite stands; runs the net forward once more.

    Raises ValueError where the cause is a label out of range, naming it and its place.
    """
    for name, value in inputs.items():
        if not is_finite(value):
            return f"the input '{name}' that get_batch gave is not finite"
    if spoiled := spoiled_param(net):
        return f"{spoiled} is not finite since an earlier update"
    _forward_keeping_all(net, inputs)
    for layer in net.execution_order:
        record = net.layers[layer]
        for name in record.outputs:
            value = net.vars[name].value
            if value is None or is_finite(value):
                continue
            if isinstance(record.block, loss.Loss):
                record.block.check([net.vars[v].value for v in record.inputs])  # a wrong label is a NaN on the GPU
            return f"layer '{layer}' ({type(record.block).__name__}) is the first whose output ('{name}') is not finite"
    return "every layer's output is finite when the batch is run again"


def _forward_keeping_all(net: DagNN, inputs: Mapping[str, Array]) -> None:
    conserve = net.conserve_memory
    net.conserve_memory = False
    for record in net.layers.values():
        if isinstance(record.block, dropout.DropOut):
            record.block.frozen = record.block.mask is not None
    try:
        net.eval(inputs)
    finally:
        net.conserve_memory = conserve
