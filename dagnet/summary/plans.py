"""How a net's convolutions will run on the CPU: `dagnet show --plan`, a row a layer, with the algorithm of each pass and why.

layers/algorithms.py chooses; this prints what it says for the sizes at hand and the settings that hold now.
"""

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import algorithms, conv, im2col, kernels, settings

from . import facts

HEADS = ("layer", "windows", "output", "forward", "dX", "dW", "why")


def plan(net: DagNN, sizes: Mapping[str, Sequence[int]]) -> str:
    """The text. Sizes are those of the net's inputs, (H, W, C, N); a layer whose input has no known size is left out.

    Raises KeyError for an input that the net does not have, ValueError where a layer cannot run as it was fixed to.
    """
    made = net.get_var_sizes(sizes)
    convolutions = [record for record in net.layers.values() if isinstance(record.block, conv.Conv)]
    rows = [
        _row(net, record, [int(v) for v in made[record.inputs[0]]])
        for record in convolutions
        if not any(map(isnan, made[record.inputs[0]]))
    ]
    if not rows:
        return "No convolution whose input's size is known."
    lines = [HEADS, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([_settings(), "", *table])


def _settings() -> str:
    """What the choices depend on beside the shapes."""
    now = settings.current()
    loops = "with numba's loops" if now.fast and kernels.has_numba() else "without numba's loops"
    return f"Convolutions on the CPU, {loops}{', exact' if now.exact else ''}, {now.threads} threads"


def _row(net: DagNN, record: LayerRecord, size: list[int]) -> tuple[str, ...]:
    block, value = record.block, net.params[record.params[0]].value
    filters = np.empty(block.size, np.float32) if value is None else value
    h, w, c, n = size
    shape = im2col.Plan.of((h, w, c, n), filters, None, block.stride, block.pad, block.dilate, block.algorithm)
    passes: list[algorithms.Pass] = ["forward", "dx", "dw"]
    choices = {name: algorithms.choose(shape, name, filters.dtype) for name in passes}
    if not net.vars[record.inputs[0]].fanin:
        choices.pop("dx")  # a training asks for no derivative of its images
    algorithm = [choices[name].algorithm if name in choices else "" for name in passes]
    why = "; ".join(dict.fromkeys(choice.why for choice in choices.values()))
    return record.name, facts.times((*shape.window, c, shape.k)), facts.times(shape.output), *algorithm, why
