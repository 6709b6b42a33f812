"""A network in words and tables, for a terminal of 120 columns (MatConvNet's net.print).

    what each layer computes   window, stride, pad, size of the output, and its receptive field: how many pixels of the input a
                               pixel sees, how far apart neighbours' fields are, where the first one's centre lies (from 1)
    how layers are wired       inputs, outputs, parameters, how many values these hold
    the whole                  values and memory (4 bytes each), mode, mean image, blocks that are not known

Source    MatConvNet manual, section 3.3; matlab/+dagnn/@DagNN/print.m of 1.0-beta25
"""

import copy
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, prod
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import block, catalogue, conv, geometry

COLUMNS = 120
BYTES = 4  # of a number, in single precision


def table(net: DagNN, sizes: Mapping[str, Sequence[int]] | None = None) -> str:
    """The whole text. Sizes are (H, W, C, N); without any, they are as input_sizes(net) says.

    Raises KeyError for an input that the net does not have.
    """
    sizes = sizes or input_sizes(net)
    shell = _shell(net)
    made = shell.get_var_sizes(sizes)
    source = next(iter([*sizes, *net.inputs]), "")
    seen = shell.get_var_receptive_fields(source) if source else {}
    window = [_window(record, made, seen) for record in net.layers.values()]
    wiring = [_wiring(net, record) for record in net.layers.values()]
    return "\n\n".join(
        [
            _head(net, sizes),
            _grid(
                ["layer", "type", "window", "stride", "pad", "output", f"field of {source}", "stride", "offset"], window
            ),
            _grid(["layer", "inputs", "outputs", "parameters", "values", "memory"], wiring),
            _totals(net, made),
        ]
    )


def input_sizes(net: DagNN, size: Sequence[int] | None = None) -> dict[str, tuple[int, int, int, int]]:
    """The size (H, W, C, N) of the net's first input: `size`, whose C and N may be missing, else what the net's file says.

    That is meta.normalization.imageSize or meta.inputs, for one image; {} where neither is there.
    Raises ValueError for a size of less than two or more than four numbers, or with one below 1.
    """
    normalization, inputs = (_dict(net.meta.get(name)) for name in ("normalization", "inputs"))
    said = np.ravel(normalization.get("imageSize", inputs.get("size", ())))[:3]
    numbers = [int(v) for v in (said if size is None else size)]
    if size is not None and (len(numbers) not in (2, 3, 4) or min(numbers) < 1):
        raise ValueError(f"input size: it is {numbers}; two to four numbers (H, W, C, N) of at least 1 are right")
    if not net.inputs or len(numbers) < 2:
        return {}
    channels = next((layer.block.size[2] for layer in net.layers.values() if isinstance(layer.block, conv.Conv)), 3)
    h, w, c, n = (*numbers, *(channels, 1)[len(numbers) - 2 :])[:4]
    return {net.inputs[0]: (h, w, c, n)}


@dataclass
class _Opaque(block.Layer):
    """Stands for an unknown block, whose outputs have sizes that nobody knows."""

    outputs: int

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        return [(float("nan"),) * 4] * self.outputs

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField | None]:
        return [None] * inputs


def _shell(net: DagNN) -> DagNN:
    """The same graph, without values, in which sizes can be asked for although blocks are unknown."""
    shell = DagNN()
    for r in net.layers.values():
        layer = _Opaque(len(r.outputs)) if isinstance(r.block, catalogue.Unknown) else copy.copy(r.block)
        shell.add_layer(r.name, layer, r.inputs, r.outputs, r.params)
    return shell


def _head(net: DagNN, sizes: Mapping[str, Sequence[int]]) -> str:
    given = ", ".join(f"{name} {_times(size)}" for name, size in sizes.items()) or "an input of unknown size"
    unknown = [r for r in net.layers.values() if isinstance(r.block, catalogue.Unknown)]
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
    image = _dict(meta.get("normalization")).get("averageImage")
    if not isinstance(image, np.ndarray) or not image.size:
        return "none in meta.normalization.averageImage"
    if image.size <= 4:
        return f"one colour, {' '.join(f'{v:.4g}' for v in image.ravel())} ({_times(image.shape)})"
    return f"a picture of {_times(image.shape)}, on average {image.mean():.4g}"


def _window(
    record: LayerRecord,
    sizes: Mapping[str, block.Size],
    fields: Mapping[str, geometry.ReceptiveField | None],
) -> list[str]:
    """A row: what the layer computes, and what a pixel of its (first) output sees."""
    layer = record.block
    size = getattr(layer, "size", getattr(layer, "pool_size", None))
    stride, pad = getattr(layer, "stride", None), getattr(layer, "pad", None)
    row = [
        record.name,
        catalogue.name_of(layer).removeprefix("dagnn."),
        _times(size) if size is not None else "",
        _short(stride) if stride is not None else "",
        _short(pad) if pad is not None else "",
        _times(sizes[record.outputs[0]]) if record.outputs else "",
    ]
    if hasattr(layer, "upsample"):
        row[3], row[4] = f"1/{_short(layer.upsample)}", f"crop {_short(layer.crop)}"
    field = fields.get(record.outputs[0]) if record.outputs else None
    return row + (["", "", ""] if field is None else [_short(v) for v in (field.size, field.stride, field.offset)])


def _wiring(net: DagNN, record: LayerRecord) -> list[str]:
    """A row: the names the layer reads, makes and uses, and how many values its parameters hold."""
    names = [" ".join(part) for part in (record.inputs, record.outputs, record.params)]
    if not record.params:
        return [record.name, *names, "", ""]
    values = sum(_count(net.params[name].value) for name in record.params)
    return [record.name, *names, f"{values:,}", _memory(values)]


def _totals(net: DagNN, sizes: Mapping[str, block.Size]) -> str:
    params = sum(_count(param.value) for param in net.params.values())
    known = [prod(size) for size in sizes.values() if not any(isnan(v) for v in size)]
    variables = int(sum(known))
    lost = len(sizes) - len(known)
    missing = f" (without {lost} of unknown size)" if lost else ""
    rows = [("parameters", params, ""), ("variables", variables, missing), ("together", params + variables, "")]
    return "\n".join(f"{name:10} {values:>14,} values {_memory(values):>9}{note}" for name, values, note in rows)


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


def _count(value: Any) -> int:
    return 0 if value is None else int(value.size)


def _memory(values: int) -> str:
    """That many numbers, in the largest unit of 1024 in which they make at least one."""
    size = float(values * BYTES)
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} GB"


def _times(numbers: Sequence[float]) -> str:
    """3x3x64x64; ? where unknown."""
    return "x".join("?" if isnan(v) else f"{v:g}" for v in np.ravel(numbers))


def _short(numbers: Sequence[float]) -> str:
    """One number where all are equal, "-" where unknown."""
    texts = ["-" if isnan(v) else f"{v:g}" for v in np.ravel(numbers)]
    return texts[0] if len(set(texts)) == 1 else " ".join(texts)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
