"""A network in words and two tables, a row a layer, for a terminal of 120 columns.

    what each layer computes   window, stride, pad, size of the output, and its receptive field: how many pixels of the input a
                               pixel sees, how far apart neighbours' fields are, where the first one's centre lies (from 1)
    how layers are wired       inputs, outputs, parameters, how many values these hold
    the whole                  values and memory (4 bytes each), what passes take, mode, mean image, blocks that are not known

MatConvNet's net.print has a column a layer and more tables (columns.py).
"""

import textwrap
from collections.abc import Mapping, Sequence
from math import isnan, prod
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import block, geometry

from . import facts, memory

COLUMNS = 120


def table(net: DagNN, sizes: Mapping[str, Sequence[int]] | None = None) -> str:
    """The whole text. Sizes are (H, W, C, N); without any, they are as input_sizes(net) says.

    Raises KeyError for an input that the net does not have.
    """
    sizes = sizes or facts.input_sizes(net)
    made = net.get_var_sizes(sizes)
    source = next(iter([*sizes, *net.inputs]), "")
    seen = net.get_var_receptive_fields(source) if source else {}
    window = [_window(record, made, seen) for record in net.layers.values()]
    wiring = [_wiring(net, record) for record in net.layers.values()]
    return "\n\n".join(
        [
            _head(net, sizes),
            _grid(
                ["layer", "type", "window", "stride", "pad", "output", f"field of {source}", "stride", "offset"], window
            ),
            _grid(["layer", "inputs", "outputs", "parameters", "values", "memory"], wiring),
            _totals(net, sizes, made),
        ]
    )


def _head(net: DagNN, sizes: Mapping[str, Sequence[int]]) -> str:
    given = ", ".join(f"{name} {facts.times(size)}" for name, size in sizes.items()) or "an input of unknown size"
    unknown = facts.unknown_layers(net)
    lines = [
        f"DagNN of {len(net.layers)} layers, {len(net.vars)} variables, {len(net.params)} parameters, in mode {net.mode}",
        f"inputs: {', '.join(net.inputs)}; outputs: {', '.join(net.outputs)}; sizes are for {given}",
        f"mean image: {_mean_image(net.meta)}",
    ]
    if unknown:
        named = ", ".join(f"'{r.name}' ({r.block.matlab_type})" for r in unknown)
        lines.append(f"not known and not runnable: {named}")
    return "\n".join(textwrap.fill(line, COLUMNS, subsequent_indent="  ") for line in lines)


def _mean_image(meta: Mapping[str, Any]) -> str:
    image = facts.as_dict(meta.get("normalization")).get("averageImage")
    if not isinstance(image, np.ndarray) or not image.size:
        return "none in meta.normalization.averageImage"
    if image.size <= 4:
        return f"one colour, {' '.join(f'{v:.4g}' for v in image.ravel())} ({facts.times(image.shape)})"
    return f"a picture of {facts.times(image.shape)}, on average {image.mean():.4g}"


def _window(
    record: LayerRecord,
    sizes: Mapping[str, block.Size],
    fields: Mapping[str, geometry.ReceptiveField | None],
) -> list[str]:
    """A row: what the layer computes, and what a pixel of its (first) output sees."""
    slides = facts.window_of(record.block)
    row = [
        record.name,
        facts.kind_of(record.block),
        "" if slides.size is None else facts.times(slides.size),
        *facts.stride_and_pad(slides, ""),
        facts.times(sizes[record.outputs[0]]) if record.outputs else "",
    ]
    field = fields.get(record.outputs[0]) if record.outputs else None
    return row + (["", "", ""] if field is None else [facts.brief(v) for v in (field.size, field.stride, field.offset)])


def _wiring(net: DagNN, record: LayerRecord) -> list[str]:
    """A row: the names the layer reads, makes and uses, and how many values its parameters hold."""
    names = [" ".join(part) for part in (record.inputs, record.outputs, record.params)]
    if not record.params:
        return [record.name, *names, "", ""]
    values = sum(prod(facts.dims_of(net.params[name])) for name in record.params)
    return [record.name, *names, f"{values:,}", _memory(values * facts.BYTES)]


def _totals(net: DagNN, given: Mapping[str, Sequence[int]], sizes: Mapping[str, block.Size]) -> str:
    params, variables = (size // facts.BYTES for size in facts.memory_of(net, sizes))
    lost = sum(any(map(isnan, size)) for size in sizes.values())
    missing = f" (without {lost} of unknown size)" if lost else ""
    rows = [("parameters", params, ""), ("variables", variables, missing), ("together", params + variables, "")]
    lines = [f"{name:10} {values:>14,} values {_memory(values * facts.BYTES):>9}{note}" for name, values, note in rows]
    return "\n".join([*lines, *(_peaks(net, given) if given else [])])


def _peaks(net: DagNN, given: Mapping[str, Sequence[int]]) -> list[str]:
    """What a pass takes at its worst, as the engine frees."""
    found = memory.peaks(net, given)
    return [
        f"{what:33}{_memory(freeing):>8} at its peak ({_memory(keeping)} without conserve_memory)"
        for what, freeing, keeping in (
            ("a pass in test mode takes", found.test, found.test_kept),
            ("a step of training takes", found.training, found.training_kept),
        )
    ]


def _grid(head: list[str], rows: list[list[str]]) -> str:
    """Columns side by side, at most COLUMNS wide: the widest ones give way, and what they cut ends in an ellipsis."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    while sum(widths) + 2 * (len(widths) - 1) > COLUMNS:
        widths[widths.index(max(widths))] -= 1
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(_cut(c, w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cut(text: str, width: int) -> str:
    return f"{text:{width}}" if len(text) <= width else text[: width - 1] + "…"


def _memory(size: int) -> str:
    """Bytes, in the largest unit of 1024 in which they make at least one."""
    number, unit = facts.scaled(size)
    return f"{number:.3g} {unit}"
