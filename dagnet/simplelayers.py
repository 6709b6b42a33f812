"""What the layers of a SimpleNN mean: the one table of their types, which running and converting a SimpleNN share.

A layer is a dict with MatConvNet's fields: `type`, `weights`, `name`, `precious`, and what its type has. Values may be Python's
or MATLAB's own: 2, [2, 2], [[2.0]].
Source    MatConvNet manual, 3.1; vl_simplenn.m, vl_simplenn_tidy.m, DagNN.fromSimpleNN of 1.0-beta25
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dagnet.layers import array, block, catalogue
from dagnet.layers.array import Array

Layer = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What a type of layer means.

    block       the type of the block that runs it, and that it becomes in a DagNN
    properties  the fields of the layer that are properties of the block
    ends        of its parameters' names in a DagNN, one a weight
    labels      whether the field `class` is the block's second input
    defaults    what stands for fields that a layer lacks, in the order in which vl_simplenn_tidy adds them
    """

    block: str
    properties: Sequence[str] = ()
    ends: str = ""
    labels: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)


_LRN = Kind("dagnn.LRN", ["param"], defaults={"param": np.array([[5, 1, 0.0001 / 5, 0.75]])})

KINDS: dict[str, Kind] = {
    "conv": Kind(
        "dagnn.Conv",
        ["pad", "stride", "dilate", "opts"],
        ends="fb",
        defaults={"pad": 0.0, "stride": 1.0, "dilate": 1.0, "opts": []},
    ),
    "convt": Kind(
        "dagnn.ConvTranspose",
        ["upsample", "crop", "numGroups", "opts"],
        ends="fb",
        defaults={"crop": 0.0, "upsample": 1.0, "numGroups": 1.0, "opts": []},
    ),
    # MatConvNet does not fill in a pool's method either; without one it is "max".
    "pool": Kind(
        "dagnn.Pooling",
        ["method", "pool", "pad", "stride", "opts"],
        defaults={"pad": 0.0, "stride": 1.0, "opts": []},
    ),
    "normalize": _LRN,
    "lrn": _LRN,
    "spnorm": Kind("dagnn.SpatialNorm", ["param"]),
    "noffset": Kind("dagnn.NormOffset", ["param"]),
    "bnorm": Kind("dagnn.BatchNorm", ["epsilon"], ends="mbx", defaults={"epsilon": 1e-5}),
    "relu": Kind("dagnn.ReLU", ["leak"], defaults={"leak": 0.0}),
    "sigmoid": Kind("dagnn.Sigmoid"),
    "dropout": Kind("dagnn.DropOut", ["rate"], defaults={"rate": 0.5}),
    "softmax": Kind("dagnn.SoftMax"),
    "loss": Kind("dagnn.Loss", labels=True),
    "softmaxloss": Kind("dagnn.Loss", labels=True),
    "pdist": Kind(
        "dagnn.PDist",
        ["noRoot", "aggregate", "p", "epsilon"],
        labels=True,
        defaults={"noRoot": False, "aggregate": False, "p": 2.0, "epsilon": 1e-3, "instanceWeights": np.zeros((0, 0))},
    ),
}
COMMON = ("name", "type", "weights", "precious", "learningRate", "weightDecay")  # fields that any layer may have
PROPERTY = {"pool": "poolSize"}  # the block's property where it is not called as the layer's field


def completed(layer: Layer, index: int) -> Layer:
    """A copy of the layer at `index` with all that vl_simplenn_tidy gives one: weights, name, precious, its type's defaults.

    Raises ValueError where it has no type, or weights that are no arrays.
    """
    kind = layer.get("type")
    if not isinstance(kind, str):
        raise ValueError(f"layers{{{index + 1}}} has no type; a field `type` with a text is right")
    layer = dict(layer)
    weights = layer["weights"] = list(layer.get("weights", []))
    if wrong := [w for w in weights if not hasattr(w, "dtype")]:
        raise ValueError(f"layers{{{index + 1}}} has a {type(wrong[0]).__name__} among its weights; arrays are right")
    if kind in ("conv", "convt") and weights:
        weights[0] = array.four_d(weights[0])  # MATLAB drops trailing sizes of 1
    if kind == "bnorm" and len(weights) >= 2 and not sum(w.size for w in weights[2:]):  # from before there were moments
        weights[2:] = [array.module_of(weights[0]).zeros((weights[0].size, 2), weights[0].dtype)]
    defaults = {"name": f"layer{index + 1}", "precious": False} | (KINDS[kind].defaults if kind in KINDS else {})
    return layer | {name: copy.copy(value) for name, value in defaults.items() if name not in layer}


def block_of(layer: Layer) -> block.Layer:
    """The block that runs a layer; a catalogue.Unknown for a type that nobody registered.

    Raises ValueError where the layer lacks its weights or a field, or has one that is not right.
    """
    kind, weights = layer["type"], layer["weights"]
    if kind not in KINDS:
        return catalogue.from_matlab(kind, {name: value for name, value in layer.items() if name not in COMMON})
    known = KINDS[kind]
    needed = 1 if known.ends == "fb" else len(known.ends)  # biases may be missing
    if sum(w.size > 0 for w in weights[:needed]) < needed:
        raise ValueError(f"it is a {kind} layer with {len(weights)} weights; it must have its weights")
    if kind == "pool" and "pool" not in layer:
        raise ValueError("it is a pool layer without the field 'pool'")
    properties = {PROPERTY.get(name, name): layer[name] for name in known.properties if name in layer}
    if known.ends == "fb":
        properties["size"] = [*weights[0].shape, 1, 1][:4]
        properties["hasBias"] = len(weights) > 1 and weights[1].size > 0
    elif kind == "bnorm":
        properties["numChannels"] = weights[0].size
    return catalogue.from_matlab(known.block, properties)


def param_names(layer: Layer) -> dict[str, int]:
    """What a DagNN calls the layer's weights, and which of them each is; an empty weight is none of its parameters."""
    kind, weights = layer["type"], layer["weights"]
    ends: Sequence[str] = KINDS[kind].ends if kind in KINDS else [str(i + 1) for i in range(len(weights))]
    return {layer["name"] + end: i for i, (end, w) in enumerate(zip(ends, weights, strict=False)) if w.size}


def inputs(layer: Layer, its_block: block.Layer, x: Array | None) -> list[Any]:
    """What the block is given: x and, for losses, the layer's labels."""
    if layer["type"] not in KINDS or not KINDS[layer["type"]].labels:
        return [x]
    labels = layer.get("class")
    if labels is None:
        raise ValueError(f"it is a {layer['type']} layer without labels; set its field 'class'")
    xp = array.module_of(x)
    labels = xp.asarray(labels)
    if layer["type"] == "pdist":
        weights = xp.asarray(layer.get("instanceWeights", ()))
        return [x, labels, weights] if weights.size else [x, labels]
    if layer["type"] == "softmaxloss" and labels.ndim > 2 and labels.shape[2] == 2:  # the second channel: weights
        its_block.opts = ["instanceWeights", labels[:, :, 1:]]  # type: ignore[attr-defined]  # it is a Loss
        labels = labels[:, :, :1]
    return [x, labels]


def params(layer: Layer) -> list[Any]:
    """What the block is given as its parameters: the weights, None for an empty one."""
    return [w if w.size else None for w in layer["weights"]]
