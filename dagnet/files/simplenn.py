"""SimpleNN, MatConvNet's other kind of network, a chain of layers: brought up to date, and turned into a DagNN.

A SimpleNN is a struct with a cell `layers` and a struct `meta`; its layers are structs with `type`, `weights` and options.
Source    MatConvNet manual, 3.1; vl_simplenn_tidy.m, DagNN.fromSimpleNN of 1.0-beta25
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.layers import catalogue

from . import fields, matvalues

OLD_META = ("classes", "normalization")  # fields of meta that stood at the top level in old files

# What tidy fills in where a layer says nothing. (A pool's method is not filled in by MatConvNet either; it means "max".)
DEFAULTS: dict[str, dict[str, Any]] = {
    "conv": {"pad": 0.0, "stride": 1.0, "dilate": 1.0},
    "convt": {"crop": 0.0, "upsample": 1.0, "numGroups": 1.0},
    "pool": {"pad": 0.0, "stride": 1.0},
    "relu": {"leak": 0.0},
    "dropout": {"rate": 0.5},
    "lrn": {"param": np.array([[5, 1, 0.0001 / 5, 0.75]])},
    "pdist": {"noRoot": False, "aggregate": False, "p": 2.0, "epsilon": 1e-3, "instanceWeights": np.zeros((0, 0))},
    "bnorm": {"epsilon": 1e-5},
}
COMMON = ("name", "type", "weights", "precious", "learningRate", "weightDecay")  # fields that any layer may have


def tidy(net: dict[str, Any], where: str = "net") -> dict[str, Any]:
    """A SimpleNN of any age in today's layout: {"layers": list of dicts, "meta": dict}; the argument stays as it is.

    Layers get name, precious, weights and the defaults of their type; filters and biases become weights; 'normalize'
    becomes 'lrn'; classes and normalization move into meta, and normalization.border becomes cropSize. Layers of other
    types, custom ones among them, get no more than name and weights. Other fields at the top are dropped, as MatConvNet does.
    Raises ValueError, with `where`, for what is no SimpleNN.
    """
    try:
        layers = [dict(layer) for layer in matvalues.items(net["layers"])]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: a SimpleNN is right: a struct whose field `layers` is a cell of structs") from error
    meta = copy.deepcopy(fields.meta_of(net, where))
    meta |= {field: net[field] for field in OLD_META if field in net and field not in meta}
    normalization = meta.get("normalization")
    if isinstance(normalization, dict) and {"border", "imageSize"} <= set(normalization):
        size = np.ravel(normalization["imageSize"])[:2]
        crop = size / (size + np.ravel(normalization["border"])[:2])
        meta["normalization"] = normalization | {"cropSize": normalization.get("cropSize", crop.reshape(1, -1))}
    return {"layers": [_tidy_layer(layer, i, where) for i, layer in enumerate(layers)], "meta": meta}


def from_simplenn(net: dict[str, Any], canonical_names: bool = False, where: str = "net") -> DagNN:
    """The DagNN of a SimpleNN, as MatConvNet's fromSimpleNN makes and names it.

    Layer l reads `x<l-1>` and makes `x<l>`; the parameters of layer conv1 are conv1f (filters) and conv1b (biases), those of
    a batch normalisation m, b and x (moments), whose epsilon becomes the default 1e-5: MatConvNet copies it no more than we.
    canonical_names calls the first input `input`, a softmax's output `prob` and its input `prediction`, a loss's output
    `objective`.
    More than MatConvNet: a 'loss' layer becomes a softmaxlog Loss, as vl_simplenn runs it; layers that fromSimpleNN
    refuses are made by the class that the catalogue has for their type, or kept as catalogue.Unknown with a warning.
    Raises ValueError naming the layer where something does not fit.
    """
    tidied = tidy(net, where)
    dag = DagNN()
    for i, layer in enumerate(tidied["layers"]):
        _add_layer(dag, i, layer, f"{where}: layers{{{i + 1}}} '{layer['name']}'")
    fields.pad_filters(dag)
    if canonical_names:
        _use_canonical_names(dag)
    dag.meta = tidied["meta"]
    inputs = dag.meta.get("inputs")
    if dag.layers and isinstance(inputs, (dict, matvalues.StructArray)) and matvalues.structs(inputs):
        matvalues.structs(inputs)[0]["name"] = next(iter(dag.layers.values())).inputs[0]
    fields.warn_of_unknown(dag, where)
    return dag


def average_rgb(meta: dict[str, Any]) -> np.ndarray:
    """The mean float32 (3,) of red, green and blue, 0..255, from any shape of meta.normalization.averageImage.

    Files hold 224x224x3 (the mean image, averaged here over its pixels), 1x1x3, 3x1 or 1x3. Raises ValueError otherwise.
    """
    normalization = meta.get("normalization")
    image = normalization.get("averageImage") if isinstance(normalization, dict) else None
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3:
        return image.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    if isinstance(image, np.ndarray) and image.size == 3 and image.dtype != object:
        return image.ravel().astype(np.float32)
    found = "absent" if image is None else matvalues.describe(image)
    raise ValueError(f"meta.normalization.averageImage is {found}; an RGB mean of 3 values or an HxWx3 image is right")


# ---------------------------------------------------------------- details


def _tidy_layer(layer: dict[str, Any], index: int, where: str) -> dict[str, Any]:
    kind = layer.get("type")
    if not isinstance(kind, str):
        raise ValueError(f"{where}: layers{{{index + 1}}} has no type; a field `type` with a text is right")
    if kind == "normalize":
        layer["type"] = kind = "lrn"
    if "filters" in layer:
        old = [layer.pop("filters"), layer.pop("biases", np.zeros((0, 0), np.float32))]
        layer.setdefault("weights", matvalues.row(old))
    layer.setdefault("name", f"layer{index + 1}")
    layer.setdefault("precious", False)
    layer.setdefault("weights", matvalues.row([]))
    for field, value in DEFAULTS.get(kind, {}).items():
        layer.setdefault(field, value)
    if kind in ("conv", "convt", "pool"):
        layer.setdefault("opts", matvalues.row([]))
    weights = _weights(layer, f"{where}: layers{{{index + 1}}}")
    if kind == "bnorm" and len(weights) >= 2 and not sum(map(np.size, weights[2:])):  # from before moments were kept
        layer["weights"] = matvalues.row([*weights[:2], np.zeros((np.size(weights[0]), 2), np.float32)])
    return layer


def _weights(layer: dict[str, Any], where: str) -> list[Any]:
    try:
        return matvalues.items(layer["weights"])
    except TypeError as error:
        raise ValueError(f"{where}.weights: {error}") from error


Weights = list[Any]  # arrays; None for an empty one


def _conv(layer: dict[str, Any], weights: Weights) -> dict[str, Any]:
    return _pick(layer, "pad", "stride", "dilate", "opts") | _size(weights)


def _convt(layer: dict[str, Any], weights: Weights) -> dict[str, Any]:
    return _pick(layer, "upsample", "crop", "numGroups", "opts") | _size(weights)


def _pool(layer: dict[str, Any], weights: Weights) -> dict[str, Any]:
    return {"poolSize": layer["pool"]} | _pick(layer, "method", "pad", "stride", "opts")


def _bnorm(layer: dict[str, Any], weights: Weights) -> dict[str, Any]:
    return {"numChannels": float(np.size(weights[0])), "epsilon": 1e-5}


# type: (the DagNN's type, its properties from the layer and its weights, the ends of its parameters' names)
Properties = Callable[[dict[str, Any], Weights], dict[str, Any]]
KINDS: dict[str, tuple[str, Properties, Sequence[str]]] = {
    "conv": ("dagnn.Conv", _conv, "fb"),
    "convt": ("dagnn.ConvTranspose", _convt, "fb"),
    "pool": ("dagnn.Pooling", _pool, ""),
    "lrn": ("dagnn.LRN", lambda layer, weights: _pick(layer, "param"), ""),
    "dropout": ("dagnn.DropOut", lambda layer, weights: _pick(layer, "rate"), ""),
    "relu": ("dagnn.ReLU", lambda layer, weights: _pick(layer, "leak"), ""),
    "bnorm": ("dagnn.BatchNorm", _bnorm, "mbx"),
    "sigmoid": ("dagnn.Sigmoid", lambda layer, weights: {}, ""),
    "softmax": ("dagnn.SoftMax", lambda layer, weights: {}, ""),
    "softmaxloss": ("dagnn.Loss", lambda layer, weights: {"loss": "softmaxlog"}, ""),
    "loss": ("dagnn.Loss", lambda layer, weights: {"loss": "softmaxlog"}, ""),
}


def _pick(layer: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {field: layer[field] for field in fields if field in layer}


def _size(weights: Weights) -> dict[str, Any]:
    shape = weights[0].shape
    return {"size": np.array([[*shape, 1, 1][:4]], np.float64), "hasBias": len(weights) > 1 and weights[1] is not None}


def _add_layer(net: DagNN, index: int, layer: dict[str, Any], where: str) -> None:
    kind, name = layer["type"], layer["name"]
    weights = [fields.parameter(w, f"{where}.weights{{{i + 1}}}") for i, w in enumerate(_weights(layer, where))]
    if kind in KINDS:
        matlab_type, properties_of, ends = KINDS[kind]
        needed = 1 if ends == "fb" else len(ends)  # biases may be missing
        if sum(w is not None for w in weights[:needed]) < needed:
            raise ValueError(f"{where} is a {kind} layer with {len(weights)} weights; it must have its weights")
        try:
            properties = properties_of(layer, weights)
        except KeyError as error:
            raise ValueError(f"{where} is a {kind} layer without the field {error}") from error
    else:
        matlab_type, ends = kind, [str(i + 1) for i in range(len(weights))]
        properties = {field: value for field, value in layer.items() if field not in COMMON}
    block = fields.make_block(matlab_type, properties, where)
    inputs = [f"x{index}", _label(net)] if matlab_type == "dagnn.Loss" else [f"x{index}"]
    used = [(name + end, w) for end, w in zip(ends, weights, strict=False) if w is not None]
    try:
        net.add_layer(name, block, inputs, [f"x{index + 1}"], [param for param, _ in used])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    for i, (param, value) in enumerate(used):
        net.params[param].value = value
        for field, ours in (("learningRate", "learning_rate"), ("weightDecay", "weight_decay")):
            factors = np.ravel(layer.get(field, []))
            if i < len(factors):
                setattr(net.params[param], ours, float(factors[i]))
    if kind == "bnorm" and np.size(layer.get("weightDecay", [])):
        net.params[used[2][0]].weight_decay = 0.0  # moments do not decay, whatever the file says


def _label(net: DagNN) -> str:
    """The first of label, label1, label2 ... that is free."""
    taken = sum(name.startswith("label") for name in net.vars)
    return f"label{taken}" if taken else "label"


def _use_canonical_names(net: DagNN) -> None:
    records = list(net.layers.values())
    if records:
        net.rename_var(records[0].inputs[0], "input")
    for record in records:
        kind = catalogue.name_of(record.block)
        source, target = record.inputs[0], record.outputs[0]
        if kind == "dagnn.SoftMax":
            net.rename_var(target, "prob")
            net.rename_var(source, "prediction")
        if kind == "dagnn.Loss":
            net.rename_var(target, "objective")
            if not source.startswith("prob"):
                net.rename_var(source, "prediction")
