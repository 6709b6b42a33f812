"""MatConvNet's vl_simplenn_display: the layers of a SimpleNN, a column a layer, column 0 its input.

    type, name                       support, filt dim, filt dilat, num filts, stride, pad     of the layer's window
    rf size, offset, stride          what a value sees of the input
    data size, depth, num            the layer's output: H x W, C, N
    data mem, param mem              at 4 bytes a number; ? where a size is not known

Source    matlab/simplenn/vl_simplenn_display.m of 1.0-beta25
"""

import warnings
from collections.abc import Mapping, Sequence
from math import nan, prod
from typing import Any

from dagnet.dagnn import DagNN
from dagnet.files import simplenn
from dagnet.layers import block, conv, convt, geometry
from dagnet.simplenn import SimpleNN

from . import facts, formats

LABELS = [
    *("layer", "type", "name"),
    *("support", "filt dim", "filt dilat", "num filts", "stride", "pad"),
    *("rf size", "rf offset", "rf stride"),
    *("data size", "data depth", "data num"),
    *("data mem", "param mem"),
]
RULES = (3, 9, 12, 15)


def display(
    net: SimpleNN | dict[str, Any],
    *,
    input_size: Sequence[int] | None = None,
    batch_size: int = 1,
    format: str = "ascii",
    max_num_columns: int = 18,
) -> str:
    """The table of a SimpleNN, or of a struct that is one, and the memory of all.

    input_size   (H, W) or (H, W, C); default: what meta says
    format       "ascii", "latex" or "csv"

    Raises ValueError for what is no SimpleNN, and for an unknown format or a size that does not fit.
    """
    chain = net if isinstance(net, SimpleNN) else simplenn.tidy(net)
    with warnings.catch_warnings():  # that a layer cannot run does not matter here
        warnings.simplefilter("ignore")
        dag = simplenn.from_simplenn(chain)
    sizes = {name: (*size[:3], batch_size) for name, size in facts.input_sizes(dag, input_size).items()}
    made = dag.get_var_sizes(sizes)
    fields = dag.get_var_receptive_fields("x0") if dag.layers else {}
    columns = [_input(made)]
    for number, (layer, record) in enumerate(zip(chain.layers, dag.layers.values(), strict=True), 1):
        output = record.outputs[0]
        params = sum(prod(facts.dims_of(dag.params[name])) for name in record.params)
        columns.append(
            [
                *(str(number), _kind(layer), record.name),
                *_window(record.block),
                *_field(fields[output]),
                *_data(made[output]),
                formats.memory(facts.BYTES * params),
            ]
        )
    return formats.text([formats.Table(LABELS, columns, RULES), _totals(dag, made)], format, max_num_columns)


def _input(sizes: Mapping[str, block.Size]) -> list[str]:
    return ["0", "input", "n/a", *["n/a"] * 9, *_data(sizes.get("x0", (nan,) * 4)), formats.memory(0)]


def _kind(layer: Mapping[str, Any]) -> str:
    """The type; a pool's tells its method."""
    return {"max": "mpool", "avg": "apool"}[layer.get("method", "max")] if layer["type"] == "pool" else layer["type"]


def _window(layer: block.Layer) -> list[str]:
    """support, filt dim, filt dilat, num filts, stride, pad."""
    slides = facts.window_of(layer)
    if slides.size is None:
        return ["n/a"] * 6
    filters = ["n/a"] * 3
    if isinstance(layer, conv.Conv):
        filters = [str(layer.size[2]), facts.brief(layer.dilate), str(layer.size[3])]
    if isinstance(layer, convt.ConvTranspose):
        filters = [str(layer.size[3] // layer.num_groups), "1", str(layer.size[2] * layer.num_groups)]
    return [facts.brief(slides.size[:2]), *filters, *facts.stride_and_pad(slides, "n/a")]


def _field(field: geometry.ReceptiveField | None) -> list[str]:
    return ["n/a"] * 3 if field is None else [facts.brief(v) for v in (field.size, field.offset, field.stride)]


def _data(size: block.Size) -> list[str]:
    """data size, depth, num, mem."""
    return [facts.brief(size[:2]), facts.brief(size[2:3]), facts.brief(size[3:]), formats.memory(facts.bytes_of(size))]


def _totals(net: DagNN, sizes: Mapping[str, block.Size]) -> formats.Table:
    params, data = facts.memory_of(net, sizes)
    return formats.Table(["parameter memory", "data memory"], [[formats.memory(params), formats.memory(data)]], ())
