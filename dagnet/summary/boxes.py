"""What stands in the boxes of a drawing, and which of them exchange data.

A box holds a layer and those after it that only change its numbers (a ReLU after a convolution), or an input or an output of
the net. Beneath a box of layers stands what it makes for others, with its size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import NamedTuple

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import block, catalogue, loss

from . import facts, layout

KINDS = {
    "Conv": "convolution",
    "ConvTranspose": "transposed convolution",
    "Pooling": "pooling",
    "Concat": "joining",
    "Sum": "joining",
    "Crop": "joining",
}


class Words(NamedTuple):
    """A line of text: a name, and what it is; small for what needs less attention."""

    name: str
    told: str
    small: bool = False


@dataclass
class Box:
    """Layers, or none for an input or an output of the net; the variables made; the lines of text in it and beneath it."""

    layers: list[LayerRecord]
    makes: list[str]
    inside: list[Words] = field(default_factory=list)
    beneath: list[Words] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What its first layer does."""
        first = self.layers[0].block
        if isinstance(first, catalogue.Unknown):
            return "not known"
        return "loss or measure" if isinstance(first, loss.Loss) else KINDS.get(facts.kind_of(first), "other")


def graph(net: DagNN, sizes: Mapping[str, block.Size]) -> tuple[list[Box], list[layout.Line]]:
    """Boxes in the order in which the net runs, and a line for each variable that goes from one to another."""
    found = [Box([], [name], _ending(name, sizes)) for name in net.inputs]
    makers = {name: [i] for i, name in enumerate(net.inputs)}  # of each variable: its boxes
    lines: dict[tuple[int, int, int], layout.Line] = {}
    for name in net.execution_order:
        record = net.layers[name]
        before = _continued(net, record, found, makers)
        if before is not None:
            found[before].layers.append(record)
            found[before].makes = record.outputs
            makers[record.outputs[0]] = [before]
            continue
        _lead(lines, found, makers, record.inputs)
        for output in record.outputs:
            makers.setdefault(output, []).append(len(found))
        found.append(Box([record], record.outputs))
    for box in found[len(net.inputs) :]:
        box.inside = [words for record in box.layers for words in _layer(record)]
        box.beneath = [Words("", f"{v} {size_of(sizes[v])}", small=True) for v in box.makes if net.vars[v].fanout]
    for name in net.outputs:
        _lead(lines, found, makers, [name])
        found.append(Box([], [], _ending(name, sizes)))
    return found, list(lines.values())


def size_of(size: block.Size) -> str:
    """A variable's size as text."""
    return "size unknown" if all(map(isnan, size)) else facts.times(size)


def _continued(
    net: DagNN, record: LayerRecord, found: Sequence[Box], makers: Mapping[str, Sequence[int]]
) -> int | None:
    """The box whose work a layer only continues: the layer keeps the size of what that box makes, for it alone."""
    keeps = type(record.block).output_sizes is block.Layer.output_sizes
    if not keeps or len(record.inputs) != 1 or len(record.outputs) != 1:
        return None
    before, after = net.vars[record.inputs[0]], net.vars[record.outputs[0]]
    if before.fanin != 1 or before.fanout != 1 or after.fanin != 1:
        return None
    (number,) = makers[before.name]
    return number if found[number].layers and found[number].makes == [before.name] else None


def _lead(
    lines: dict[tuple[int, int, int], layout.Line],
    found: Sequence[Box],
    makers: Mapping[str, Sequence[int]],
    names: Sequence[str],
) -> None:
    """Lines to the box that comes next, one from each maker of each variable."""
    for name in names:
        for source in makers[name]:
            key = source, len(found), found[source].makes.index(name)
            lines[key] = layout.Line(*key)


def _ending(name: str, sizes: Mapping[str, block.Size]) -> list[Words]:
    return [Words(name, ""), Words("", size_of(sizes[name]), small=True)]


def _layer(record: LayerRecord) -> list[Words]:
    """Name and kind; and of a window what is worth telling: not a stride of 1, nor a pad of 0."""
    words = Words(record.name, facts.kind_of(record.block))
    slides = facts.window_of(record.block)
    if slides.size is None:
        return [words]
    stride, pad = facts.stride_and_pad(slides, "")
    told = [getattr(record.block, "method", ""), facts.times(slides.size)]
    told += [f"stride {stride}"] if stride not in ("", "1", "1/1") else []
    told += [pad if pad.startswith("crop") else f"pad {pad}"] if pad not in ("", "0", "crop 0") else []
    return [words, Words("", " ".join(filter(None, told)), small=True)]
